"""The gate as the supervisor knows it: its process, the last order, the last report; pure.

The guarantee: from the decision to open it until it has reported that it is closed, or has exited,
the gate counts as passing requests on. Where it ends: once nobody reports its exit any more, it
counts as closed when it was killed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, KillGate, OrderGate
from wrapper.model.events import (
    ActorEnded,
    Event,
    GateExited,
    GateReported,
    GateStarted,
    LeaseReported,
)
from wrapper.model.gate import EndpointReport, GateOrder, GateReport, Marks, merged, reconciled

WAITER = "wait-gate"  # the thread that reports the gate's exit
FEEDING_S = 15.0  # Prometheus sends by then, if it has anything to send
PROVEN_S = 30.0  # a gate that has run for this long starts again at no failures


@dataclass(frozen=True, slots=True)
class GateState:
    """The gate's process, what it was ordered, and what it has reported.

    ``started_time`` is the wall time of ``started_at``. ``is_unheard``: the thread that reports its
    exit has ended. ``fed_at`` is when Prometheus was known to send to all its endpoints;
    ``was_fed``: it once did, also to a gate before this one. ``opened_number``, ``closed_number``
    and ``hand_over_number`` are the orders to this process that last opened it, closed it, or had
    it hand over, 0 for none; ``opened_at`` and ``hand_over_at`` are when. ``lost_at`` is when a
    gate ended that was open and held something: samples that Prometheus will not send again.
    ``outside_marks`` are those on the lease, and of gates before this one.
    """

    pid: int | None = None
    started_at: float = 0.0
    started_time: float = 0.0
    killed_at: float | None = None
    is_unheard: bool = False
    fed_at: float | None = None
    was_fed: bool = False
    lost_at: float | None = None
    exited_at: float | None = None
    failures: int = 0
    restarts: int = 0
    order: GateOrder = field(default_factory=GateOrder)
    opened_number: int = 0
    opened_at: float = 0.0
    closed_number: int = 0
    hand_over_number: int = 0
    hand_over_at: float = 0.0
    report: GateReport = field(default_factory=GateReport)
    outside_marks: Marks = field(default_factory=dict)

    @property
    def may_pass(self) -> bool:
        """Whether it may pass a request on, or have one under way."""
        if self.pid is None or not self.opened_number:
            return False
        if self.killed_at is not None and self.is_unheard:
            return False
        has_closed = self.order.until is None and self.report.order >= self.closed_number
        return self.report.is_open or not has_closed

    @property
    def passes(self) -> bool:
        """Whether it is known to be open, as ordered."""
        is_reported = self.report.is_open and self.report.order >= self.opened_number > 0
        return is_reported and self.order.until is not None and self.killed_at is None

    @property
    def has_handed_over(self) -> bool:
        """Whether all that was scraped before the hand-over is acknowledged."""
        has_obeyed = self.report.order >= self.hand_over_number > 0
        return has_obeyed and self.report.has_handed_over

    def lacks_some(self, names: Iterable[str]) -> bool:
        """Tell whether Prometheus began to send to it after a mark: it lacks what lies between."""
        fed_after_s = math.inf if self.fed_at is None else self.fed_at - self.started_at
        fed_ms, marks = (self.started_time + fed_after_s) * 1000, self.marks
        return any(marks[name] < fed_ms for name in names if name in marks)

    def awaits_samples(self, now: float) -> bool:
        """Tell whether Prometheus has just started, and has not sent to it yet.

        Such a replica could not take over without a hole.
        """
        if self.was_fed or self.restarts or self.failures:
            return False
        return self.pid is None or now < self.started_at + FEEDING_S

    @property
    def marks(self) -> Mapping[str, int]:
        """The newest marks that are known, those of the gate's own endpoints first."""
        return reconciled(self.report.marks, self.outside_marks)


def fold(gate: GateState, happened: Event | Action, now: float) -> GateState:
    """Fold in one event, or one action of the loop's decision."""
    match happened:
        case GateStarted(pid, time):
            return _started(gate, pid, time, now)
        case GateExited():
            return _exited(gate, now)
        case GateReported(pid, report) if pid == gate.pid:
            return _reported(gate, report, now)
        case KillGate():
            return replace(gate, killed_at=now)
        case ActorEnded(name) if name == WAITER:
            return replace(gate, is_unheard=True)
        case OrderGate(order):
            return _ordered(gate, order, now)
        case LeaseReported(view) if view.last is not None and view.last.marks:
            outside = merged(gate.outside_marks, dict(view.last.marks))
            return replace(gate, outside_marks=outside)
        case _:
            return gate


def _reported(gate: GateState, report: GateReport, now: float) -> GateState:
    is_fed = bool(report.endpoints) and all(_is_sent_to(each) for each in report.endpoints)
    fed_at = now if is_fed and gate.fed_at is None else gate.fed_at
    return replace(gate, report=report, fed_at=fed_at, was_fed=gate.was_fed or is_fed)


def _is_sent_to(endpoint: EndpointReport) -> bool:
    counters = endpoint.counters.items()
    return any(total for name, total in counters if name.startswith("requests_"))


def _started(gate: GateState, pid: int, time: float, now: float) -> GateState:
    return replace(
        gate,
        pid=pid,
        started_at=now,
        started_time=time,
        killed_at=None,
        fed_at=None,
        exited_at=None,
        restarts=gate.restarts + (gate.exited_at is not None),
    )


def _exited(gate: GateState, now: float) -> GateState:
    """Forget what this process was ordered and has reported, except the marks.

    Without a process, one could not be started.
    """
    is_proven = gate.pid is not None and now - gate.started_at > PROVEN_S
    failures = 1 if is_proven else gate.failures + 1
    held = any(each.held_batches for each in gate.report.endpoints)
    return replace(
        gate,
        pid=None,
        exited_at=now,
        lost_at=now if held and gate.order.until is not None else gate.lost_at,
        failures=failures,
        order=GateOrder(gate.order.number),
        opened_number=0,
        closed_number=0,
        hand_over_number=0,
        report=GateReport(),
        outside_marks=gate.marks,
    )


def _ordered(gate: GateState, order: GateOrder, now: float) -> GateState:
    """Note an order; the gate counts as open from the decision on."""
    after = replace(gate, order=order)
    if order.until is not None and gate.order.until is None:
        after = replace(after, opened_number=order.number, opened_at=now)
    if order.until is None and gate.order.until is not None:
        after = replace(after, closed_number=order.number)
    if not order.hands_over:
        return replace(after, hand_over_number=0)
    if not gate.order.hands_over:
        return replace(after, hand_over_number=order.number, hand_over_at=now)
    return after
