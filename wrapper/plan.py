"""The decision: from what is known, what should be, what to do about it, and why; pure.

``plan`` compares desired with observed each time it is asked, so that a lost event or a failed
reload heals on the next turn. Two rules stand above all others here:

- a possible writer is fenced: the dead-man's switch is armed before the leader rendering can be
  loaded, and Prometheus is killed at the last moment unless its demotion has been confirmed;
- the lease is given back only when Prometheus cannot write any more.

Where the guarantee ends: a Prometheus that someone else owns (the sidecar form) cannot be killed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper import lease
from wrapper.confirm import Outcome
from wrapper.health import backoff_s
from wrapper.lease import Terms
from wrapper.model import (
    Action,
    ArmSwitch,
    DisarmSwitch,
    Exit,
    ReadConfiguration,
    ReloadPrometheus,
    Rendering,
    Role,
    SignalPrometheus,
    Stance,
    StartWeb,
    StopWeb,
    WriteRendering,
)
from wrapper.observation import Observation

# The supervisor acts this much before the kernel timer would, so that it can say why.
KILL_LEAD_S = 0.05
SUCCESSOR_WAIT_S = 1.0
DEAD_WEB_GRACE_S = 1.0
BARRIER_PAUSE_S = 0.5
WRITE_RETRY_S = 1.0
LONGEST_COOL_DOWN_S = 300.0
WEB_RETRY_FIRST_S = 0.2
WEB_RETRY_MOST_S = 30.0
KILLED = 128


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decisions depend on; durations in seconds.

    ``fixed_role`` is set where there is no election. ``owns_child`` is false in the sidecar form.
    """

    terms: Terms
    fixed_role: Role | None = None
    owns_child: bool = True
    serves_web: bool = True
    demotion_grace_s: float = 8.0
    prometheus_grace_s: float = 20.0
    web_grace_s: float = 15.0
    reload_retry_s: float = 10.0
    reload_attempts: int = 5
    cool_down_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be, what to do now, why (one sentence), and when to think again at the latest."""

    role: Role
    stance: Stance
    actions: tuple[Action, ...]
    reason: str
    wake_at: float
    gives_up_promotion: bool = False


def plan(o: Observation, policy: Policy, now: float) -> Plan:
    """Decide what this replica should be and do, given all that is known at ``now``."""
    if o.child_status is not None:
        return _after_exit(o, policy, now)
    if policy.fixed_role is not None:
        return _without_election(o, policy, now)
    obstacle, gives_up = _obstacle(o, policy, now)
    role, reason = _role(o, policy, now, obstacle)
    stance = _stance(o, obstacle)
    return Plan(
        role=role,
        stance=stance,
        actions=(
            *_fence(o, policy, role, obstacle, now),
            *_converge(o, policy, role, now),
            *_answer_signals(o),
            *_leave(o, policy, now),
            *_web(o, policy, now),
        ),
        reason=reason,
        wake_at=now if o.role is not role else _wake_at(o, policy, now),
        gives_up_promotion=gives_up,
    )


def apply(o: Observation, decided: Plan, policy: Policy, now: float) -> Observation:
    """Note what a plan's own decisions change: what is armed, given up, ended, given back."""
    for action in decided.actions:
        match action:
            case ArmSwitch(at):
                o = replace(o, switch_at=at)
            case DisarmSwitch():
                o = replace(o, switch_at=None)
            case SignalPrometheus(signal.SIGKILL):
                o = replace(o, killed_at=now)
            case SignalPrometheus(signal.SIGTERM):
                o = replace(o, terminated_at=now)
            case StopWeb():
                o = replace(o, web_stopped_at=now)
            case _:
                pass
    if decided.stance is Stance.RELEASE:
        o = replace(o, release_ordered_at=now)
    if decided.gives_up_promotion:
        failures = o.failed_promotions + 1
        pause_s = backoff_s(failures, policy.cool_down_s, LONGEST_COOL_DOWN_S)
        o = replace(
            o,
            failed_promotions=failures,
            cools_until=now + pause_s,
            promotion_problem=decided.reason,
        )
    return o


# --- who this replica should be ---


