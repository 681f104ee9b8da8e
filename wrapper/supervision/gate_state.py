"""The gate as the supervisor knows it: its process, the last order, the last report; pure.

Guarantee: the gate counts as passing requests on from the decision to open it, until it has
reported that it is closed or has exited.

Limitation: if the thread that reports the gate's exit has ended, a killed gate counts as closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, KillGate, OrderGate
from wrapper.model.events import (
    Event,
    GateExited,
    GateReported,
    GateStarted,
    LeaseReported,
    ThreadEnded,
)
from wrapper.model.gate import (
    EndpointReport,
    GateOrder,
    GateReport,
    Marks,
    merged,
    merged_within_limit,
    without_far,
)

WAITER = "wait-gate"  # the thread that reports the gate's exit
FIRST_SAMPLES_S = 15.0  # within this time Prometheus sends to the gate, if it has anything to send
PROVEN_S = 30.0  # if a gate has run for longer, its earlier failures no longer count


@dataclass(frozen=True, slots=True)
class GateState:
    """The gate's process, its last order, and its last report.

    - ``pid``: None while no process runs.
    - ``started_at``, ``started_time``: when the process was started, on CLOCK_BOOTTIME and as wall
      time.
    - ``killed_at``, ``exited_at``: when this process was killed, and when the last one exited; None
      if it did not happen.
    - ``is_unwatched``: the thread that reports the exit has ended.
    - ``receiving_since``: when Prometheus was first known to send to all endpoints of this process.
    - ``has_received``: Prometheus has sent to all endpoints of this process, or of an earlier one.
    - ``lost_at``: when a gate exited that was open and held samples. Prometheus does not send these
      again.
    - ``failures``, ``restarts``: the successive failures, and all restarts.
    - ``order``, ``report``: the last order, and the last report.
    - ``opened_number``, ``closed_number``, ``hand_over_number``: the numbers of the orders to this
      process that last opened it, closed it, or started a hand-over; 0 if there is none.
    - ``opened_at``, ``hand_over_at``: the times of these orders.
    - ``other_marks``: the marks on the lease, and those of earlier gates.
    """

    pid: int | None = None
    started_at: float = 0.0
    started_time: float = 0.0
    killed_at: float | None = None
    is_unwatched: bool = False
    receiving_since: float | None = None
    has_received: bool = False
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
    other_marks: Marks = field(default_factory=dict)

    @property
    def may_pass(self) -> bool:
        """Whether the gate may pass a request on, or have one in flight."""
        if self.pid is None or not self.opened_number:
            return False
        if self.killed_at is not None and self.is_unwatched:
            return False
        has_closed = self.order.open_until is None and self.report.order >= self.closed_number
        return self.report.is_open or not has_closed

    @property
    def passes(self) -> bool:
        """Whether the gate has reported that it is open, and is ordered to stay open."""
        is_reported = self.report.is_open and self.report.order >= self.opened_number > 0
        return is_reported and self.order.open_until is not None and self.killed_at is None

    @property
    def has_handed_over(self) -> bool:
        """Whether the receivers have acknowledged all samples from before the hand-over."""
        has_obeyed = self.report.order >= self.hand_over_number > 0
        return has_obeyed and self.report.has_handed_over

    def lacks_samples(self, names: Iterable[str]) -> bool:
        """Return whether this gate lacks samples that are newer than a mark.

        It does if Prometheus began to send to it only after the mark: it lacks the samples from the
        mark until that time. ``names`` are the endpoints to consider.
        """
        since = self.receiving_since
        after_s = math.inf if since is None else since - self.started_at
        receiving_ms, marks = (self.started_time + after_s) * 1000, self.marks
        return any(marks[name] < receiving_ms for name in names if name in marks)

    def awaits_samples(self, now: float) -> bool:
        """Return whether this replica has just started, so that Prometheus has not sent yet.

        Such a replica could not take over without a gap.
        """
        if self.has_received or self.restarts or self.failures:
            return False
        return self.pid is None or now < self.started_at + FIRST_SAMPLES_S

    @property
    def marks(self) -> Mapping[str, int]:
        """The newest known marks: those that the gate reports, and others within a limit."""
        return merged_within_limit(self.report.marks, self.other_marks)


def fold(gate: GateState, happened: Event | Action, now: float) -> GateState:
    """Return the state after one event, or after one action of the plan."""
    match happened:
        case GateStarted(pid, time):
            return _started(gate, pid, time, now)
        case GateExited():
            return _exited(gate, now)
        case GateReported(pid, report) if pid == gate.pid:
            return _reported(gate, report, now)
        case KillGate():
            return replace(gate, killed_at=now)
        case ThreadEnded(name) if name == WAITER:
            return replace(gate, is_unwatched=True)
        case OrderGate(order):
            return _ordered(gate, order, now)
        case LeaseReported(view, time) if view.last is not None and view.last.marks:
            return replace(
                gate,
                other_marks=merged(gate.other_marks, without_far(view.last.marks, time * 1000)),
            )
        case _:
            return gate


def _reported(gate: GateState, report: GateReport, now: float) -> GateState:
    receives = bool(report.endpoints) and all(_is_sent_to(each) for each in report.endpoints)
    since = now if receives and gate.receiving_since is None else gate.receiving_since
    has_received = gate.has_received or receives
    return replace(gate, report=report, receiving_since=since, has_received=has_received)


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
        receiving_since=None,
        exited_at=None,
        restarts=gate.restarts + (gate.exited_at is not None),
    )


def _exited(gate: GateState, now: float) -> GateState:
    """Return the state without this process' orders and reports; its marks are kept.

    If no process was running, the event means that one could not be started.
    """
    is_proven = gate.pid is not None and now - gate.started_at > PROVEN_S
    failures = 1 if is_proven else gate.failures + 1
    held = any(each.held_batches for each in gate.report.endpoints)
    return replace(
        gate,
        pid=None,
        exited_at=now,
        lost_at=now if held and gate.order.open_until is not None else gate.lost_at,
        failures=failures,
        order=GateOrder(gate.order.number),
        opened_number=0,
        closed_number=0,
        hand_over_number=0,
        report=GateReport(),
        other_marks=gate.marks,
    )


def _ordered(gate: GateState, order: GateOrder, now: float) -> GateState:
    """Return the state after an order; the gate counts as open from the decision to open it."""
    after = replace(gate, order=order)
    if order.open_until is not None and gate.order.open_until is None:
        after = replace(after, opened_number=order.number, opened_at=now)
    if order.open_until is None and gate.order.open_until is not None:
        after = replace(after, closed_number=order.number)
    if not order.hands_over:
        return replace(after, hand_over_number=0)
    if not gate.order.hands_over:
        return replace(after, hand_over_number=order.number, hand_over_at=now)
    return after
