"""What the supervisor knows, as one frozen value, and how each event changes it; pure.

``fold`` takes in what was reported, ``remember`` what was decided. Neither decides anything.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.election import pod_label
from wrapper.election.pod_label import PodLabel
from wrapper.model import (
    ChildExited,
    ChildMeasured,
    ConfigurationRead,
    ConfigurationRejected,
    Event,
    FeedReported,
    FenceChecked,
    HealthProbed,
    LeaseAsked,
    LeaseReported,
    LeaseView,
    LoadedObserved,
    Pause,
    PauseRead,
    PodLabelAnswered,
    QueueReported,
    ReadinessProbed,
    ReloadAnswered,
    ReloadSent,
    ReloadWanted,
    Rendering,
    Renderings,
    RenderingsKept,
    RenderingWritten,
    Role,
    SignalReceived,
    WebExited,
    WebStarted,
    WriteFailed,
    WriteStarted,
)
from wrapper.supervision import acceptance, confirm, health, keeping, rule_reload
from wrapper.supervision.acceptance import Acceptance
from wrapper.supervision.confirm import Loading, Outcome
from wrapper.supervision.health import Health
from wrapper.supervision.keeping import Keeping
from wrapper.supervision.rule_reload import RuleReload
from wrapper.targets.feed import FeedState, QueueState

_PROVEN_S = 30.0  # what has gone well for so long is no longer held to its failures
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Rules:
    """The few settings that folding needs; thresholds count probes, durations are seconds."""

    identity: str
    failure_threshold: int = 3
    success_threshold: int = 3
    step_down_pause_s: float = 30.0
    reload_limit_s: float = 50.0


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is known at one moment; ``None`` where nothing has been reported yet."""

    renderings: Renderings
    loading: Loading
    role_since: float
    acceptance: Acceptance = field(default_factory=Acceptance)
    role: Role = Role.FOLLOWER
    lease: LeaseView = field(default_factory=LeaseView)
    last_renewed_at: float | None = None
    is_ready: bool = False
    was_ready: bool = False
    readiness_detail: str = ""
    health: Health = field(default_factory=Health)
    configuration_problem: str = ""
    wants_configuration: bool = False
    write_problem: str = ""
    write_failed_at: float = 0.0
    write_failed_role: Role | None = None
    keeping: Keeping = field(default_factory=Keeping)
    child_pid: int | None = None
    child_status: int | None = None
    child_exited_at: float = 0.0
    terminated_at: float | None = None
    killed_at: float | None = None
    passed_on: tuple[int, ...] = ()
    stop_signals: int = 0
    stop_at: float | None = None
    steps_down_until: float | None = None
    pause: Pause | None = None
    wants_pause: bool = False  # to be read
    release_ordered_at: float | None = None
    fence_obstacle: str | None = None
    switch_at: float | None = None
    safe_since: float | None = None
    cools_until: float = 0.0
    failed_promotions: int = 0
    promotion_problem: str = ""
    label: PodLabel | None = None  # None: no label is kept
    web_pid: int | None = None
    web_failures: int = 0
    web_started_at: float = 0.0
    web_exited_at: float | None = None
    web_stopped_at: float | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    rules: RuleReload = field(default_factory=RuleReload)
    feeds: Mapping[str, FeedState] = field(default_factory=dict)  # by file
    queue: QueueState | None = None

    @property
    def wants_evidence(self) -> bool:
        """Whether asking Prometheus what it has loaded would tell something new."""
        return self.loading.wants_evidence or self.rules.is_pending

    @property
    def is_in_force(self) -> bool:
        """Whether what stands in the output file is; also where Prometheus reads its own file."""
        loading = self.loading
        return loading.written is None or (loading.is_settled and loading.outcome is Outcome.LOADED)

    @property
    def may_write(self) -> bool:
        """Whether this replica's Prometheus is a possible writer: it may have the leader's part."""
        return self.child_status is None and self.loading.may_be_leader

    @property
    def holds_lease(self) -> bool:
        """Whether the lease is held, also when leadership has run out."""
        return self.lease.renewed_at is not None

    @property
    def rejection(self) -> str:
        """Why the newest input is not what Prometheus reads, "" when it is, or will be."""
        return self.configuration_problem or self.acceptance.problem

    def target(self, role: Role) -> Rendering:
        """Return what a role should read, given what Prometheus has refused."""
        return acceptance.target(self.acceptance, self.renderings, role)


