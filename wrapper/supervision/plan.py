"""The plan: decides the role, its reason and the actions from the observation; pure.

``plan`` compares the desired state with the observed one in each round of the loop, so the next
round repairs a lost event or a failed reload. It combines these modules: ``candidacy`` (the role),
``fence`` (stops a writer), ``config_loading`` (what Prometheus loads), ``gate_orders`` (what the
gate does) and ``shutdown`` (how this replica exits). The other decisions are here.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from wrapper.base.backoff import backoff_s
from wrapper.election import lease_rules, pod_label_state
from wrapper.model.actions import (
    Action,
    AnswerReload,
    DisarmSwitch,
    LabelPod,
    ReadConfiguration,
    ReadPause,
    ReloadPrometheus,
    SaveRenderings,
    SignalPrometheus,
    StartWeb,
)
from wrapper.model.configuration import SavedRenderings
from wrapper.model.roles import Cause, Reason, Role, Stance
from wrapper.supervision import (
    candidacy,
    config_saving,
    fence,
    gate_orders,
    requested_reload,
    shutdown,
)
from wrapper.supervision.config_loading import BUSY_PAUSE_S, load_actions
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

CALM_PAUSE_S = 1.0  # until the next plan, if the observed state is the desired one
DEAD_WEB_GRACE_S = 1.0  # for the web server to stop after Prometheus has exited unexpectedly
WEB_PATIENCE_S = 0.5  # the first start of the web server waits: a promotion needs the CPU
WEB_RETRY_FIRST_S = 0.2
WEB_RETRY_MOST_S = 30.0
KILLED = 128
HANDING_OVER = Reason(
    Cause.ACQUIRED,
    "handing over: the gate sends all samples scraped so far, then the lease is released",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision of one round of the loop.

    - ``role``: the role of this replica.
    - ``stance``: what the elector does with the lease.
    - ``actions``: the operations to perform, in this order.
    - ``reason``, ``cause``: why it has this role, as a sentence to show and as a metric label.
    - ``wake_at``: the time of the next plan, if no event arrives before it.
    """

    role: Role
    stance: Stance
    actions: tuple[Action, ...]
    reason: str
    cause: Cause
    wake_at: float

    @property
    def gives_up_promotion(self) -> bool:
        """Whether this plan reverts a failed promotion."""
        return self.cause is Cause.PROMOTION_FAILED


def plan(o: Observation, policy: Policy, now: float) -> Plan:
    """Return the decision for what is known at ``now``."""
    if o.child.status is not None:
        return _after_exit(o, policy, now)
    if policy.fixed_role is not None:
        return _without_election(o, policy, now)
    obstacle = candidacy.obstacle_to_leading(o, policy, now)
    is_handing_over = gate_orders.hands_over(o, policy, obstacle, now)
    is_calm = obstacle is None and _is_calm(o, policy)
    if is_handing_over:
        obstacle = None
    role, reason = candidacy.role_of(o, policy, now, obstacle)
    if is_handing_over and role is Role.LEADER:
        reason = HANDING_OVER
    stance = candidacy.stance_of(o, obstacle, now)
    fencing = fence.fence(o, policy, role, obstacle, now)
    return Plan(
        role=role,
        stance=stance,
        actions=(
            *fencing,
            *_load(o, policy, role, now),
            *gate_orders.orders(o, policy, role, now, is_handing_over=is_handing_over),
            *_answer_signals(o, policy),
            *_label(o, role, now),
            *(() if _kills(fencing) else shutdown.leave(o, policy, now)),
            *_web(o, policy, now),
        ),
        reason=reason.text,
        cause=reason.cause,
        wake_at=now if o.role is not role else _wake_at(o, policy, now, is_calm=is_calm),
    )


