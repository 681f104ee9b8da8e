"""Decides the orders to the gate: open, close, or hand over; also restarts it; pure.

In an ordered hand-over, the replica stays the leader while the gate sends the samples scraped up to
the beginning of the hand-over.

Guarantee: after a complete hand-over, no sample is sent twice and none is lost.

Limitations:

- Samples that reach a gate more than the window (see ``gate.watermark``) after their timestamp may
  be sent twice, or be lost.
- ``fence``, not this module, kills a gate that must be closed but is not.
"""

from __future__ import annotations

import math
from dataclasses import replace

from wrapper.base.backoff import backoff_s
from wrapper.election import lease_rules
from wrapper.model.actions import Action, OrderGate, StartGate
from wrapper.model.gate import Endpoint, GateOrder
from wrapper.model.roles import Cause, Reason, Role
from wrapper.supervision.fence import last_moment_of
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

RETRY_FIRST_S = 0.1
RETRY_MOST_S = 10.0
DEMOTION_S = 1.0  # this part of the grace period is reserved for the demotion after a hand-over
_IN_ORDER = frozenset({Cause.STOPPING, Cause.STEPPING_DOWN})


def hands_over(o: Observation, policy: Policy, obstacle: Reason | None, now: float) -> bool:
    """Return whether to stay the leader for now, so that the gate can complete its hand-over."""
    gate = o.gate
    if obstacle is None or obstacle.cause not in _IN_ORDER or o.role is not Role.LEADER:
        return False
    if gate is None or not gate.passes or gate.has_handed_over or o.stopping.is_urgent:
        return False
    if not lease_rules.leads(o.lease.view, policy.terms, now):
        return False
    return now < _hand_over_ends_at(gate, policy, now)


def _hand_over_ends_at(gate: GateState, policy: Policy, now: float) -> float:
    began_at = gate.hand_over_at if gate.hand_over_number else now
    return began_at + max(policy.demotion_grace_s - DEMOTION_S, 0.0)


def orders(
    o: Observation, policy: Policy, role: Role, now: float, *, is_handing_over: bool = False
) -> tuple[Action, ...]:
    """Return the action that starts the gate, or that sends a new order if it has changed."""
    gate = o.gate
    if gate is None:
        return ()
    if gate.pid is None:
        return _start(o, gate, now)
    wanted = GateOrder(
        number=gate.order.number,
        open_until=_open_until(o, policy, role),
        hands_over=is_handing_over,
        leader=o.lease.view.holder,
        marks=gate.other_marks,
        endpoints=_endpoints(o, gate, role),
    )
    if wanted == gate.order:
        return ()
    return (OrderGate(replace(wanted, number=wanted.number + 1)),)


def wakes_at(o: Observation, policy: Policy) -> float | None:
    """Return the deadline of the current hand-over, None if there is none."""
    gate = o.gate
    if gate is None or not gate.hand_over_number:
        return None
    return _hand_over_ends_at(gate, policy, 0.0)


def _open_until(o: Observation, policy: Policy, role: Role) -> float | None:
    """Return the deadline by which the gate must close, None if it must be closed now."""
    if role is not Role.LEADER:
        return None
    return math.inf if policy.fixed_role is not None else last_moment_of(o, policy)


def _endpoints(o: Observation, gate: GateState, role: Role) -> tuple[Endpoint, ...]:
    """Return the endpoints of the desired rendering, and those that Prometheus may still send to.

    The gate drops the samples that it holds for an endpoint when the endpoint is removed. So an
    endpoint is kept until a rendering without it is in force, because Prometheus may refuse that
    rendering. Until then, it is also kept as it was: a new URL may belong to another receiver,
    which must not get the credentials that Prometheus still sends.
    """
    configuration = o.configuration
    possible = (*configuration.loading.possibly_in_force, configuration.target(role))
    ordered = (each for each in gate.order.endpoints if any(each in r.endpoints for r in possible))
    found = {each.name: each for each in ordered}
    for rendering in possible:
        found = {each.name: each for each in rendering.endpoints} | found
    return tuple(found.values())


def _start(o: Observation, gate: GateState, now: float) -> tuple[Action, ...]:
    """Return the action that starts the gate; after failures, with exponential back-off."""
    if o.child.status is not None:
        return ()
    if gate.exited_at is None:
        return (StartGate(),)
    pause_s = backoff_s(gate.failures, RETRY_FIRST_S, RETRY_MOST_S)
    return (StartGate(),) if now >= gate.exited_at + pause_s else ()
