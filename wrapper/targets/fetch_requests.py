"""Collects requests to fetch a feed, and waits until a requested or scheduled fetch is due.

Any thread may request a fetch. The feed's own thread waits and fetches (``fetch_loop``);
``fetch_pacing`` decides when.

Guarantee: each request is answered by a fetch that began after it.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from wrapper.base import clock
from wrapper.targets import fetch_pacing

Done = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A request to update a file.

    ``done`` is called with the reason why it has to be repeated; "" if it has not.
    """

    mode: int | None
    done: Done
    at: float


class FetchRequests:
    """The requests for one feed."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[FetchRequest] = queue.SimpleQueue()
        self._waiting: list[FetchRequest] = []
        self._pace = fetch_pacing.FetchPace()
        self._is_ended = False

    def put(self, mode: int | None, done: Done) -> None:
        """Add a request."""
        self._queue.put(FetchRequest(mode, done, clock.now()))

    def end(self) -> None:
        """End a wait, and all later ones."""
        self._is_ended = True
        self.put(None, lambda _problem: None)

    def fetched(self) -> None:
        """Record the end of the fetch for the requests that ``wait`` returned."""
        self._pace = fetch_pacing.fetched(self._pace, clock.now())

    def wait(self, until: float) -> Sequence[FetchRequest]:
        """Wait until this time, or until requests are due; return all requests."""
        while True:
            while not self._queue.empty():
                self._take(self._queue.get())
            due_at = fetch_pacing.due_at(self._pace)
            left_s = (until if due_at is None else min(until, due_at)) - clock.now()
            if left_s <= 0 or self._is_ended:
                found, self._waiting = self._waiting, []
                return found
            with suppress(queue.Empty):
                self._take(self._queue.get(timeout=left_s))

    def _take(self, request: FetchRequest) -> None:
        self._waiting.append(request)
        self._pace = fetch_pacing.asked(self._pace, request.at)
