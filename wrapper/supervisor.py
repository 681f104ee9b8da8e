"""The loop: threads report, this one decides and acts.

It runs in the main thread, since children die with the thread that started them. It never blocks
but for the next event. Each turn compares what should be with what is, so a lost event or a failed
deed heals on a later turn.
"""

from __future__ import annotations

import logging
import queue
import signal
from dataclasses import dataclass
from types import FrameType

from wrapper import clock
from wrapper.metric_names import DURATION_BUCKETS
from wrapper.model import (
    ConfigurationRead,
    Event,
    PodLabelAnswered,
    ReloadAnswered,
    ReloadSent,
    Renderings,
    RenderingWritten,
    SignalReceived,
    WebStarted,
    WriteFailed,
)
from wrapper.observation import Observation, Rules, fold, remember
from wrapper.performer import Performer
from wrapper.plan import Plan, apply, plan
from wrapper.policy import Policy
from wrapper.snapshot import SnapshotWriter
from wrapper.summary import Constants, summarize

LOG = logging.getLogger(__name__)
MOST_REASONS = 20  # of one rejection that are logged; the API has all
SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Events:
    """The queue of what has been reported; signal handlers and threads only put."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Report a fact; safe in any thread and in a signal handler."""
        self._queue.put(event)

    def listen_to_signals(self) -> None:
        """Queue the signals that mean something to the supervisor, from now on."""

        def report(number: int, _frame: FrameType | None) -> None:
            self.put(SignalReceived(number))

        for number in SIGNALS:
            signal.signal(number, report)

    def wait(self, timeout_s: float) -> Event | None:
        """Return the next event, None when none has come in time."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def waiting(self) -> Event | None:
        """Return the next event if there is one."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None


@dataclass(frozen=True, slots=True)
class Frame:
    """What the supervisor is given to start with."""

    observation: Observation
    policy: Policy
    rules: Rules
    constants: Constants


class Supervisor:
    """Decides and acts until an Exit is planned."""

    def __init__(
        self, frame: Frame, events: Events, performer: Performer, snapshots: SnapshotWriter
    ) -> None:
        """Take the parts; ``run`` begins."""
        self._observation = frame.observation
        self._policy = frame.policy
        self._rules = frame.rules
        self._constants = frame.constants
        self._events = events
        self._performer = performer
        self._snapshots = snapshots
        self._counters: dict[str, float] = {}
        self._last_transition_time = 0.0
        self._configuration_time = clock.wall()
        self._said = ""
        self._said_of_writing = ""

    def run(self) -> int:
        """Turn until it is time to leave; return the exit status."""
        while self._performer.exit_status is None:
            self._fold()
            decided = plan(self._observation, self._policy, clock.now())
            self._perform(decided)
            self._publish(decided)
            self._wait(decided.wake_at)
        return self._performer.exit_status

    def _fold(self) -> None:
        while (event := self._events.waiting()) is not None:
            self._take(event)

    def _take(self, event: Event) -> None:
        self._count(event)
        before = self._observation
        self._observation = fold(before, event, clock.now(), self._rules)
        self._say_configuration(before, event)
        self._say_writing(event)

    def _perform(self, decided: Plan) -> None:
        self._say(decided)
        self._performer.instruct(decided.stance, clock.now())
        for action in decided.actions:
            self._performer.perform(action)
        now = clock.now()  # after the orders: what is done under earlier ones is dated before
        observation = apply(self._observation, decided, self._policy, now)
        self._observation = remember(observation, decided.role, now)
        self._performer.want_evidence(self._observation.wants_evidence)

    def _publish(self, decided: Plan) -> None:
        self._snapshots.publish(
            summarize(
                self._observation,
                decided,
                self._policy,
                self._constants,
                counters=self._counters,
                last_transition_time=self._last_transition_time,
                configuration_time=self._configuration_time,
                now=clock.now(),
            )
        )

    def _wait(self, wake_at: float) -> None:
        if self._performer.exit_status is None:
            event = self._events.wait(wake_at - clock.now())
            if event is not None:
                self._take(event)

    # --- what is said and counted ---

    def _say(self, decided: Plan) -> None:
        """Log each change of role, and of the reason for it, once."""
        if decided.role is not self._observation.role:
            self._last_transition_time = clock.wall()
            LOG.info("role changed", extra={"role": decided.role, "reason": decided.reason})
        elif decided.reason != self._said:
            LOG.info("role unchanged", extra={"role": decided.role, "reason": decided.reason})
        self._said = decided.reason

    def _say_configuration(self, before: Observation, event: Event) -> None:
        """Log a new input, and each change in whether it can be used."""
        after = self._observation
        if isinstance(event, ConfigurationRead):
            self._configuration_time = clock.wall()
            LOG.info("configuration read", extra={"fingerprints": _short(event.renderings)})
            if before.renderings.has_overrides and not event.renderings.has_overrides:
                LOG.warning("the leader has no overrides any more: every replica reads the same")
        if after.rejection == before.rejection:
            return
        self._configuration_time = clock.wall()
        for reason in after.rejection.splitlines()[:MOST_REASONS]:
            LOG.error("configuration rejected; the last good one stays", extra={"reason": reason})
        if not after.rejection and not isinstance(event, SignalReceived):
            LOG.info("configuration is good again")

    def _say_writing(self, event: Event) -> None:
        """Log once that renderings cannot be written, and once that they can again."""
        if isinstance(event, WriteFailed) and event.problem != self._said_of_writing:
            extra = {"role": event.rendering.role, "reason": event.problem}
            LOG.error("the rendering cannot be written; it is tried again", extra=extra)
            self._said_of_writing = event.problem
        elif isinstance(event, RenderingWritten) and self._said_of_writing:
            LOG.info("renderings can be written again")
            self._said_of_writing = ""

    def _count(self, event: Event) -> None:
        match event:
            case ReloadSent():
                self._add("notifier_calls_total")
            case ReloadAnswered():
                self._count_answer(event)
            case WebStarted():
                self._add("web_starts_total")
            case WriteFailed():
                self._add("config_write_failures_total")
            case PodLabelAnswered(problem) if problem:
                self._add("pod_label_failures_total")
            case _:
                pass

    def _count_answer(self, event: ReloadAnswered) -> None:
        if event.status != 200:  # noqa: PLR2004 - HTTP's OK
            self._add("notifier_calls_errors")
        self._add("notifier_calls_duration_seconds_sum", event.duration_s)
        self._add("notifier_calls_duration_seconds_count")
        for bound in DURATION_BUCKETS:
            if event.duration_s <= bound:
                self._add(f"notifier_calls_duration_seconds_bucket_le_{bound}")

    def _add(self, name: str, amount: float = 1.0) -> None:
        self._counters[name] = self._counters.get(name, 0.0) + amount


def _short(renderings: Renderings) -> str:
    """Return both fingerprints, as much of them as tells them apart."""
    follower, leader = renderings.follower.fingerprint, renderings.leader.fingerprint
    return f"follower {follower[:12]}, leader {leader[:12]}"