def _after_exit(o: Observation, policy: Policy, now: float) -> Plan:
    """Plan for a Prometheus that has exited: release the lease, stop the web server, and exit.

    The exit status is that of Prometheus, 128 + N after signal N, or ``shutdown.FAILED`` if a
    thread of this program has failed.
    """
    status = o.child.status or 0
    code = status if status >= 0 else KILLED - status
    code = shutdown.FAILED if o.stopping.failure else code
    is_known_outside = o.lease.may_be_held or (o.label is not None and o.label.awaits_removal)
    waits = is_known_outside and now < o.child.exited_at + policy.terms.retry_period_s
    grace_s = policy.web_grace_s if o.stopping.stop_at is not None else DEAD_WEB_GRACE_S
    disarm = () if o.fencing.switch_at is None else (DisarmSwitch(),)
    re_executes = policy.can_re_execute and _is_refused_at_start(o)
    cure = "; restarting it with the last good configuration"
    return Plan(
        role=Role.FOLLOWER,
        stance=Stance.HOLD if o.role is Role.LEADER or o.writer.may_write else Stance.RELEASE,
        actions=(
            *disarm,
            *fence.fence_gate(o, policy, Role.FOLLOWER, now),
            *gate_orders.orders(o, policy, Role.FOLLOWER, now),
            *_label(o, Role.FOLLOWER, now),
            *shutdown.end(o, code, grace_s, now, waits=waits, re_executes=re_executes),
        ),
        reason=o.stopping.failure
        or f"Prometheus exited with status {code}{cure if re_executes else ''}",
        cause=Cause.THREAD_ENDED if o.stopping.failure else Cause.EXITED,
        wake_at=now if o.role is Role.LEADER else now + BUSY_PAUSE_S,
    )


def _is_refused_at_start(o: Observation) -> bool:
    """Return whether Prometheus exited with an error of its own before it was ever ready.

    The configuration may be the reason, or something else. After a restart with an older
    configuration, the newest one is loaded by a reload, which shows whether it was the reason.
    """
    is_own = o.stopping.stop_at is None and o.child.killed_at is None and (o.child.status or 0) > 0
    return is_own and not o.child.was_ready


def _kills(actions: tuple[Action, ...]) -> bool:
    return any(isinstance(a, SignalPrometheus) and a.number == signal.SIGKILL for a in actions)


# --- what Prometheus loads ---


def _load(o: Observation, policy: Policy, role: Role, now: float) -> tuple[Action, ...]:
    """Return the actions that make Prometheus load the role's configuration and its files."""
    return (
        *(load_actions(o, policy, role, now) or _reload_requested(o, policy, now)),
        *_save(o, policy, now),
        *_answer_requests(o),
    )


