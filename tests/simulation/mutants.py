"""Mutants of the safety rules: the simulation must detect each of them.

A mutant replaces functions of the core by ones without a rule, and names the profile of histories
in which that is detected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation import profiles
from tests.simulation.profiles import Profile
from tests.simulation.replica import DURATION_S
from wrapper.base import clock
from wrapper.election import lease_rules
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.actions import Action, ArmSwitch
from wrapper.model.configuration import Evidence, Rendering
from wrapper.model.lease import LeaseRecord, LeaseView, ObservedLease
from wrapper.model.roles import Reason, Role, Stance
from wrapper.supervision import candidacy, config_rollback, fence, loaded_rendering
from wrapper.supervision.loaded_rendering import LoadState
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy


@dataclass(frozen=True)
class Mutant:
    """A rule that is removed: ``owner.name`` becomes ``instead``; ``rule`` describes it."""

    rule: str
    owner: Any
    name: str
    instead: Any
    profile: Profile


_FREE_AT, _WRITTEN = lease_rules._free_at, lease_rules.on_written
_FENCE, _LAST_MOMENT = fence.fence, fence.last_moment_of
_Fence = Callable[[Observation, Policy, Role, Reason | None, float], tuple[Action, ...]]


def _releases_at_once(_o: Observation, obstacle: str, _now: float) -> Stance:
    return Stance.RELEASE if obstacle else Stance.CONTEND


def _free_by_remote_time(record: LeaseRecord | None, now: float, terms: LeaseTerms) -> float:
    if record is None or not record.holder or not record.renew_time or terms.owns(record):
        return _FREE_AT(record, now, terms)
    return now + float(record.renew_time) + record.duration_s - float(clock.rfc3339_micro())


def _written_at_reply(
    view: LeaseView, seen: ObservedLease, sent_at: float, now: float
) -> LeaseView:
    return _WRITTEN(view, seen, now, now)


def _fence_without(is_left_out: Callable[[Observation, Action], bool]) -> _Fence:
    def fence_less(
        o: Observation, policy: Policy, role: Role, obstacle: Reason | None, now: float
    ) -> tuple[Action, ...]:
        actions = _FENCE(o, policy, role, obstacle, now)
        return tuple(action for action in actions if not is_left_out(o, action))

    return fence_less


def _arms_late(o: Observation, action: Action) -> bool:
    loading = o.configuration.loading
    is_unconfirmed = not loading.is_settled or not loading.may_be_leader
    return isinstance(action, ArmSwitch) and is_unconfirmed


def _since_shown_in_any_order(loading: LoadState, evidence: Evidence) -> tuple[Rendering, ...]:
    target = loading.possibly_shown[-1]
    return (
        (target,) if loaded_rendering._may_be(loading, target, evidence) else loading.possibly_shown
    )


def _last_moment_by_the_lease(o: Observation, policy: Policy) -> float | None:
    last_moment = _LAST_MOMENT(o, policy)
    return None if last_moment is None else last_moment - policy.terms.last_moment_s + DURATION_S


MUTANTS = (
    Mutant(
        "the lease is given back only when Prometheus cannot write any more",
        candidacy,
        "stance_of",
        _releases_at_once,
        profiles.HASTY,
    ),
    Mutant(
        "remote times are never compared with a clock",
        lease_rules,
        "_free_at",
        _free_by_remote_time,
        profiles.ANY,
    ),
    Mutant(
        "leadership counts from when the renewal was sent",
        lease_rules,
        "on_written",
        _written_at_reply,
        profiles.LATE,
    ),
    Mutant(
        "what cannot be demoted is killed, by us or by the kernel",
        fence,
        "fence",
        _fence_without(lambda _o, _action: True),
        profiles.CUT_OFF,
    ),
    Mutant(
        "the switch is armed",
        fence,
        "fence",
        _fence_without(lambda _o, action: isinstance(action, ArmSwitch)),
        profiles.FROZEN,
    ),
    Mutant(
        "the switch is armed before the leader rendering is written",
        fence,
        "fence",
        _fence_without(_arms_late),
        profiles.FROZEN,
    ),
    Mutant(
        "the last moment leaves room for clocks that differ",
        fence,
        "last_moment_of",
        _last_moment_by_the_lease,
        profiles.LATE,
    ),
    Mutant(
        "only the same pod takes back a lease of its name",
        LeaseTerms,
        "owns",
        lambda terms, record: record is not None and record.holder == terms.identity,
        profiles.NAMESAKES,
    ),
    Mutant(
        "a deleted lease is waited out",
        lease_rules,
        "_record_after_deletion",
        lambda _last: None,
        profiles.REMOVED,
    ),
    Mutant(
        "a release that nobody signed is followed by a margin",
        LeaseTerms,
        "margin_s",
        property(lambda _terms: 0.0),
        profiles.PEER,
    ),
    Mutant(
        "what was shown before a promotion does not prove its demotion",
        loaded_rendering,
        "_since_shown",
        _since_shown_in_any_order,
        profiles.HASTY,
    ),
    Mutant(
        "one reload that succeeds proves nothing",
        loaded_rendering,
        "_PROVING_SUCCESSES",
        1,
        profiles.HASTY,
    ),
    Mutant(
        "a lease that may have been given back does not count",
        candidacy,
        "_may_be_released",
        lambda _o: False,
        profiles.UNANSWERED,
    ),
    Mutant(
        "what Prometheus refuses does not stay in its file",
        config_rollback,
        "target",
        lambda _rollback, newest, role: newest.of(role),
        profiles.EDITED,
    ),
    Mutant(
        "a leader rendering counts from before its rename",
        LoadState,
        "may_be_leader",
        property(lambda loading: any(c.role is Role.LEADER for c in loading.possibly_in_force)),
        profiles.SLUGGISH,
    ),
)