def _obstacle(o: Observation, policy: Policy, now: float) -> tuple[str, bool]:
    """Return why this replica should not lead ("" when it may), and whether a promotion failed."""
    if o.stop_at is not None:
        return "asked to stop", False
    if not o.is_ready:
        return f"Prometheus is not ready{_because(o.readiness_detail)}", False
    if not o.health.is_healthy:
        return f"Prometheus is unhealthy{_because(o.health.detail)}", False
    if o.fence_obstacle:
        return f"cannot be fenced: {o.fence_obstacle}", False
    if o.fence_obstacle is None and policy.owns_child:
        return "checking that Prometheus can be fenced", False
    if o.steps_down_until is not None and now < o.steps_down_until:
        return "asked to step down", False
    if now < o.cools_until:
        return f"cooling down after a failed promotion{_because(o.promotion_problem)}", False
    failure = _failed_promotion(o, policy, now)
    return failure, bool(failure)


def _because(detail: str) -> str:
    return f": {detail}" if detail else ""


def _failed_promotion(o: Observation, policy: Policy, now: float) -> str:
    """Return why the promotion under way has to be given up, "" when it has not.

    A leader that already has a leader's configuration in force stays what it is when a newer one
    cannot be had: a bad edit never takes the writer away.
    """
    if o.role is not Role.LEADER or not o.loading.may_be_follower:
        return ""
    if o.write_problem and o.write_failed_role is Role.LEADER:
        return f"the leader rendering cannot be written: {o.write_problem}"
    written = o.loading.written
    if written is None or written.role is not Role.LEADER or o.loading.outcome is Outcome.LOADED:
        return ""
    if o.loading.outcome is Outcome.FAILED:
        return f"the leader rendering was refused{_because(o.loading.problem)}"
    limit_s = policy.reload_retry_s * policy.reload_attempts
    is_overdue = now >= o.loading.written_at + limit_s
    return f"the reload was not confirmed within {limit_s:g} s" if is_overdue else ""


def _role(o: Observation, policy: Policy, now: float, obstacle: str) -> tuple[Role, str]:
    """Return the desired role and the reason for it."""
    if obstacle:
        return Role.FOLLOWER, obstacle
    if lease.leads(o.lease, policy.terms, now):
        if _is_given_back(o):
            return Role.FOLLOWER, "the lease was being given back; it has to be renewed first"
        return Role.LEADER, "holds the lease"
    if o.holds_lease:
        return Role.FOLLOWER, f"the lease was not renewed in time{_because(o.lease.problem)}"
    return Role.FOLLOWER, _why_following(o, policy)


def _is_given_back(o: Observation) -> bool:
    """Tell whether a release may be on its way: only a renewal sent after that order counts.

    Its answer may be late or lost, and another may lead already.
    """
    ordered_at, renewed_at = o.release_ordered_at, o.lease.renewed_at
    return ordered_at is not None and renewed_at is not None and renewed_at <= ordered_at


def _why_following(o: Observation, policy: Policy) -> str:
    if o.lease.problem:
        return f"the lease is out of reach: {o.lease.problem}"
    if o.lease.holder == policy.terms.identity:
        return "the lease is held by an earlier replica of this name; waiting it out"
    if o.lease.holder:
        return f"{o.lease.holder} holds the lease"
    return "contending for the lease"


def _stance(o: Observation, obstacle: str) -> Stance:
    """Give the lease back only when Prometheus cannot write any more, and when that was said.

    The turn that ends leadership publishes it first: otherwise two would say that they lead.
    """
    if not obstacle:
        return Stance.CONTEND
    return Stance.HOLD if o.may_write or o.role is Role.LEADER else Stance.RELEASE


# --- fencing ---


def _last_moment(o: Observation, policy: Policy) -> float | None:
    """Return the last moment at which Prometheus may write, by the last good renewal."""
    if o.last_renewed_at is None:
        return None
    return o.last_renewed_at + policy.terms.last_moment_s