def fold(o: Observation, event: Event, now: float, rules: Rules) -> Observation:
    """Return the observation with one event taken in."""
    match event:
        case LoadedObserved() | ReloadSent() | ReloadAnswered() | ReloadWanted():
            return _fold_reload(o, event, now, rules)
        case WriteStarted() | RenderingWritten() | WriteFailed() | RenderingsKept():
            return _fold_write(o, event, now)
        case SignalReceived(number):
            return _fold_signal(o, number, now, rules)
        case LeaseReported(view):
            return _fold_lease(o, view, rules)
        case ChildExited() | WebStarted() | WebExited():
            return _fold_process(o, event, now)
        case ReadinessProbed() | HealthProbed():
            return _fold_probe(o, event, rules)
        case ConfigurationRead() | ConfigurationRejected():
            return _fold_configuration(o, event)
        case PodLabelAnswered():
            return _fold_label(o, event, now)
        case (
            FenceChecked()
            | ChildMeasured()
            | LeaseAsked()
            | PauseRead()
            | FeedReported()
            | QueueReported()
        ):
            return _fold_measurement(o, event)


def _fold_reload(
    o: Observation,
    event: LoadedObserved | ReloadSent | ReloadAnswered | ReloadWanted,
    now: float,
    rules: Rules,
) -> Observation:
    if isinstance(event, ReloadWanted):
        return _fold_wish(o, event, now)
    folded = _fold_rules(_judge(_fold_loading(o, event, now), now, rules), event, now)
    if o.is_in_force or not o.rules.is_pending:
        return folded
    return replace(folded, rules=rule_reload.in_doubt(folded.rules))


def _fold_loading(
    o: Observation, event: LoadedObserved | ReloadSent | ReloadAnswered, now: float
) -> Observation:
    match event:
        case LoadedObserved(evidence):
            loading = confirm.observed(o.loading, evidence)
        case ReloadSent():
            loading = confirm.reload_sent(o.loading, now)
        case ReloadAnswered():
            loading = confirm.answered(o.loading, event, now)
    if o.rules.suspects_rules and loading.outcome in {Outcome.FAILED, Outcome.REFUSED}:
        loading = replace(loading, outcome=o.loading.outcome, problem=o.loading.problem)
    return replace(o, loading=loading)


def _fold_rules(
    o: Observation, event: LoadedObserved | ReloadSent | ReloadAnswered, now: float
) -> Observation:
    """Take in the same for what Prometheus reads beside its configuration."""
    match event:
        case LoadedObserved(evidence):
            return replace(o, rules=rule_reload.observed(o.rules, evidence))
        case ReloadSent():
            return replace(o, rules=rule_reload.sent(o.rules, now))
        case ReloadAnswered():
            return replace(o, rules=rule_reload.answered(o.rules, event))


def _judge(o: Observation, now: float, rules: Rules) -> Observation:
    """Take in what Prometheus makes of the rendering that it was told to read."""
    verdict = acceptance.judged(
        o.acceptance, o.renderings, o.role, o.loading, now, rules.reload_limit_s
    )
    return replace(o, acceptance=verdict)


def _fold_write(
    o: Observation,
    event: WriteStarted | RenderingWritten | WriteFailed | RenderingsKept,
    now: float,
) -> Observation:
    match event:
        case RenderingsKept(kept, problem):
            return replace(o, keeping=keeping.answered(kept, problem, now))
        case WriteStarted(rendering):
            loading = confirm.write_started(o.loading, rendering)
            return replace(o, write_problem="", loading=loading)
        case RenderingWritten(rendering):
            loading = confirm.written(o.loading, rendering, now)
            return replace(o, write_problem="", loading=loading)
        case WriteFailed(rendering, problem):
            return replace(
                o,
                loading=confirm.write_failed(o.loading),
                write_problem=problem,
                write_failed_at=now,
                write_failed_role=rendering.role,
            )


def _fold_signal(o: Observation, number: int, now: float, rules: Rules) -> Observation:
    if number in STOP_SIGNALS:
        first_at = now if o.stop_at is None else o.stop_at
        return replace(o, stop_signals=o.stop_signals + 1, stop_at=first_at)
    if number == signal.SIGUSR1 and o.pause is not None and now < o.pause.until_at:
        return replace(o, wants_pause=True)  # it keeps out already, perhaps no longer
    if number == signal.SIGUSR1:
        return replace(o, steps_down_until=now + rules.step_down_pause_s, wants_pause=True)
    if number == signal.SIGHUP:
        retried = acceptance.tried_again(o.acceptance)
        return replace(o, wants_configuration=True, acceptance=retried, cools_until=0.0)
    return replace(o, passed_on=(*o.passed_on, number))


