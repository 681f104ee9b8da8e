"""Fencing: ensures that a former leader no longer writes; pure.

The dead-man's switch is a kernel timer that kills the supervisor at the *last moment*; the kernel
then kills Prometheus too. The plan arms it before Prometheus can load the leader rendering.

Guarantee: Prometheus is killed at the last moment unless its demotion has been confirmed. The gate
has its own dead-man's switch; the supervisor also kills it at the last moment if it is not closed.

Limitation: a sidecar cannot kill Prometheus.
"""

from __future__ import annotations

import signal

from wrapper.model.actions import Action, ArmSwitch, DisarmSwitch, KillGate, SignalPrometheus
from wrapper.model.roles import Reason, Role
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

# The supervisor kills Prometheus this long before the kernel timer fires, so that it can log why.
KILL_LEAD_S = 0.05


def last_moment_of(o: Observation, policy: Policy) -> float | None:
    """Return the time by which Prometheus must have stopped writing.

    It is counted from the last renewal; None if the lease was never held.
    """
    if o.lease.last_renewed_at is None:
        return None
    return o.lease.last_renewed_at + policy.terms.last_moment_s


def fence(
    o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
) -> tuple[Action, ...]:
    """Return the actions that arm or disarm the switch, and that kill an overdue writer."""
    of_prometheus = _fence_prometheus(o, policy, role, obstacle, now) if policy.owns_child else ()
    return (*of_prometheus, *fence_gate(o, policy, role, now))


def fence_gate(o: Observation, policy: Policy, role: Role, now: float) -> tuple[Action, ...]:
    """Return the action that kills the gate, if it may still pass requests on but must not."""
    if o.gate is None or not o.gate.may_pass or o.gate.killed_at is not None:
        return ()
    if policy.fixed_role is not None:
        return ()
    last_moment = last_moment_of(o, policy)
    if last_moment is None:
        return (KillGate("it may pass requests on without a lease"),)
    if now >= last_moment - KILL_LEAD_S:
        return (KillGate("it would still be open when another replica may acquire the lease"),)
    is_overdue = o.role is Role.FOLLOWER and now >= o.role_since + policy.demotion_grace_s
    if role is Role.FOLLOWER and is_overdue:
        return (KillGate(f"it had not closed within {policy.demotion_grace_s:g} s"),)
    return ()


def _fence_prometheus(
    o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
) -> tuple[Action, ...]:
    file = o.rendered_file
    will_write = role is Role.LEADER and file.would_write
    # Prometheus has inherited the lock, so it is free only when both processes have ended. If this
    # process hangs, the switch ends both.
    keeps_lock = role is Role.LEADER and policy.is_lock_file and o.writer.would_write
    if not (file.may_write or will_write or keeps_lock):
        return () if o.fencing.switch_at is None else (DisarmSwitch(),)
    reason = _why_kill(o, policy, role, obstacle, now)
    kill = (
        (SignalPrometheus(signal.SIGKILL, reason),) if reason and o.child.killed_at is None else ()
    )
    last_moment = last_moment_of(o, policy)
    switch = () if last_moment in (None, o.fencing.switch_at) else (ArmSwitch(last_moment),)
    return (*kill, *switch)


def _why_kill(
    o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
) -> str:
    if not o.rendered_file.may_write:
        return ""
    last_moment = last_moment_of(o, policy)
    if last_moment is None:
        return "it may write without a lease"
    if now >= last_moment - KILL_LEAD_S:
        return "its demotion was not confirmed before another replica may acquire the lease"
    if role is Role.LEADER:
        return ""
    if o.role is Role.FOLLOWER and (problem := o.rendered_file.closing_problem):
        return problem
    is_overdue = o.role is Role.FOLLOWER and now >= o.role_since + policy.demotion_grace_s
    if obstacle and is_overdue:
        return f"its demotion was not confirmed within {policy.demotion_grace_s:g} s"
    return ""
