"""The one place where what is known changes: by what is reported, and by what is decided; pure.

A decision is taken in before it is performed, so that all that follows from it is known from then
on: above all that a rendering may be loaded, *before* it can be. Nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import replace

from wrapper.election import pod_label_state
from wrapper.model.actions import Action
from wrapper.model.events import Event
from wrapper.model.roles import Role, Stance
from wrapper.supervision import (
    child_state,
    configuration_state,
    fencing,
    lease_state,
    leaving,
    pending_requests,
    promotion,
    requested_reload,
    targets_state,
    web_state,
)
from wrapper.supervision.observation import Observation
from wrapper.supervision.pending_requests import Asked
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.promotion import PROVEN_S, Promotion


def fold(o: Observation, happened: Event | Plan, now: float, policy: Policy) -> Observation:
    """Return the observation with one event, or one decision, taken in."""
    if isinstance(happened, Plan):
        return _decided(o, happened, now, policy)
    return _folded(o, happened, now, policy)


def _folded(o: Observation, happened: Event | Action, now: float, policy: Policy) -> Observation:
    """Have each part take in what has happened, given what was known before."""
    return replace(
        o,
        configuration=configuration_state.fold(
            o.configuration,
            happened,
            now,
            role=o.role,
            limit_s=policy.reload_limit_s,
            is_excused=o.reload.excuses_configuration,
        ),
        child=child_state.fold(o.child, happened, now, policy),
        fencing=fencing.fold(o.fencing, happened),
        lease=lease_state.fold(o.lease, happened),
        promotion=promotion.fold(o.promotion, happened, o.configuration.renderings),
        leaving=leaving.fold(o.leaving, happened, now, policy),
        asked=pending_requests.fold(o.asked, happened),
        label=o.label and pod_label_state.fold(o.label, happened, now),
        web=web_state.fold(o.web, happened, now),
        reload=requested_reload.fold(o.reload, happened, now, o.configuration),
        targets=targets_state.fold(o.targets, happened),
    )


def _decided(before: Observation, decided: Plan, now: float, policy: Policy) -> Observation:
    """Note the role and since when, what is done about it, and that what was asked is answered."""
    role = decided.role
    o = replace(before, role=role, role_since=before.role_since if role is before.role else now)
    for action in decided.actions:
        o = _folded(o, action, now, policy)
    if decided.stance is Stance.RELEASE:
        o = replace(o, lease=replace(o.lease, release_ordered_at=now))
    return replace(
        o,
        asked=Asked(),
        promotion=_promotion(o, decided, now, policy),
        reload=requested_reload.waited(o.reload, o.configuration, now, policy.reload_limit_s),
        safe_since=None if o.writer.may_write else now if o.safe_since is None else o.safe_since,
    )


def _promotion(o: Observation, decided: Plan, now: float, policy: Policy) -> Promotion:
    if decided.gives_up_promotion:
        return promotion.given_up(o.promotion, decided.reason, now, policy.cool_down_s)
    leads = o.role is Role.LEADER and o.configuration.loading.is_loaded
    if leads and now - o.role_since > PROVEN_S:
        return promotion.proven(o.promotion)
    return o.promotion