def _fence(
    o: Observation, policy: Policy, role: Role, obstacle: str, now: float
) -> tuple[Action, ...]:
    """Keep the dead-man's switch where it belongs, and kill what could not be demoted."""
    if not policy.owns_child:
        return ()
    will_write = role is Role.LEADER and o.renderings.has_overrides
    if not (o.may_write or will_write):
        return () if o.switch_at is None else (DisarmSwitch(),)
    reason = _why_kill(o, policy, role, obstacle, now)
    kill = (SignalPrometheus(signal.SIGKILL, reason),) if reason and o.killed_at is None else ()
    last_moment = _last_moment(o, policy)
    switch = () if last_moment in (None, o.switch_at) else (ArmSwitch(last_moment),)
    return (*kill, *switch)


def _why_kill(o: Observation, policy: Policy, role: Role, obstacle: str, now: float) -> str:
    if not o.may_write:
        return ""
    last_moment = _last_moment(o, policy)
    if last_moment is None:
        return "it may write without a lease"
    if now >= last_moment - KILL_LEAD_S:
        return "its demotion was not confirmed before the lease may be taken by another"
    if role is Role.LEADER:
        return ""
    if o.stop_signals > 1:
        return "asked a second time to stop"
    if o.write_problem and o.write_failed_role is Role.FOLLOWER and o.role is Role.FOLLOWER:
        return f"the follower rendering cannot be written: {o.write_problem}"
    is_overdue = o.role is Role.FOLLOWER and now >= o.role_since + policy.demotion_grace_s
    if obstacle and is_overdue:
        return f"its demotion was not confirmed within {policy.demotion_grace_s:g} s"
    return ""


# --- what Prometheus reads ---


def _converge(o: Observation, policy: Policy, role: Role, now: float) -> tuple[Action, ...]:
    """Bring the output file, then Prometheus, to the rendering of the desired role."""
    target = o.renderings.of(role)
    if o.killed_at is not None or o.loading.incoming is not None:
        return ()
    if o.loading.written != target:
        return _write(o, target, role, now)
    return (ReloadPrometheus(target.fingerprint),) if _reload_is_due(o, policy, now) else ()


def _write(o: Observation, target: Rendering, role: Role, now: float) -> tuple[Action, ...]:
    is_too_soon = o.write_problem and role is o.role and now < o.write_failed_at + WRITE_RETRY_S
    return () if is_too_soon else (WriteRendering(target),)


def _reload_is_due(o: Observation, policy: Policy, now: float) -> bool:
    if not o.was_ready:
        return False
    if o.loading.is_settled and o.loading.outcome is Outcome.LOADED:
        return False
    sent_at = o.loading.reload_sent_at
    if sent_at is None:
        return True
    pause_s = BARRIER_PAUSE_S if o.loading.wants_barrier else policy.reload_retry_s
    return now >= sent_at + pause_s


def _answer_signals(o: Observation) -> tuple[Action, ...]:
    """Do what SIGHUP means for Prometheus, inputs included; pass the signals that are its own."""
    passed = tuple(SignalPrometheus(number) for number in o.passed_on)
    if not o.wants_configuration:
        return passed
    fingerprint = o.loading.written.fingerprint if o.loading.written else ""
    return (*passed, ReadConfiguration(), ReloadPrometheus(fingerprint))


# --- leaving ---


