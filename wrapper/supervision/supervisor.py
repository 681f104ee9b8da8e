"""The supervisor's loop: other threads report events; this thread decides and acts.

The loop runs in the main thread, because the kernel kills child processes when the thread that
started them ends. Each round compares the desired state with the observed one, so a later round
repairs a lost event or a failed action.

Guarantee: the loop never blocks, except to wait for the next event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.base import clock
from wrapper.base.shared_memory import TooLarge
from wrapper.base.snapshot_channel import SnapshotWriter, known_leader
from wrapper.model.events import Event
from wrapper.model.snapshot import Snapshot
from wrapper.supervision.change_log import ChangeLog
from wrapper.supervision.counters import Counters
from wrapper.supervision.event_queue import Events
from wrapper.supervision.history import History
from wrapper.supervision.observation import Observation
from wrapper.supervision.performer import Performer
from wrapper.supervision.plan import Plan, plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold
from wrapper.supervision.snapshot_builder import Constants, summarize


@dataclass(frozen=True, slots=True)
class InitialState:
    """The values that the supervisor starts with."""

    observation: Observation
    policy: Policy
    constants: Constants


class Supervisor:
    """Runs the loop until it performs the action ``Exit``."""

    def __init__(
        self, initial: InitialState, events: Events, performer: Performer, snapshots: SnapshotWriter
    ) -> None:
        """Store the parts; ``run`` starts the loop."""
        self._observation = initial.observation
        self._policy = initial.policy
        self._constants = initial.constants
        self._events = events
        self._performer = performer
        self._snapshots = snapshots
        self._counters = Counters()
        self._history = History(initial.constants.identity)
        self._log = ChangeLog(initial.policy)

    def run(self) -> int:
        """Run the loop; return the exit status."""
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

    def _take(self, happened: Event | Plan) -> None:
        before, now = self._observation, clock.now()
        after = self._observation = fold(before, happened, now, self._policy)
        self._counters.count(happened, before, after, now, clock.wall())
        self._log.log(happened, before, after, now)

    def _perform(self, decided: Plan) -> None:
        """Update the observation by the plan, then perform the plan's actions.

        So the observation has the consequences of the plan before they can happen. The elector gets
        its stance first: a renewal under the earlier stance must not get a time after this plan.
        """
        gate = self._observation.gate
        self._performer.instruct(decided.stance, clock.now(), gate.marks if gate else {})
        self._take(decided)
        for action in decided.actions:
            if (event := self._performer.perform(action)) is not None:
                self._take(event)
        self._performer.want_evidence(self._observation.wants_evidence)

    def _publish(self, decided: Plan) -> None:
        now = clock.now()
        snapshot = summarize(
            self._observation,
            decided,
            self._policy,
            self._constants,
            counters=self._counters.totals,
            last_transition_time=self._log.last_transition_time,
            configuration_time=self._log.configuration_time,
            now=now,
        )
        leader = known_leader(snapshot, now)
        self._counters.count_leaderless(leader, now)
        self._history.note_leader(leader, decided, self._observation, clock.wall())
        self._put(replace(snapshot, history=self._history.entries))

    def _put(self, snapshot: Snapshot) -> None:
        """Publish a snapshot; if it is too large, omit its large parts instead of raising."""
        try:
            self._snapshots.publish(snapshot)
        except TooLarge:
            text = "too many problems to show here; see the log"
            small = replace(snapshot, configuration_problem=text, history=(), targets={})
            self._snapshots.publish(small)

    def _wait(self, wake_at: float) -> None:
        if self._performer.exit_status is None:
            event = self._events.wait(wake_at - clock.now())
            if event is not None:
                self._take(event)