def _fold_lease(o: Observation, view: LeaseView, rules: Rules) -> Observation:
    """Take in the elector's view; a step-down ends early when another has led."""
    another_leads = view.holder not in ("", rules.identity) and view.changed_at > 0
    renewed_at = o.last_renewed_at if view.renewed_at is None else view.renewed_at
    return replace(
        o,
        lease=view,
        last_renewed_at=renewed_at,
        steps_down_until=None if another_leads else o.steps_down_until,
    )


def _fold_process(
    o: Observation, event: ChildExited | WebStarted | WebExited, now: float
) -> Observation:
    match event:
        case ChildExited(status):
            return replace(o, child_status=status, child_exited_at=now, is_ready=False)
        case WebStarted(pid):
            return replace(o, web_pid=pid, web_started_at=now, web_exited_at=None)
        case WebExited():
            lasted = now - o.web_started_at > _PROVEN_S
            failures = 1 if lasted else o.web_failures + 1
            return replace(o, web_pid=None, web_exited_at=now, web_failures=failures)


def _fold_probe(o: Observation, event: ReadinessProbed | HealthProbed, rules: Rules) -> Observation:
    match event:
        case ReadinessProbed(is_ready, detail):
            was_ready = o.was_ready or is_ready
            return replace(o, is_ready=is_ready, was_ready=was_ready, readiness_detail=detail)
        case HealthProbed(is_healthy, detail):
            verdict = health.probed(
                o.health,
                is_healthy,
                detail,
                failures=rules.failure_threshold,
                successes=rules.success_threshold,
            )
            return replace(o, health=verdict)


def _fold_configuration(
    o: Observation, event: ConfigurationRead | ConfigurationRejected
) -> Observation:
    """Take in the inputs; new renderings earn one more promotion: what failed may be mended."""
    match event:
        case ConfigurationRead(renderings):
            return replace(
                o,
                renderings=renderings,
                configuration_problem="",
                acceptance=acceptance.tried_again(o.acceptance),
                cools_until=o.cools_until if renderings == o.renderings else 0.0,
            )
        case ConfigurationRejected(problem):
            return replace(o, configuration_problem=problem)


def _fold_label(o: Observation, event: PodLabelAnswered, now: float) -> Observation:
    if o.label is None:
        return o
    label = pod_label.answered(o.label, event.problem, event.retry_after_s, now)
    return replace(o, label=label)


def _fold_wish(o: Observation, event: ReloadWanted, now: float) -> Observation:
    is_pending = o.loading.written is not None and o.loading.outcome is Outcome.PENDING
    is_reloading = is_pending and bool(o.loading.reloads_sent)
    rules = rule_reload.wanted(
        o.rules,
        event.number,
        now,
        is_suspect=event.has_new_rules,
        is_reloading=is_reloading,
    )
    return replace(o, rules=rules)


def _fold_measurement(
    o: Observation,
    event: FenceChecked | ChildMeasured | LeaseAsked | PauseRead | FeedReported | QueueReported,
) -> Observation:
    match event:
        case FeedReported(state):
            return replace(o, feeds={**o.feeds, state.file: state})
        case QueueReported(state):
            return replace(o, queue=state)
        case FenceChecked(obstacle):
            return replace(o, fence_obstacle=obstacle)
        case ChildMeasured(usage):
            return replace(o, usage=usage)
        case PauseRead(pause):
            return replace(o, pause=pause)
        case LeaseAsked():
            return o  # only counted


def remember(o: Observation, role: Role, now: float) -> Observation:
    """Note what was decided and since when, and what one look has answered."""
    safe_since = None if o.may_write else (o.safe_since if o.safe_since is not None else now)
    has_led = role is Role.LEADER and o.loading.is_settled and o.loading.outcome is Outcome.LOADED
    has_proven = has_led and now - o.role_since > _PROVEN_S
    return replace(
        o,
        role=role,
        role_since=o.role_since if role is o.role else now,
        safe_since=safe_since,
        failed_promotions=0 if has_proven else o.failed_promotions,
        wants_configuration=False,
        wants_pause=False,
        passed_on=(),
    )
