"""Decides which rendering a role loads: the newest, unless Prometheus has refused it; pure.

If Prometheus refuses a rendering, the output file gets the rendering that Prometheus last loaded in
the desired role. So a restart of Prometheus finds a configuration that works. An edit counts as the
cause of a refusal only while the earlier rendering still loads. If that is refused too, the cause
is another one (a missing rule file, for example), and both renderings are tried in turn until one
loads.

Limitation: a refusal is a status 500, or a failed reload in Prometheus' metrics. A reload that is
late does not count as a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role
from wrapper.supervision.loaded_rendering import REFUSED, LoadState, Outcome


@dataclass(frozen=True, slots=True)
class RollbackState:
    """Which renderings Prometheus has loaded, and which it has refused.

    - ``good``: both renderings of the last input of which Prometheus loaded one, in any role.
    - ``proven``: the rendering that Prometheus last loaded in each role.
    - ``refused``: the fingerprints of refused renderings; cleared when the inputs change.
    - ``fallback_refused_at``: when Prometheus refused the earlier rendering too, so that the edit
      is not the cause; None if it did not.
    - ``problem``: why Prometheus does not use the newest input, "" if it does.
    - ``previous_leader``: the leader rendering of the previous good input; it is used if Prometheus
      has never loaded a leader rendering.
    - ``awaits_first_load``: Prometheus exited with the newest input in an earlier run. This replica
      must not lead until Prometheus has loaded that input, or has refused it.
    """

    good: Renderings | None = None
    proven: Mapping[Role, Rendering] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    fallback_refused_at: float | None = None
    problem: str = ""
    previous_leader: Rendering | None = None
    awaits_first_load: bool = False

    def fallback(self, role: Role) -> Rendering | None:
        """Return what a role loads if all newer renderings are refused, None if not known."""
        return self.proven.get(role) or (self.previous_leader if role is Role.LEADER else None)


def started_with(
    renderings: Renderings, leader: Rendering | None = None, problem: str = ""
) -> RollbackState:
    """Return the state of a Prometheus that is started with the follower rendering.

    It counts as loaded, because Prometheus exits if it cannot load it. ``leader`` is the leader
    rendering that an earlier run last had in force. ``problem`` is why Prometheus is not started
    with the newest input, "" if it is. The newest input is tried once Prometheus is ready.
    """
    proven = {Role.FOLLOWER: renderings.follower}
    if leader is not None:
        proven[Role.LEADER] = leader
    return RollbackState(renderings, proven, problem=problem, awaits_first_load=bool(problem))


def target(rollback: RollbackState, newest: Renderings, role: Role) -> Rendering:
    """Return the rendering that a role loads.

    That is the newest one. After a refusal it is that of the last good input. If that is refused
    too, it is the fallback, or the newest one if there is no fallback.
    """
    if rollback.refused and rollback.good is not None:
        before = rollback.good.of(role)
        if before.fingerprint not in rollback.refused:
            return before
        return rollback.fallback(role) or newest.of(role)
    return newest.of(role)


def tried_again(rollback: RollbackState) -> RollbackState:
    """Return the state without refusals: the inputs have changed, or a retry was requested."""
    return replace(rollback, refused=frozenset(), fallback_refused_at=None, problem="")


def after_reload(  # noqa: PLR0913, PLR0917 - all that a judgement takes
    rollback: RollbackState,
    newest: Renderings,
    role: Role,
    loading: LoadState,
    now: float,
    limit_s: float,
) -> RollbackState:
    """Return the state after Prometheus has loaded the role's rendering, or refused it.

    A rendering that is not loaded within ``limit_s`` seconds counts as refused if Prometheus
    reports a failed reload.
    """
    written = loading.written
    if written is None or loading.incoming is not None:
        return rollback
    if written != target(rollback, newest, role):
        return rollback
    if loading.is_settled and loading.outcome is Outcome.LOADED:
        return _accepted(rollback, newest, role, written)
    if not _is_refused(loading, is_overdue=now >= loading.written_at + limit_s):
        return rollback
    if written == rollback.fallback(role) and written != newest.of(role):
        return _fallback_refused(rollback, loading, now)
    fallback_refused_at = rollback.fallback_refused_at
    has_time = fallback_refused_at is not None and now < fallback_refused_at + limit_s
    is_demotion = role is Role.FOLLOWER and loading.may_be_leader
    if has_time and not is_demotion:
        return rollback
    return _refused(rollback, newest, role, loading)


def _accepted(
    rollback: RollbackState, newest: Renderings, role: Role, written: Rendering
) -> RollbackState:
    refused = rollback.refused - {written.fingerprint}
    is_good = written == newest.of(role) and not refused  # the other role's may still be refused
    is_new = is_good and rollback.good not in {None, newest}
    before = rollback.good.of(Role.LEADER) if is_new and rollback.good else None
    return replace(
        rollback,
        previous_leader=before or rollback.previous_leader,
        good=newest if is_good else rollback.good,
        proven={**rollback.proven, role: written},
        refused=refused,
        problem=rollback.problem if refused else "",
        awaits_first_load=rollback.awaits_first_load and written != newest.of(role),
    )


def _is_refused(loading: LoadState, *, is_overdue: bool) -> bool:
    """Return whether Prometheus has refused the rendering.

    If the reload before ours had failed too, our failed reload does not change the metrics. Then
    the rendering counts as refused once the time limit has passed.
    """
    if loading.outcome is Outcome.REFUSED:
        return True
    seen = loading.evidence
    has_seen = seen is not None and seen.asked_at > loading.written_at and not seen.is_successful
    return has_seen and is_overdue and bool(loading.reloads_sent)


def _fallback_refused(rollback: RollbackState, loading: LoadState, now: float) -> RollbackState:
    also = f"Prometheus also refuses the previous configuration: {_reason(loading)}"
    problem = f"{rollback.problem.partition('; ')[0]}; {also}"
    return replace(rollback, refused=frozenset(), fallback_refused_at=now, problem=problem)


def _refused(
    rollback: RollbackState, newest: Renderings, role: Role, loading: LoadState
) -> RollbackState:
    """Return the state with the rendering marked as refused.

    If there is no earlier rendering to fall back to, the refused one is tried again.
    """
    tried = target(rollback, newest, role)
    problem = f"Prometheus refused the {tried.role} rendering: {_reason(loading)}"
    refused = rollback.refused | {tried.fingerprint}
    return replace(
        rollback,
        refused=refused,
        fallback_refused_at=None,
        problem=problem,
        awaits_first_load=False,
    )


def _reason(loading: LoadState) -> str:
    if loading.problem in {"", REFUSED}:
        return "see the log of Prometheus"
    return loading.problem
