"""The loop: threads report, this one decides and acts.

It runs in the main thread, since children die with the thread that started them. It never blocks
but for the next event. Each turn compares what should be with what is, so a lost event or a failed
deed heals on a later turn.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from wrapper import clock
from wrapper.configuration.problems import MOST_LOGGED
from wrapper.model import (
    ConfigurationRead,
    Event,
    ReloadAnswered,
    Renderings,
    RenderingsKept,
    RenderingWritten,
    SignalReceived,
    Snapshot,
    WriteFailed,
)
from wrapper.supervision.candidacy import holder_is_overdue
from wrapper.supervision.events import Events
from wrapper.supervision.history import History
from wrapper.supervision.observation import Observation, Rules, fold, remember
from wrapper.supervision.performer import Performer
from wrapper.supervision.plan import Plan, apply, plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.slots import TooLarge
from wrapper.supervision.snapshot import SnapshotWriter, known_leader
from wrapper.supervision.summary import Constants, summarize
from wrapper.supervision.tally import Tally

LOG = logging.getLogger(__name__)
_NO_ANSWER, _LOADED, _REFUSED = 0, 200, 500  # of a reload over HTTP


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
        self._tally = Tally()
        self._history = History(frame.constants.identity)
        self._last_transition_time = 0.0
        self._configuration_time = clock.wall()
        self._said = self._said_of_writing = self._said_of_reloads = ""

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
        before, now = self._observation, clock.now()
        self._observation = fold(before, event, now, self._rules)
        self._tally.took(event, before, self._observation, now, clock.wall())
        self._say_configuration(before, event)
        self._say_writing(event)
        self._say_reload(event)

    def _perform(self, decided: Plan) -> None:
        self._say(decided)
        self._tally.decided(self._observation, decided)
        self._performer.instruct(decided.stance, clock.now())
        for action in decided.actions:
            self._performer.perform(action)
        now = clock.now()  # after the orders: what is done under earlier ones is dated before
        observation = apply(self._observation, decided, self._policy, now)
        self._observation = remember(observation, decided.role, now)
        self._performer.want_evidence(self._observation.wants_evidence)

    def _publish(self, decided: Plan) -> None:
        now = clock.now()
        snapshot = summarize(
            self._observation,
            decided,
            self._policy,
            self._constants,
            counters=self._tally.totals,
            last_transition_time=self._last_transition_time,
            configuration_time=self._configuration_time,
            now=now,
        )
        leader = known_leader(snapshot, now)
        self._tally.looked(leader, now)
        self._history.looked(leader, decided, self._observation, clock.wall())
        self._put(replace(snapshot, history=self._history.entries))

    def _put(self, snapshot: Snapshot) -> None:
        """Publish it; should it not fit, without what can be large: nothing here ends the loop."""
        try:
            self._snapshots.publish(snapshot)
        except TooLarge:
            text = "too much to be told here; the log has it"
            small = replace(snapshot, configuration_problem=text, history=(), targets={})
            self._snapshots.publish(small)

    def _wait(self, wake_at: float) -> None:
        if self._performer.exit_status is None:
            event = self._events.wait(wake_at - clock.now())
            if event is not None:
                self._take(event)

    # --- what is said ---

    def _say(self, decided: Plan) -> None:
        """Log each change of role, and of the reason for it, once."""
        if decided.role is not self._observation.role:
            self._last_transition_time = clock.wall()
            LOG.info("role changed", extra=self._of_role(decided))
        elif decided.reason != self._said:
            is_bad = holder_is_overdue(self._observation, self._policy, clock.now())
            extra = {"role": decided.role, "reason": decided.reason}
            LOG.log(logging.WARNING if is_bad else logging.INFO, "role unchanged", extra=extra)
        self._said = decided.reason

    def _of_role(self, decided: Plan) -> dict[str, object]:
        """Return who has which role and why, and the lease record that it follows from."""
        said: dict[str, object] = {
            "identity": self._constants.identity,
            "role": decided.role,
            "cause": decided.cause,
            "reason": decided.reason,
        }
        record = self._observation.lease.last
        if record is None:
            return said
        lease = {
            "lease_holder": record.holder,
            "lease_transitions": record.transitions,
            "lease_renew_time": record.renew_time,
        }
        return {**said, **lease}

    def _say_configuration(self, before: Observation, event: Event) -> None:
        """Log a new input, and each change in whether it can be used."""
        after = self._observation
        if isinstance(event, RenderingsKept) and event.problem != before.keeping.problem:
            _say_keeping(event.problem)
        if isinstance(event, ConfigurationRead):
            self._configuration_time = clock.wall()
            LOG.info("configuration read", extra={"fingerprints": _short(event.renderings)})
            _say_surprises(before.renderings, event.renderings)
        if after.rejection == before.rejection:
            return
        self._configuration_time = clock.wall()
        for reason in after.rejection.splitlines()[:MOST_LOGGED]:
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

    def _say_reload(self, event: Event) -> None:
        """Log once that a reload over HTTP is not even tried, and once that it is again.

        A configuration that Prometheus refuses, and no answer, are told elsewhere.
        """
        if not isinstance(event, ReloadAnswered) or event.status in (_NO_ANSWER, _REFUSED):
            return
        problem = "" if event.status == _LOADED else event.problem or f"HTTP {event.status}"
        if problem and problem != self._said_of_reloads:
            LOG.error("Prometheus is not reloaded; it is tried again", extra={"reason": problem})
        elif self._said_of_reloads and not problem:
            LOG.info("Prometheus is reloaded again")
        self._said_of_reloads = problem


def _say_keeping(problem: str) -> None:
    """Log whether the next start will find what Prometheus has in force now."""
    if problem:
        text = "the configuration in force cannot be kept for the next start; it is tried again"
        LOG.warning(text, extra={"reason": problem})
    else:
        LOG.info("the configuration in force is kept for the next start")


def _short(renderings: Renderings) -> str:
    """Return both fingerprints, as much of them as tells them apart."""
    follower, leader = renderings.follower.fingerprint, renderings.leader.fingerprint
    return f"follower {follower[:12]}, leader {leader[:12]}"


def _say_surprises(before: Renderings, after: Renderings) -> None:
    """Warn of what a new input changes and can hardly be meant."""
    if before.has_overrides and not after.has_overrides:
        LOG.warning("the leader has no overrides any more: every replica reads the same")
    if _all_write(after) and not _all_write(before):
        LOG.warning("the follower's part has a remote_write: every replica writes, whoever leads")


def _all_write(renderings: Renderings) -> bool:
    return renderings.has_overrides and renderings.follower.writes_remotely
