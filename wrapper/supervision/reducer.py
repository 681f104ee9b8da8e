"""The reducer: returns the observation after an event, or after a plan of the loop; pure.

It is the only module that changes the observation, and it decides nothing.

Guarantee: the observation contains a plan before the plan is performed. Above all, a rendering
counts as possibly loaded *before* Prometheus can load it.
"""

from __future__ import annotations

import signal
from dataclasses import replace

from wrapper.election import pod_label_state
from wrapper.model.actions import Action, ArmSwitch, DisarmSwitch, StopWeb
from wrapper.model.events import (
    Event,
    FeedReported,
    FenceChecked,
    LeaseReported,
    QueueReported,
    SignalReceived,
    WebExited,
    WebStarted,
)
from wrapper.model.roles import Role, Stance
from wrapper.supervision import (
    child_state,
    configuration_state,
    gate_state,
    promotion_failures,
    requested_reload,
    stop_requests,
)
from wrapper.supervision.observation import (
    Fencing,
    LeaseState,
    Observation,
    PendingRequests,
    TargetsState,
    WebState,
)
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.promotion_failures import PROVEN_S, Promotion
from wrapper.supervision.stop_requests import STOP_SIGNALS

_WEB_PROVEN_S = 30.0  # if a web server has run for longer, its earlier failures no longer count


def fold(o: Observation, happened: Event | Plan, now: float, policy: Policy) -> Observation:
    """Return the observation after one event, or after one plan."""
    if isinstance(happened, Plan):
        return _decided(o, happened, now, policy)
    return _folded(o, happened, now, policy)


def _folded(o: Observation, happened: Event | Action, now: float, policy: Policy) -> Observation:
    """Return the observation after one event or action; each part sees the earlier other parts."""
    return replace(
        o,
        configuration=configuration_state.fold(
            o.configuration,
            happened,
            now,
            role=o.role,
            limit_s=policy.reload_limit_s,
            ignores_refusals=o.reload.may_explain_refusal,
        ),
        child=child_state.fold(o.child, happened, now, policy),
        fencing=_fencing(o.fencing, happened),
        lease=_lease(o.lease, happened),
        promotion=promotion_failures.fold(o.promotion, happened, o.configuration.renderings),
        stopping=stop_requests.fold(o.stopping, happened, now, policy),
        pending=_pending(o.pending, happened),
        label=o.label and pod_label_state.fold(o.label, happened, now),
        web=_web(o.web, happened, now),
        gate=o.gate and gate_state.fold(o.gate, happened, now),
        reload=requested_reload.fold(o.reload, happened, now, o.configuration),
        targets=_targets(o.targets, happened),
    )


def _decided(before: Observation, decided: Plan, now: float, policy: Policy) -> Observation:
    """Return the observation after a plan: its role, its actions, and no pending requests."""
    role, o = decided.role, before
    if role is not before.role:
        o = replace(o, role=role, role_since=now)
    for action in decided.actions:
        o = _folded(o, action, now, policy)
    if decided.stance is Stance.RELEASE:
        o = replace(o, lease=replace(o.lease, release_ordered_at=now))
    return replace(
        o,
        pending=PendingRequests(),
        promotion=_promotion(o, decided, now, policy),
        reload=requested_reload.expire(o.reload, o.configuration, now, policy.reload_limit_s),
        safe_since=None if o.writer.may_write else now if o.safe_since is None else o.safe_since,
    )


def _promotion(o: Observation, decided: Plan, now: float, policy: Policy) -> Promotion:
    if decided.gives_up_promotion:
        return promotion_failures.given_up(o.promotion, decided.reason, now, policy.cool_down_s)
    leads = o.role is Role.LEADER and o.configuration.loading.is_loaded
    if leads and now - o.role_since > PROVEN_S:
        return promotion_failures.proven(o.promotion)
    return o.promotion


# --- the parts that have no module of their own ---


def _fencing(fencing: Fencing, happened: Event | Action) -> Fencing:
    match happened:
        case FenceChecked(obstacle):
            return replace(fencing, obstacle=obstacle)
        case ArmSwitch(at):
            return replace(fencing, switch_at=at)
        case DisarmSwitch():
            return replace(fencing, switch_at=None)
        case _:
            return fencing


def _lease(lease: LeaseState, happened: Event | Action) -> LeaseState:
    if not isinstance(happened, LeaseReported):
        return lease
    view = happened.view
    renewed_at = lease.last_renewed_at if view.renewed_at is None else view.renewed_at
    return replace(lease, view=view, last_renewed_at=renewed_at)


def _pending(pending: PendingRequests, happened: Event | Action) -> PendingRequests:
    match happened:
        case SignalReceived(signal.SIGHUP):
            return replace(pending, configuration=True)
        case SignalReceived(signal.SIGUSR1):
            return replace(pending, pause=True)
        case SignalReceived(number) if number not in STOP_SIGNALS:
            return replace(pending, signals=(*pending.signals, number))
        case _:
            return pending


def _web(web: WebState, happened: Event | Action, now: float) -> WebState:
    match happened:
        case WebStarted(pid):
            return replace(web, pid=pid, started_at=now, exited_at=None)
        case WebExited():
            failures = 1 if now - web.started_at > _WEB_PROVEN_S else web.failures + 1
            return replace(web, pid=None, exited_at=now, failures=failures)
        case StopWeb():
            return replace(web, stopped_at=now)
        case _:
            return web


def _targets(targets: TargetsState, happened: Event | Action) -> TargetsState:
    match happened:
        case FeedReported(state):
            return replace(targets, feeds={**targets.feeds, state["file"]: state})
        case QueueReported(state):
            return replace(targets, queue=state)
        case _:
            return targets
