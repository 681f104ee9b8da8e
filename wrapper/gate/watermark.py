"""The mark of one endpoint, while its gate is open: a low watermark over requests; pure.

A sample waits in a shard of Prometheus at most ``batch_send_deadline``, each shard sends in order
and one request at a time. So when a request came at r, whatever was scraped before r less
``window_s`` (the deadline and a second) has come, unless Prometheus lags; and then what was
acknowledged within the window tells how far. The mark is what is before

- the arrival of the newest request less the window: without requests nothing says that Prometheus
  lives, and what it had not sent when it died is not acknowledged;
- the earliest sample of each request that was acknowledged, or refused for good, in the window
  before that arrival, or after it;
- that of each request under way;
- that of each request that failed and has not come again (told by a hash of its body), until it is
  forgotten: Prometheus that was killed never sends it again.

A request that is not decoded yet counts with the mark as it was when it came. The mark never goes
back. It moves only once requests have been passed on for ``settle_s``, so that what was refused
before has come again. Its limit: samples that come into Prometheus later than a second after their
time (slow scrapes, timestamps of the target's own) may be at or before a mark, unacknowledged.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from wrapper.gate.samples import Span
from wrapper.model.gate import Endpoint

ALLOWED_S = 1.0  # of the window, beyond the deadline
FORGET_S = 60.0  # beyond twice the longest pause, a failed request is not awaited any more


@dataclass(slots=True, eq=False)
class Request:
    """A request and what is before its samples, None if nothing is known to be.

    ``came`` and ``ended`` are boot seconds; ``first_came`` is of a failed one that came again.
    """

    came: float
    came_ms: int
    floor: int | None
    is_decoded: bool = False
    is_empty: bool = False
    ended: float = 0.0
    first_came: float = 0.0

    def __post_init__(self) -> None:
        self.first_came = self.came


class Watermark:
    """See the module."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.mark: int | None = None
        self._under_way: set[Request] = set()
        self._ended: deque[Request] = deque()
        self._failed: dict[bytes, tuple[Request, float]] = {}
        self._since: float | None = None
        self._newest: tuple[float, int] | None = None
        self.late_at = float("-inf")
        self.lag_ms: int | None = None
        self.fits(endpoint)

    def fits(self, endpoint: Endpoint) -> None:
        """Take the endpoint's times."""
        self.window_s = endpoint.batch_deadline_s + ALLOWED_S
        self.settle_s = max(endpoint.batch_deadline_s, endpoint.max_backoff_s) + 1.0
        self._forget_s = 2 * endpoint.max_backoff_s + FORGET_S

    def learn(self, mark: int) -> None:
        """Take a mark that is known from elsewhere."""
        self.mark = mark if self.mark is None else max(self.mark, mark)

    def starts(self, now: float) -> None:
        """Take note that requests are passed on, since a moment."""
        self._since = now

    def stops(self) -> None:
        """Take note that they are not any more: the mark stays."""
        self._since = None

    @property
    def has_started(self) -> bool:
        """Whether requests are passed on."""
        return self._since is not None

    def arrived(self, body: bytes, now: float, wall_ms: int) -> Request:
        """Take note of a request that is passed on."""
        again = self._failed.pop(key_of(body), None) if self._failed else None
        request = Request(now, wall_ms, self.mark)
        if again:
            known = again[0]
            request.first_came = known.first_came
            request.floor, request.is_empty = known.floor, known.is_empty
            request.is_decoded = known.is_decoded
        self._under_way.add(request)
        self.lives(now, wall_ms)
        return request

    def lives(self, now: float, wall_ms: int) -> None:
        """Take note that Prometheus sent something."""
        self._newest = (now, max(wall_ms, self._newest[1] if self._newest else wall_ms))

    def has_come(self, body: bytes) -> None:
        """Take note that a request that is held now has come, if it was awaited."""
        if self._failed:
            self._failed.pop(key_of(body), None)

    def decoded(self, request: Request, span: Span | None) -> None:
        """Take the times of a request's samples, None without any."""
        request.is_decoded = True
        if span is None:
            request.is_empty = True
            return
        request.floor = span.earliest - 1
        self.lag_ms = request.came_ms - span.latest
        if self.lag_ms > self.window_s * 1000:
            self.late_at = max(self.late_at, request.came)

    def is_over(self, request: Request, now: float) -> None:
        """Take note that a request was acknowledged, or refused for good."""
        self._under_way.discard(request)
        request.ended = now
        self._ended.append(request)

    def failed(self, request: Request, body: bytes, now: float, retry_after_s: float) -> None:
        """Take note that a request failed, and will come again."""
        self._under_way.discard(request)
        self._failed[key_of(body)] = (request, now + self._forget_s + retry_after_s)

    def refused(self, body: bytes, now: float, wall_ms: int) -> None:
        """Take note that a request was refused by the gate itself, and will come again."""
        key = key_of(body)
        known = self._failed.get(key)
        request = known[0] if known else Request(now, wall_ms, self.mark)
        self._failed[key] = (request, now + self._forget_s)

    def freed_at(self, at: float) -> float:
        """Return when the last request ended behind which samples of before a moment waited.

        These come within the window from then on: a shard sends one request at a time. It is one
        that had come before the moment, or that took longer than the second that the window allows.
        """
        held_up = (
            each.ended
            for each in self._ended
            if each.first_came < at or each.ended - each.came > ALLOWED_S
        )
        return max(held_up, default=float("-inf"))

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    def is_awaiting(self, now: float) -> bool:
        """Tell whether a request that failed is to come again."""
        self._forget(now)
        return bool(self._failed)

    def advance(self, now: float, most: int | None = None) -> int | None:
        """Move the mark as far as is true now, but not beyond ``most``; return it."""
        self._forget(now)
        if self._since is None or now < self._since + self.settle_s or self._newest is None:
            return self.mark
        bounds = [self._newest[1] - round(self.window_s * 1000) - 1]
        for each in self._pending():
            if each.floor is None:
                return self.mark
            bounds.append(each.floor)
        if most is not None:
            bounds.append(most)
        self.learn(min(bounds))
        return self.mark

    def behind_s(self, wall_ms: int) -> float | None:
        """Return how far the receiver is behind, in seconds of sample time, None if unknown."""
        waiting = [*self._under_way, *(each for each, _ in self._failed.values())]
        floors = [
            each.floor
            for each in waiting
            if each.floor is not None and each.is_decoded and not each.is_empty
        ]
        if floors:
            return max(0.0, (wall_ms - min(floors)) / 1000)
        return None if self.lag_ms is None else max(0.0, self.lag_ms / 1000)

    def _pending(self) -> Iterator[Request]:
        """Yield the requests that bound the mark."""
        for each in (*self._under_way, *self._ended, *(each for each, _ in self._failed.values())):
            if not each.is_empty:
                yield each

    def _forget(self, now: float) -> None:
        since = self._newest[0] - self.window_s if self._newest else now
        while self._ended and self._ended[0].ended < since:
            self._ended.popleft()
        if self._failed:
            self._failed = {key: each for key, each in self._failed.items() if each[1] > now}


def key_of(body: bytes) -> bytes:
    """Return what tells a body from others."""
    return hashlib.blake2b(body, digest_size=16).digest()
