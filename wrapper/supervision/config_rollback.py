"""Which rendering a role loads: the newest, unless Prometheus has refused it; pure.

Prometheus itself decides what is refused. A refused rendering is replaced in the output file by the
one that Prometheus last loaded in the desired role, so that a restart finds a configuration that
works. An edit is blamed only while that earlier rendering still loads; otherwise the cause lies
elsewhere (a missing rule file, for example), and both are tried in turn until one loads. Limit: a
refusal is a 500, or a failed reload in Prometheus' metrics; a late reload is not a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role
from wrapper.supervision.confirm import REFUSED, Loading, Outcome


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Which renderings Prometheus has loaded, and which it has refused.

    ``good`` are the renderings of the last input that it loaded in some role, ``proven`` what it
    last loaded in each role. ``refused`` are fingerprints of the newest input. ``acquitted_at`` is
    when the earlier rendering was refused too. ``problem`` is for people, "" for none. ``assumed``
    is the leader rendering of the previous good input, used if no leader rendering was ever loaded.
    ``is_on_trial``: Prometheus exited with the newest input in an earlier run, so that it has to
    load it once before this replica may lead.
    """

    good: Renderings | None = None
    proven: Mapping[Role, Rendering] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    acquitted_at: float | None = None
    problem: str = ""
    assumed: Rendering | None = None
    is_on_trial: bool = False

    def fallback(self, role: Role) -> Rendering | None:
        """Return what a role loads when everything newer is refused, None if nothing is known."""
        return self.proven.get(role) or (self.assumed if role is Role.LEADER else None)


def started_with(
    renderings: Renderings, leader: Rendering | None = None, problem: str = ""
) -> Acceptance:
    """Return the state of a Prometheus that starts with the follower rendering: it loads or exits.

    ``leader`` is what an earlier run had in force as the leader. ``problem`` is why it does not
    start with the newest input; that is tried first, once Prometheus is ready.
    """
    proven = {Role.FOLLOWER: renderings.follower}
    if leader is not None:
        proven[Role.LEADER] = leader
    return Acceptance(renderings, proven, problem=problem, is_on_trial=bool(problem))


def target(acceptance: Acceptance, newest: Renderings, role: Role) -> Rendering:
    """Return what a role loads: of the newest input, else of the last good one, else proven."""
    if acceptance.refused and acceptance.good is not None:
        before = acceptance.good.of(role)
        if before.fingerprint not in acceptance.refused:
            return before
        return acceptance.fallback(role) or newest.of(role)
    return newest.of(role)


def tried_again(acceptance: Acceptance) -> Acceptance:
    """Clear all refusals: the inputs have changed, or a retry was requested."""
    return replace(acceptance, refused=frozenset(), acquitted_at=None, problem="")


def judged(  # noqa: PLR0913, PLR0917 - all that a judgement takes
    acceptance: Acceptance,
    newest: Renderings,
    role: Role,
    loading: Loading,
    now: float,
    limit_s: float,
) -> Acceptance:
    """Fold in whether Prometheus has loaded the role's rendering, within ``limit_s`` seconds."""
    written = loading.written
    if written is None or loading.incoming is not None:
        return acceptance
    if written != target(acceptance, newest, role):
        return acceptance
    if loading.is_settled and loading.outcome is Outcome.LOADED:
        return _accepted(acceptance, newest, role, written)
    if not _is_refused(loading, is_overdue=now >= loading.written_at + limit_s):
        return acceptance
    if written == acceptance.fallback(role) and written != newest.of(role):
        return _acquitted(acceptance, loading, now)
    acquitted_at = acceptance.acquitted_at
    has_time = acquitted_at is not None and now < acquitted_at + limit_s
    is_demotion = role is Role.FOLLOWER and loading.may_be_leader
    if has_time and not is_demotion:
        return acceptance
    return _blamed(acceptance, newest, role, loading)


def _accepted(
    acceptance: Acceptance, newest: Renderings, role: Role, written: Rendering
) -> Acceptance:
    refused = acceptance.refused - {written.fingerprint}
    is_good = written == newest.of(role) and not refused  # it may be a follower's, and unchanged
    is_new = is_good and acceptance.good not in {None, newest}
    before = acceptance.good.of(Role.LEADER) if is_new and acceptance.good else None
    return replace(
        acceptance,
        assumed=before or acceptance.assumed,
        good=newest if is_good else acceptance.good,
        proven={**acceptance.proven, role: written},
        refused=refused,
        problem=acceptance.problem if refused else "",
        is_on_trial=acceptance.is_on_trial and written != newest.of(role),
    )


def _is_refused(loading: Loading, *, is_overdue: bool) -> bool:
    """Tell whether Prometheus has refused the rendering.

    If the reload before ours had failed too, the metrics do not change: the time limit decides.
    """
    if loading.outcome is Outcome.REFUSED:
        return True
    seen = loading.evidence
    has_seen = seen is not None and seen.asked_at > loading.written_at and not seen.is_successful
    return has_seen and is_overdue and bool(loading.reloads_sent)


def _acquitted(acceptance: Acceptance, loading: Loading, now: float) -> Acceptance:
    also = f"the configuration before is refused as well: {_reason(loading)}"
    problem = f"{acceptance.problem.partition('; ')[0]}; {also}"
    return replace(acceptance, refused=frozenset(), acquitted_at=now, problem=problem)


def _blamed(acceptance: Acceptance, newest: Renderings, role: Role, loading: Loading) -> Acceptance:
    """Mark the rendering as refused; without an earlier one it is tried again."""
    tried = target(acceptance, newest, role)
    problem = f"Prometheus refused the {tried.role} rendering: {_reason(loading)}"
    refused = acceptance.refused | {tried.fingerprint}
    return replace(
        acceptance, refused=refused, acquitted_at=None, problem=problem, is_on_trial=False
    )


def _reason(loading: Loading) -> str:
    if loading.problem in {"", REFUSED}:
        return "see the log of Prometheus"
    return loading.problem