def _leave(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Stop Prometheus once its lease is free and a successor has been seen, or waited for."""
    if o.stop_at is None or o.killed_at is not None:
        return ()
    if not policy.owns_child:
        return _leave_sidecar(o, policy, now)
    if o.stop_signals > 1:
        return (SignalPrometheus(signal.SIGKILL, "asked a second time to stop"),)
    if o.terminated_at is not None:
        is_overdue = now >= o.terminated_at + policy.prometheus_grace_s
        reason = f"it did not stop within {policy.prometheus_grace_s:g} s"
        return (SignalPrometheus(signal.SIGKILL, reason),) if is_overdue else ()
    if not _may_stop(o, policy, now):
        return ()
    return (SignalPrometheus(signal.SIGTERM, "asked to stop"),)


def _may_stop(o: Observation, policy: Policy, now: float) -> bool:
    """Tell whether nothing is left to hand over."""
    if o.may_write:
        return False
    if o.holds_lease:
        return _release_has_had_its_time(o, policy, now)
    released_at = o.lease.released_at
    if released_at is None or o.stop_at is None or released_at < o.stop_at:
        return True
    has_successor = o.lease.holder not in ("", policy.terms.identity)
    return has_successor or now >= released_at + SUCCESSOR_WAIT_S


def _release_has_had_its_time(o: Observation, policy: Policy, now: float) -> bool:
    if o.safe_since is None or o.stop_at is None:
        return False
    return now >= max(o.safe_since, o.stop_at) + policy.terms.retry_period_s


def _leave_sidecar(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Without a child there is nothing to stop but ourselves; a grace bounds the demotion."""
    is_overdue = o.stop_at is not None and now >= o.stop_at + policy.demotion_grace_s
    if o.stop_signals > 1 or is_overdue or _may_stop(o, policy, now):
        return _end(o, 0, policy.web_grace_s, now)
    return ()


def _after_exit(o: Observation, policy: Policy, now: float) -> Plan:
    """Prometheus is dead: release at once, end the web server, pass its status on."""
    status = o.child_status or 0
    code = status if status >= 0 else KILLED - status
    waits = o.holds_lease and now < o.child_exited_at + policy.terms.retry_period_s
    grace_s = policy.web_grace_s if o.stop_at is not None else DEAD_WEB_GRACE_S
    disarm = () if o.switch_at is None else (DisarmSwitch(),)
    return Plan(
        role=Role.FOLLOWER,
        stance=Stance.HOLD if o.role is Role.LEADER else Stance.RELEASE,
        actions=(*disarm, *_end(o, code, grace_s, now, waits=waits)),
        reason=f"Prometheus has ended with status {code}",
        wake_at=now if o.role is Role.LEADER else now + BARRIER_PAUSE_S,
    )


def _end(
    o: Observation, code: int, grace_s: float, now: float, *, waits: bool = False
) -> tuple[Action, ...]:
    """Stop the web server, then exit when it has gone and nothing else is waited for."""
    stop = () if o.web_stopped_at is not None else (StopWeb(),)
    stopped_at = now if o.web_stopped_at is None else o.web_stopped_at
    is_gone = o.web_pid is None or now >= stopped_at + grace_s
    return (*stop, Exit(code)) if is_gone and not waits else stop


# --- the rest ---


def _without_election(o: Observation, policy: Policy, now: float) -> Plan:
    """Be what ``--role`` says from the moment Prometheus is ready; stop when asked to."""
    is_leader = policy.fixed_role is Role.LEADER and (o.was_ready or not policy.owns_child)
    role = Role.LEADER if is_leader else Role.FOLLOWER
    return Plan(
        role=role,
        stance=Stance.RELEASE,
        actions=(
            *_converge(o, policy, role, now),
            *_answer_signals(o),
            *_leave(_unfenced(o), policy, now),
            *_web(o, policy, now),
        ),
        reason=f"no election; the role is set to {policy.fixed_role}",
        wake_at=_wake_at(o, policy, now),
    )


def _unfenced(o: Observation) -> Observation:
    """Return what is known, for one who needs not mind who else writes."""
    return replace(o, loading=replace(o.loading, candidates=(), incoming=None))


def _web(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Start the web server, and start it again after a growing pause when it has died."""
    if not policy.serves_web or o.web_pid is not None or o.web_stopped_at is not None:
        return ()
    if o.web_exited_at is None:
        return (StartWeb(),)
    pause_s = backoff_s(o.web_failures, WEB_RETRY_FIRST_S, WEB_RETRY_MOST_S)
    return (StartWeb(),) if now >= o.web_exited_at + pause_s else ()


def _wake_at(o: Observation, policy: Policy, now: float) -> float:
    """Return the next moment at which time alone may change the decision."""
    moments = [
        now + BARRIER_PAUSE_S,
        lease.leads_until(o.lease, policy.terms),
        o.lease.released_at and o.lease.released_at + SUCCESSOR_WAIT_S,
    ]
    last_moment = _last_moment(o, policy)
    if o.may_write and last_moment is not None:
        moments.append(last_moment - KILL_LEAD_S)
    return min(moment for moment in moments if moment is not None and moment > now)
