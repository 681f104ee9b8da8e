"""Fencing: making certain that a former leader no longer writes; pure.

The dead-man's switch is armed before the leader rendering can be loaded, and Prometheus is killed
at the last moment unless its demotion has been confirmed. Limit: a sidecar cannot kill Prometheus.
The gate has a switch of its own; it too is killed at the last moment if it is not closed.
"""

from __future__ import annotations

import signal

from wrapper.model.actions import Action, ArmSwitch, DisarmSwitch, KillGate, SignalPrometheus
from wrapper.model.roles import Reason, Role
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

# The supervisor kills Prometheus this much before the kernel timer fires, so that it can log why.
KILL_LEAD_S = 0.05


def last_moment_of(o: Observation, policy: Policy) -> float | None:
    """Return when Prometheus must have stopped writing, counted from the last renewal."""
    if o.lease.last_renewed_at is None:
        return None
    return o.lease.last_renewed_at + policy.terms.last_moment_s


def fence(
    o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
) -> tuple[Action, ...]:
    """Arm or disarm the dead-man's switch; kill what was not demoted, or closed, in time."""
    of_prometheus = _fence_prometheus(o, policy, role, obstacle, now) if policy.owns_child else ()
    return (*of_prometheus, *fence_gate(o, policy, role, now))


def fence_gate(o: Observation, policy: Policy, role: Role, now: float) -> tuple[Action, ...]:
    """Kill a gate that may still pass requests on when it must not."""
    if o.gate is None or not o.gate.may_pass or o.gate.killed_at is not None:
        return ()
    if policy.fixed_role is not None:
        return ()
    last_moment = last_moment_of(o, policy)
    if last_moment is None:
        return (KillGate("it may pass requests on without a lease"),)
    if now >= last_moment - KILL_LEAD_S:
        return (KillGate("it had not closed before another replica may acquire the lease"),)
    is_overdue = o.role is Role.FOLLOWER and now >= o.role_since + policy.demotion_grace_s
    if role is Role.FOLLOWER and is_overdue:
        return (KillGate(f"it had not closed within {policy.demotion_grace_s:g} s"),)
    return ()


def _fence_prometheus(
    o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
) -> tuple[Action, ...]:
    file = o.rendered_file
    will_write = role is Role.LEADER and file.would_write
    # Prometheus has inherited the lock file: if this process hangs, only its end frees the lock.
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
    if o.leaving.stop_signals > 1:
        return "asked a second time to stop"
    if o.role is Role.FOLLOWER and (problem := o.rendered_file.closing_problem):
        return problem
    is_overdue = o.role is Role.FOLLOWER and now >= o.role_since + policy.demotion_grace_s
    if obstacle and is_overdue:
        return f"its demotion was not confirmed within {policy.demotion_grace_s:g} s"
    return ""
