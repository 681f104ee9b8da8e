"""The thread that consumes Promgen's tasks from the broker's queue.

What happens to a message:

- It is acknowledged when its files have been fetched after it came, and new rules are loaded. It is
  also acknowledged if the answer itself is bad: only a scheduled fetch then tries again.
- After any other failure (no answer, a file cannot be written, no thread for a new file), it is
  given back to the broker after a pause, and delivered again.
- A foreign message is held for a while, and then given back for other consumers.

Many messages at once cause few fetches (``fetch_pacing``). While the broker is unreachable,
connecting is retried, and scheduled fetches continue.

Guarantee: no content of a message gets into a file. A task only causes a fetch, or cleaning.

Limitation: if MOST_UNACKNOWLEDGED foreign messages are held, the tasks behind them wait.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from wrapper.base import clock
from wrapper.base.backoff import backoff_s
from wrapper.base.shown_text import in_short
from wrapper.base.threads import ThreadRefused
from wrapper.model.events import Event, QueueReported
from wrapper.model.fetched_file import QueueState
from wrapper.targets.broker import (
    MOST_UNACKNOWLEDGED,
    TICK_S,
    Broker,
    BrokerUnreachable,
    Message,
    NotInstalled,
)
from wrapper.targets.promgen_task import BadTask, ForeignMessage, Task, read_task
from wrapper.targets.task_dispatch import TaskDispatch

LOG = logging.getLogger(__name__)
RECONNECT_FIRST_S, RECONNECT_MOST_S = 1.0, 60.0
GIVE_BACK_FIRST_S, GIVE_BACK_MOST_S = 5.0, 20.0  # pause after a task has failed, first and longest
LEAVE_ALONE_S = 30.0
MOST_SAID = 100
MANY_CHANGES = 3
LASTING_S = 30.0  # after so long a connection, the pauses to reconnect begin anew


@dataclass(slots=True)
class Pending:
    """A message whose task is in progress: the number of unfinished parts, and why one failed."""

    message: Message
    parts: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class UnannouncedChanges:
    """The changes of each file without a message, as counted when the last message came.

    Promgen sends a message for each change. If scheduled fetches find MANY_CHANGES without any
    message, Promgen does not know the queue. Fewer changes prove nothing: a fetch may find a change
    just before its message comes.

    Limitation: while nothing changes, a wrong queue is not detected.
    """

    then: Mapping[str, int]

    def changes(self, now: Mapping[str, int]) -> int:
        """Return the number of changes since then in the file with most: files change together."""
        return max((count - self.then.get(file, 0) for file, count in now.items()), default=0)


class TargetQueue:
    """Listens on one queue. ``run`` is the thread's body."""

    def __init__(
        self,
        broker: Broker,
        name: str,
        dispatch: TaskDispatch,
        report: Callable[[Event], None],
        unannounced_changes: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """Take the broker, the queue's name, and the ``dispatch`` that starts the tasks.

        ``report`` gets the queue's state when it changes. ``unannounced_changes`` returns by file
        how many changes scheduled fetches have found.
        """
        self._broker = broker
        self._dispatch = dispatch
        self._report = report
        self._unannounced_changes = unannounced_changes
        self._unannounced = UnannouncedChanges({})
        self._state = self._reported = QueueState(name)
        self._settled: queue.SimpleQueue[tuple[Pending, str]] = queue.SimpleQueue()
        self._held: list[tuple[float, int, Message]] = []  # a heap; first the next one to give back
        self._numbers = itertools.count()
        self._tell_at = 0.0
        self._pending: list[Pending] = []
        self._given_back = 0  # failures in a row; those during one pause count once
        self._give_back_at = 0.0
        self._said: set[str] = set()
        self._connected_at: float | None = None
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop listening."""
        self._ended.set()

    def run(self) -> None:
        """Listen, until ``end``."""
        failures = 0
        while not self._ended.is_set():
            self._forget()
            try:
                self._broker.listen(self._take, self._tick)
            except BrokerUnreachable as error:
                if self._ended.is_set():
                    return
                failures = 1 if self._has_lasted() else failures + 1
                self._disconnected(error)
            pause_s = backoff_s(failures, RECONNECT_FIRST_S, RECONNECT_MOST_S)
            self._ended.wait(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    def _has_lasted(self) -> bool:
        at = self._connected_at
        return at is not None and clock.now() - at > LASTING_S

    def _forget(self) -> None:
        """Discard the messages of a lost connection: the broker delivers them again."""
        self._held, self._pending, self._connected_at = [], [], None

    # --- one message ---

    def _take(self, message: Message) -> None:
        try:
            task = read_task(message.headers, _body(message))
            self._begin(task, message)
        except ForeignMessage as error:
            self._say(f"left in the queue: {error}", "it is not a task of Promgen for this server")
            self._hold(message, LEAVE_ALONE_S, "left_alone")
        except BadTask as error:
            self._drop(message, str(error))
        except ThreadRefused as error:
            self._say("given back: its task cannot be started yet", str(error.strerror))
            self._hold(message, self._pause_s(clock.now()), "given_back")
        except Exception as error:  # noqa: BLE001 - given back, it would come again for ever
            self._drop(message, f"its task could not be started ({type(error).__name__})")

    def _drop(self, message: Message, problem: str) -> None:
        self._heard()
        self._say(f"dropped: {problem}", "this task can never succeed")
        message.acknowledge()
        self._count("dropped")

    def _begin(self, task: Task, message: Message) -> None:
        self._heard()
        pending = Pending(message, 0)
        pending.parts = self._dispatch.begin(
            task, lambda problem: self._settled.put((pending, problem))
        )
        self._pending.append(pending)

    # --- between messages ---

    def _tick(self) -> None:
        """Acknowledge finished tasks, and give back messages that were held long enough."""
        if self._ended.is_set():
            raise BrokerUnreachable("stopped listening")
        if self._connected_at is None:
            self._connected()
        while not self._settled.empty():
            self._settle(*self._settled.get())
        now = clock.now()
        while self._held and self._held[0][0] <= now:
            heapq.heappop(self._held)[2].give_back()
        if now >= self._tell_at:
            self._tell_at = now + TICK_S
            self._look_for_silence()
            self._tell()

    def _settle(self, pending: Pending, problem: str) -> None:
        """Record the end of a part of a task; after the last, acknowledge or hold the message."""
        if not any(each is pending for each in self._pending):
            return  # the message's connection was lost
        pending.parts -= 1
        pending.problem = pending.problem or problem
        if pending.parts:
            return
        self._pending = [each for each in self._pending if each is not pending]
        if pending.problem:
            self._hold(pending.message, self._pause_s(clock.now()), "given_back")
        else:
            self._given_back = 0
            pending.message.acknowledge()
            self._count("acknowledged")

    def _pause_s(self, now: float) -> float:
        """Return the pause after a failure: longer each time. Failures during a pause share it."""
        if now >= self._give_back_at:
            self._given_back += 1
            pause_s = backoff_s(self._given_back, GIVE_BACK_FIRST_S, GIVE_BACK_MOST_S)
            self._give_back_at = now + pause_s
        return self._give_back_at - now

    def _hold(self, message: Message, seconds: float, outcome: str) -> None:
        heapq.heappush(self._held, (clock.now() + seconds, next(self._numbers), message))
        self._count(outcome)
        if len(self._held) >= MOST_UNACKNOWLEDGED:
            self._say(
                f"held without acknowledgement, as are all {MOST_UNACKNOWLEDGED} that are allowed",
                "later tasks wait: let another program consume these messages, or purge the queue",
            )

    # --- state and logs ---

    def _connected(self) -> None:
        self._connected_at = clock.now()
        self._unannounced = UnannouncedChanges(self._unannounced_changes())
        LOG.info("listening to Promgen", extra={"queue": self._state.queue})
        self._state = replace(self._state, is_connected=True, problem="")

    def _heard(self) -> None:
        """Record that Promgen has sent a message, so it knows this queue."""
        self._unannounced = UnannouncedChanges(self._unannounced_changes())
        if self._is_silent and self._state.is_connected:
            LOG.info("Promgen sends messages now", extra={"queue": self._state.queue})
            self._state = replace(self._state, unannounced_changes=0, problem="")

    def _look_for_silence(self) -> None:
        """Warn once if Promgen most likely does not know the queue."""
        changes = self._unannounced.changes(self._unannounced_changes())
        was_silent = self._is_silent
        self._state = replace(self._state, unannounced_changes=changes)
        if self._is_silent and not was_silent:
            problem = _silent(self._state.queue)
            self._state = replace(self._state, problem=problem)
            extra = {"queue": self._state.queue, "reason": problem}
            LOG.warning("connected to the broker, but Promgen sends no messages", extra=extra)

    @property
    def _is_silent(self) -> bool:
        return self._state.unannounced_changes >= MANY_CHANGES

    def _disconnected(self, error: BrokerUnreachable) -> None:
        problem = str(error)
        if problem != self._state.problem or self._state.is_connected:
            extra = {"queue": self._state.queue, "reason": problem}
            LOG.warning("%s, reconnecting; scheduled fetches continue", _what(error), extra=extra)
        self._state = replace(self._state, is_connected=False, problem=problem)
        self._tell()

    def _say(self, what: str, why: str) -> None:
        """Log once what happens to a kind of message, for up to MOST_SAID kinds."""
        shown = in_short(what)
        if shown not in self._said and len(self._said) < MOST_SAID:
            self._said.add(shown)
            LOG.warning("message %s", shown, extra={"queue": self._state.queue, "reason": why})

    def _count(self, outcome: str) -> None:
        counts = {**self._state.messages, outcome: self._state.messages.get(outcome, 0) + 1}
        self._state = replace(self._state, messages=counts)

    def _tell(self) -> None:
        """Report the state if it has changed."""
        if self._state != self._reported:
            self._reported = self._state
            self._report(QueueReported(asdict(self._state)))


def _silent(queue: str) -> str:
    """Return the most likely cause of a queue without messages, and the cure."""
    return (
        "scheduled fetches find changes, but Promgen sends no message about them: register this "
        f"server in Promgen under the queue's name (register-server SHARD {queue} PORT), or set "
        "--targets-queue to the name under which it is registered"
    )


def _what(error: BrokerUnreachable) -> str:
    is_missing = isinstance(error, NotInstalled)
    return "broker cannot be used" if is_missing else "broker unreachable"


def _body(message: Message) -> object:
    try:
        return message.body()
    except ValueError as error:
        raise ForeignMessage(str(error)) from error
