"""The scheduler: one clock, a queue of events, and threads that are greenlets.

The program's own threads run here unchanged: where they would wait, they yield to the hub, which
resumes them at their time. Only waiting takes time. A thread can be paused at any wait, and, since
a reading of the clock may be one, between any two readings of the clock. All random values come
from one seeded source, so that a history can be repeated.
"""

from __future__ import annotations

import heapq
import queue
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")

# The shortest wait: so short that nothing depends on it, long enough to move a float.
INSTANT_S = 1e-6


class Hub:
    """The clock and the pending events; times are real seconds, not those of replicas' clocks."""

    def __init__(self) -> None:
        self.now = 0.0
        self.running: Actor | None = None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._actors: list[Actor] = []

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Schedule an event at a time, or now if that has passed."""
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Schedule an event after some seconds."""
        self.at(self.now + seconds, happen)

    def run(self, until: float) -> None:
        """Run all events until a time."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
        self.now = until

    def start(self, group: Group, body: Callable[[], object], name: str) -> Actor:
        """Start a thread now."""
        actor = Actor(self, group, body, name)
        self._actors.append(actor)
        actor.wake()
        return actor

    def close(self) -> None:
        """End all threads."""
        for actor in self._actors:
            actor.end()


class Group:
    """Threads that start and end together: those of a process."""

    def __init__(self) -> None:
        self.is_alive = True


class Actor:
    """A thread: it runs until it parks, and resumes at its time or when another wakes it."""

    def __init__(self, hub: Hub, group: Group, body: Callable[[], object], name: str) -> None:
        self.name = name
        self.group = group
        self.paused_until = 0.0
        self._hub = hub
        self._ticket = 0
        self._greenlet = greenlet(body, parent=getcurrent())

    def park(self, until: float) -> None:
        """Wait until a time, or until woken; only the thread itself may call it."""
        self._ticket += 1
        ticket = self._ticket
        self._hub.at(max(until, self._hub.now + INSTANT_S), lambda: self._resume(ticket))
        parent = self._greenlet.parent
        if parent is None:
            raise GreenletExit
        parent.switch()

    def wake(self) -> None:
        """Resume the thread now."""
        ticket = self._ticket
        self._hub.at(self._hub.now, lambda: self._resume(ticket))

    def pause(self, until: float) -> None:
        """Prevent the thread from resuming before a time."""
        self.paused_until = max(self.paused_until, until)

    def _resume(self, ticket: int) -> None:
        if ticket != self._ticket or not self.group.is_alive or self._greenlet.dead:
            return
        if self._hub.now < self.paused_until:
            self._hub.at(self.paused_until, lambda: self._resume(ticket))
            return
        self._ticket += 1
        self._hub.running = self
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()
        self._hub.running = None

    def end(self) -> None:
        """End the thread where it waits."""
        self._ticket += 1
        if not self._greenlet.dead:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)


class Mailbox(Generic[T]):
    """A replacement for a queue, whose waits are measured by a replica's own clock."""

    def __init__(self, hub: Hub, rate: float) -> None:
        self._hub = hub
        self._rate = rate
        self._items: deque[T] = deque()
        self._waiter: Actor | None = None

    def put(self, item: T) -> None:
        """Add an item, from any thread."""
        self._items.append(item)
        if self._waiter is not None:
            self._waiter.wake()

    def get(self, timeout: float) -> T:
        """Return the next item; raise queue.Empty if there is none in time."""
        if not self._items and timeout > 0:
            self._waiter = running(self._hub)
            self._waiter.park(self._hub.now + timeout / self._rate)
            self._waiter = None
        if not self._items:
            raise queue.Empty
        return self._items.popleft()

    def wait(self, timeout_s: float) -> T | None:
        """Return the next item, or None if there is none in time."""
        try:
            return self.get(timeout_s)
        except queue.Empty:
            return None

    def waiting(self) -> T | None:
        """Return the next item if there is one."""
        return self._items.popleft() if self._items else None


def running(hub: Hub) -> Actor:
    """Return the running thread."""
    if hub.running is None:
        raise RuntimeError("no thread runs")
    return hub.running