def _reload_requested(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the action for a requested reload, if it is due.

    While a configuration is being written, no action is needed: the reload that follows the write
    also serves the request.
    """
    loading = o.configuration.loading
    if o.child.is_being_ended or not o.child.was_ready or loading.incoming is not None:
        return ()
    if not requested_reload.is_due(o.reload, now, policy.reload_retry_s):
        return ()
    return (_reload(o),)


def _reload(o: Observation) -> ReloadPrometheus:
    written = o.configuration.loading.written
    return ReloadPrometheus(written.fingerprint if written else "")


def _answer_requests(o: Observation) -> tuple[Action, ...]:
    reload = o.reload
    if not reload.has_news or reload.verdict is None:
        return ()
    return (AnswerReload(reload.number, reload.verdict, reload.problem, reload.is_ambiguous),)


def _save(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the action that saves the renderings in force, for a start with an invalid input."""
    good = o.configuration.rollback.good
    if policy.is_plain or good is None or not (o.child.was_ready and o.configuration.is_in_force):
        return ()
    leader = o.configuration.rollback.fallback(Role.LEADER)
    renderings = SavedRenderings(good, None if leader == good.of(Role.LEADER) else leader)
    is_due = config_saving.is_due(o.configuration.saving, renderings, now)
    return (SaveRenderings(renderings),) if is_due else ()


def _answer_signals(o: Observation, policy: Policy) -> tuple[Action, ...]:
    """Return the actions that signals have requested.

    SIGHUP reads the inputs again and reloads Prometheus. SIGUSR1 reads the pause file, because
    ``step-down`` may have written a pause. Other signals are forwarded to Prometheus.
    """
    passed: tuple[Action, ...] = tuple(SignalPrometheus(number) for number in o.pending.signals)
    if o.pending.pause:
        passed = (*passed, ReadPause())
    if not o.pending.configuration:
        return passed
    if policy.is_plain:
        return (*passed, SignalPrometheus(signal.SIGHUP))
    return (*passed, ReadConfiguration(), _reload(o))


# --- the rest ---


def _label(o: Observation, role: Role, now: float) -> tuple[Action, ...]:
    """Return the action that sets the pod's label, or removes it.

    The pod has the label while this replica leads and the leader's configuration is in force. To
    lead is not enough: clients want the results of the leader's configuration, and a promotion that
    Prometheus refuses must not redirect clients here and away again.
    """
    is_on = role is Role.LEADER and (o.writer.is_open or not o.writer.would_write)
    is_due = o.label is not None and pod_label_state.is_due(o.label, now, wanted=is_on)
    return (LabelPod(is_on),) if is_due else ()


def _without_election(o: Observation, policy: Policy, now: float) -> Plan:
    """Plan for a replica without election: it takes the role of ``--role``.

    It leads only once Prometheus has been ready; a sidecar does not wait for that.
    """
    is_leader = policy.fixed_role is Role.LEADER and (o.child.was_ready or not policy.owns_child)
    role = Role.LEADER if is_leader else Role.FOLLOWER
    is_waiting = role is not policy.fixed_role
    why = "Prometheus is not ready yet" if is_waiting else f"the role is {role} (--role)"
    return Plan(
        role=role,
        stance=Stance.RELEASE,
        actions=(
            *_load(o, policy, role, now),
            *gate_orders.orders(o, policy, role, now),
            *_answer_signals(o, policy),
            *shutdown.leave(o, policy, now),
            *_web(o, policy, now),
        ),
        reason=f"no election; {why}",
        cause=Cause.FIXED,
        wake_at=_wake_at(o, policy, now, is_calm=_is_calm(o, policy)),
    )


def _web(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the action that starts the web server; after an exit, with exponential back-off."""
    if not policy.serves_web or o.web.pid is not None or o.web.stopped_at is not None:
        return ()
    if o.web.exited_at is None:
        return (StartWeb(),) if now >= _first_web_at(o) else ()
    pause_s = backoff_s(o.web.failures, WEB_RETRY_FIRST_S, WEB_RETRY_MOST_S)
    return (StartWeb(),) if now >= o.web.exited_at + pause_s else ()


def _first_web_at(o: Observation) -> float:
    """Return when to start the web server for the first time.

    It starts late, because its imports would delay Prometheus and a promotion.
    """
    is_writing = o.role is Role.LEADER and o.configuration.is_in_force
    return o.role_since if is_writing else o.role_since + WEB_PATIENCE_S


def _is_calm(o: Observation, policy: Policy) -> bool:
    """Return whether the observed state is the desired one.

    Then only an event or the lease can soon change the plan.
    """
    is_running = o.child.is_ready and (o.web.pid is not None or not policy.serves_web)
    has_gate = o.gate is None or o.gate.pid is not None
    is_loaded = o.configuration.is_in_force and not o.configuration.failed_write.problem
    is_settled = o.role is Role.LEADER or not o.writer.may_write
    is_waiting = o.reload.is_pending or bool(o.lease.view.problem) or o.stopping.stop_at is not None
    return is_running and has_gate and is_loaded and is_settled and not is_waiting


def _wake_at(o: Observation, policy: Policy, now: float, *, is_calm: bool) -> float:
    """Return the next time at which the plan may change without an event.

    It is at most half a retry period away, because the elector renews the lease only while the loop
    gives it new orders.
    """
    pause_s = CALM_PAUSE_S if is_calm else BUSY_PAUSE_S
    moments = [
        now + min(pause_s, policy.terms.retry_period_s / 2),
        candidacy.awaits_label_until(o, now),
        lease_rules.leads_until(o.lease.view, policy.terms),
        _first_web_at(o),
        o.lease.view.released_at and o.lease.view.released_at + shutdown.SUCCESSOR_WAIT_S,
        gate_orders.wakes_at(o, policy),
        shutdown.peers_informed_at(o) if o.stopping.stop_at is not None else None,
        requested_reload.due_at(o.reload),
    ]
    last_moment = fence.last_moment_of(o, policy)
    if o.writer.may_write and last_moment is not None:
        moments.append(last_moment - fence.KILL_LEAD_S)
    return min(moment for moment in moments if moment is not None and moment > now)
