"""A lease server like the Kubernetes API, and the network between it and a replica.

The server itself is correct: a write replaces exactly the version that it names. The network may
fail: it delays requests and answers, loses them (a lost request may arrive long after its sender
has timed out) or refuses them, and watches end or become silent.
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
    """Holds the one record and its version, and notifies watchers."""

    def __init__(self) -> None:
        self.seen = ObservedLease(None)
        self._count = 0
        self._watchers: list[Callable[[ObservedLease], None]] = []

    def read(self) -> ObservedLease:
        """Return the lease."""
        return self.seen

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Replace exactly this version (None: create the lease)."""
        if version != self.seen.version:
            raise LeaseConflict("someone else was faster")
        self._change(record)
        return self.seen

    def delete(self) -> None:
        """Remove the lease."""
        self.seen = ObservedLease(None)
        self._notify()

    def _change(self, record: LeaseRecord) -> None:
        self._count += 1
        self.seen = ObservedLease(record, str(self._count))
        self._notify()

    def _notify(self) -> None:
        for notify in tuple(self._watchers):
            notify(self.seen)

    def watch(self, notify: Callable[[ObservedLease], None]) -> Callable[[], None]:
        """Report each change until the returned function is called."""
        self._watchers.append(notify)
        return lambda: self._watchers.remove(notify)


@dataclass
class NetworkFaults:
    """The condition of the network to the server for one replica; probabilities and seconds."""

    delay_s: float = 0.004
    is_refusing: bool = False
    swallows: float = 0.0
    loses_replies: float = 0.0
    reply_s: float = 0.0
    breaks_watches: float = 0.0
    is_watch_silent: bool = False


class FaultyLease:
    """A replica's `LeaseLock`: the server behind a network with faults."""

    def __init__(
        self, hub: Hub, server: Server, network: NetworkFaults, rng: random.Random
    ) -> None:
        self._hub = hub
        self._server = server
        self._weather = network
        self._rng = rng
        self._ends: list[Callable[[], None]] = []

    def describe(self) -> str:
        """Return a description."""
        return "simulated lease"

    def read(self) -> ObservedLease:
        """Return the lease at the time when the request arrived."""
        return self._ask(self._server.read)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Write when the request arrives, even if its sender no longer waits."""
        return self._ask(lambda: self._server.write(record, version))

    def _ask(self, act: Callable[[], ObservedLease]) -> ObservedLease:
        """Send a request, and wait for its answer within the time limit."""
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

        self._hub.after(self._request_delay_s(), arrive)
        actor.park(self._hub.now + REQUEST_TIMEOUT_S)
        if not outcome:
            raise LeaseUnavailable("no answer", "timeout")
        if isinstance(outcome[0], LeaseConflict):
            raise outcome[0]
        return outcome[0]

    def _delay_s(self) -> float:
        return self._rng.random() * self._weather.delay_s

    def _request_delay_s(self) -> float:
        """Return the delay of a request; a swallowed one may arrive much later, or never."""
        if self._rng.random() >= self._weather.swallows:
            return self._delay_s()
        return self._rng.choice((0.5, 1.5, 3.0, NEVER)) * (0.5 + self._rng.random())

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report changes, late and in order, until the watch breaks or is closed."""
        actor, last_at, is_over = running(self._hub), [0.0], list[bool]()

        def notify(changed: ObservedLease) -> None:
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

        stop = self._server.watch(notify)
        self._ends.append(end)
        if self._server.seen.version != seen.version:
            notify(self._server.seen)
        actor.park(self._hub.now + 250.0)
        self._ends.remove(end)
        stop()

    def close(self) -> None:
        """End the watches."""
        for end in tuple(self._ends):
            end()
