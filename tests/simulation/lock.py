"""A lease server as the Kubernetes API is one, and what can lie between it and a replica.

The server itself is honest: a write replaces exactly the version it names. All else may go wrong:
requests and answers are late, lost on the way there (and may then arrive long after their sender
gave up) or on the way back, refused, and watches break or fall silent.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.hub import Hub, running
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease

REQUEST_TIMEOUT_S = 1.2
NEVER = 1e9


class Server:
    """Holds the one record, its version, and tells watchers."""

    def __init__(self) -> None:
        self.seen = ObservedLease(None)
        self._count = 0
        self._watchers: list[Callable[[ObservedLease], None]] = []

    def read(self) -> ObservedLease:
        """Return the lease as it is."""
        return self.seen

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Replace exactly that version (None: create)."""
        if version != self.seen.version:
            raise LeaseConflict("someone else was faster")
        self._change(record)
        return self.seen

    def delete(self) -> None:
        """Remove the lease."""
        self.seen = ObservedLease(None)
        self._tell()

    def _change(self, record: LeaseRecord) -> None:
        self._count += 1
        self.seen = ObservedLease(record, str(self._count))
        self._tell()

    def _tell(self) -> None:
        for tell in tuple(self._watchers):
            tell(self.seen)

    def watch(self, tell: Callable[[ObservedLease], None]) -> Callable[[], None]:
        """Tell of each change until the returned function is called."""
        self._watchers.append(tell)
        return lambda: self._watchers.remove(tell)


@dataclass
class Weather:
    """How the way to the server is at the moment, for one replica; probabilities and seconds."""

    delay_s: float = 0.004
    is_refusing: bool = False
    swallows: float = 0.0
    loses_replies: float = 0.0
    reply_s: float = 0.0
    breaks_watches: float = 0.0
    is_watch_silent: bool = False


class Way:
    """A replica's `LeaseLock`: the server seen through the weather."""

    def __init__(self, hub: Hub, server: Server, weather: Weather, rng: random.Random) -> None:
        self._hub = hub
        self._server = server
        self._weather = weather
        self._rng = rng
        self._ends: list[Callable[[], None]] = []

    def describe(self) -> str:
        """Return what this is."""
        return "simulated lease"

    def read(self) -> ObservedLease:
        """Return the lease as it was when the request arrived."""
        return self._ask(self._server.read)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Write when the request arrives, whether or not its sender still waits."""
        return self._ask(lambda: self._server.write(record, version))

    def _ask(self, act: Callable[[], ObservedLease]) -> ObservedLease:
        """Send a request and wait for its answer within the time limit."""
        if self._weather.is_refusing:
            raise LeaseUnavailable("connection refused", "refused")
        actor, outcome = running(self._hub), list[ObservedLease | LeaseConflict]()

        def arrive() -> None:
            try:
                answer: ObservedLease | LeaseConflict = act()
            except LeaseConflict as conflict:
                answer = conflict
            if self._rng.random() >= self._weather.loses_replies:
                late_s = self._weather.reply_s * self._rng.random()
                self._hub.after(self._delay_s() + late_s, lambda: reply(answer))

        def reply(answer: ObservedLease | LeaseConflict) -> None:
            outcome.append(answer)
            actor.wake()

        self._hub.after(self._way_there_s(), arrive)
        actor.park(self._hub.now + REQUEST_TIMEOUT_S)
        if not outcome:
            raise LeaseUnavailable("no answer", "timeout")
        if isinstance(outcome[0], LeaseConflict):
            raise outcome[0]
        return outcome[0]

    def _delay_s(self) -> float:
        return self._rng.random() * self._weather.delay_s

    def _way_there_s(self) -> float:
        """Return how long a request takes; a swallowed one may arrive much later, or never."""
        if self._rng.random() >= self._weather.swallows:
            return self._delay_s()
        return self._rng.choice((0.5, 1.5, 3.0, NEVER)) * (0.5 + self._rng.random())

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report changes, late and in order, until it breaks or is closed."""
        actor, last_at, is_over = running(self._hub), [0.0], list[bool]()

        def tell(changed: ObservedLease) -> None:
            last_at[0] = max(last_at[0], self._hub.now + self._delay_s())
            self._hub.at(last_at[0], lambda: deliver(changed))

        def deliver(changed: ObservedLease) -> None:
            if not is_over and not self._weather.is_watch_silent:
                on_change(changed)
                if self._rng.random() < self._weather.breaks_watches:
                    end()

        def end() -> None:
            is_over.append(True)
            actor.wake()

        stop = self._server.watch(tell)
        self._ends.append(end)
        if self._server.seen.version != seen.version:
            tell(self._server.seen)
        actor.park(self._hub.now + 250.0)
        self._ends.remove(end)
        stop()

    def close(self) -> None:
        """End the watches."""
        for end in tuple(self._ends):
            end()
