"""Mutants of the gate's rules, as in ``mutants``: the simulation must detect each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.simulation import profiles
from tests.simulation.gate import GateProcess
from tests.simulation.profiles import GatedProfile
from wrapper.gate.decisions import Hold, PassOn, Refuse
from wrapper.gate.endpoint_state import EndpointState
from wrapper.gate.gate import FIRST, Gate
from wrapper.gate.hand_over import HandOver
from wrapper.gate.held import Batch, HeldBatches
from wrapper.gate.replay import _Sender
from wrapper.gate.watermark import TrackedRequest, Watermark
from wrapper.model.gate import GateOrder
from wrapper.supervision.gate_state import GateState


@dataclass(frozen=True)
class GateMutant:
    """A rule that is removed: each ``owner.name`` is replaced by the third value."""

    rule: str
    profile: GatedProfile
    patches: tuple[tuple[Any, str, Any], ...]


_RECEIVE, _RELEASE, _APPLY_ORDER = Gate.receive, HeldBatches.release, Gate.apply_order


def _never_closes(gate: Gate) -> float | None:
    return None if gate.order.open_until is None else gate.order.open_until + 1e6


def _takes_all(gate: Gate, name: str, batch: Batch, now: float) -> PassOn | Hold | Refuse:
    decision = _RECEIVE(gate, name, batch, now)
    if isinstance(decision, Refuse) and decision.reason == FIRST:
        return _passed(gate, gate._states[name], batch, now)
    return decision


def _unsplit(
    gate: Gate, state: EndpointState, batch: Batch, _hand_over: HandOver, now: float
) -> PassOn:
    return _passed(gate, state, batch, now)


def _passed(gate: Gate, state: EndpointState, batch: Batch, now: float) -> PassOn:
    closes_at = gate.closes_at
    assert closes_at is not None
    passed = PassOn(state.endpoint.name, batch.body, closes_at, gate._number())
    return gate._pass(state, passed, batch, now)


def _forgets(watermark: Watermark, request: TrackedRequest, *_arguments: Any) -> None:
    watermark._in_flight.discard(request)


def _counts_at_once(watermark: Watermark, body: bytes, now: float, wall_ms: int) -> TrackedRequest:
    request = _ARRIVED(watermark, body, now, wall_ms)
    watermark._in_flight.discard(request)
    return request


_ARRIVED = Watermark.arrived


def _never_hands_over(gate: Gate, order: GateOrder, now: float, wall_ms: int) -> None:
    _APPLY_ORDER(gate, replace(order, hands_over=False), now, wall_ms)


GATE_MUTANTS = (
    GateMutant(
        "past its deadline a gate passes nothing, and the kernel ends it",
        profiles.GATED_FROZEN,
        (
            (Gate, "closes_at", property(_never_closes)),
            (GateProcess, "arm", lambda _gate, _until: None),
        ),
    ),
    GateMutant(
        "the kernel ends a gate that is stopped with a request under way",
        profiles.GATED_FROZEN,
        ((GateProcess, "arm", lambda _gate, _until: None),),
    ),
    GateMutant(
        "the lease is given back only when the gate is closed",
        profiles.GATED_FROZEN,
        ((GateState, "may_pass", property(lambda _gate: False)),),
    ),
    GateMutant(
        "the mark waits for the acknowledgement",
        profiles.GATED_RECEIVER,
        ((Watermark, "arrived", _counts_at_once),),
    ),
    GateMutant(
        "the mark waits for a request that failed",
        profiles.GATED_RECEIVER,
        ((Watermark, "failed", _forgets),),
    ),
    GateMutant(
        "what is held is released by the mark only",
        profiles.GATED_RECEIVER,
        ((HeldBatches, "release", lambda held, mark: _RELEASE(held, mark + 3000)),),
    ),
    GateMutant(
        "what is at or before the mark is left out",
        profiles.GATED_IN_ORDER,
        ((_Sender, "_without_known", lambda sender, _mark: sender._batch.body),),
    ),
    GateMutant(
        "what entered after the mark is sent, whatever its time is",
        profiles.GATED_LATE,
        ((EndpointState, "_entered_after", lambda *_arguments: False),),
    ),
    GateMutant(
        "what is held goes first: until then nothing is taken",
        profiles.GATED_RECEIVER,
        ((Gate, "receive", _takes_all),),
    ),
    GateMutant(
        "a hand-over cuts what is later than its moment",
        profiles.GATED_IN_ORDER,
        ((Gate, "_split", _unsplit),),
    ),
    GateMutant(
        "a hand-over waits for what was scraped before it",
        profiles.GATED_IN_ORDER,
        ((Gate, "_is_done", lambda _gate, state, _hand_over, _now: not state.is_in_flight),),
    ),
)
