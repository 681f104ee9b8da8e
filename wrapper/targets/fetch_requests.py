"""Who asks for a feed, and waiting until it is time for them, or for the interval's fetch.

Anybody may ask, from any thread; one thread waits, and fetches (``pace`` tells when). Whoever asks
is answered by a fetch that begins afterwards. Where it ends: what came of a fetch.
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
    """Somebody wants the file as it is now; ``done`` gets why to ask again, "" for no reason."""

    mode: int | None
    done: Done
    at: float


class FetchRequests:
    """All who ask for one feed."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[FetchRequest] = queue.SimpleQueue()
        self._waiting: list[FetchRequest] = []
        self._pace = fetch_pacing.Pace()
        self._is_ended = False

    def put(self, mode: int | None, done: Done) -> None:
        """Ask."""
        self._queue.put(FetchRequest(mode, done, clock.now()))

    def end(self) -> None:
        """Wait no more."""
        self._is_ended = True
        self.put(None, lambda _problem: None)

    def fetched(self) -> None:
        """Note that a fetch has ended, for those whom ``wait`` returned."""
        self._pace = fetch_pacing.fetched(self._pace, clock.now())

    def wait(self, until: float) -> Sequence[FetchRequest]:
        """Wait until then, or until it is time for those who ask; return these."""
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
