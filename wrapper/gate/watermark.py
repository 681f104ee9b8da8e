"""The mark of one endpoint while its gate is open: a low watermark over the requests; pure.

The mark is the time up to which the receiver has acknowledged all samples. It is derived from how
Prometheus sends. A sample waits in a shard for at most ``batch_send_deadline``. Each shard sends in
order, one request at a time. So when a request arrives at time r, every sample scraped before r -
``window_s`` (the deadline plus a second) has arrived, unless Prometheus lags. If it lags, the
requests acknowledged within the window show by how much.

The mark is before each of these times:

- the arrival of the newest request with samples, less the window. Without requests, nothing shows
  that Prometheus runs, and what it had not sent when it died is not acknowledged. Metadata does not
  wait in a shard, so it says nothing about samples: after a reload, it may arrive while Prometheus
  still reads its WAL and sends none. If there are none for ``QUIET_S``, the endpoint has none;
- the earliest sample of each request that was acknowledged, or refused for good, in the window
  before that arrival, or after it. A request that came after it and still counts has no samples or
  cannot be decoded; it is forgotten after ``QUIET_S``;
- the arrival of each request whose body is still being read, or was cut off, less the window, and
  the earliest sample of those acknowledged in the window before it: it may lag as these did. One
  that was cut off is forgotten after ``settle_s``: until then Prometheus has sent it again;
- the earliest sample of each request in flight;
- the earliest sample of each request that failed and has not come again (recognised by a hash of
  its body). A failed request is forgotten after some time, because a Prometheus that was killed
  never sends it again.

For a request that is not decoded yet, the mark at its arrival is used instead. The mark never moves
back. It moves only once requests have been passed on for ``settle_s``, so that requests refused
before that have come again.

Limitation: samples that enter Prometheus more than a second after their timestamp (slow scrapes,
timestamps set by the target) may be at or before the mark without being acknowledged.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from wrapper.gate.lag import Lag
from wrapper.gate.samples import Span
from wrapper.model.gate import Endpoint

ALLOWED_S = 1.0  # the part of the window beyond the deadline
QUIET_S = 600.0  # Prometheus takes a minute or more to read a large WAL
FORGET_S = 60.0  # a failed request is forgotten this long after twice the longest back-off


@dataclass(slots=True, eq=False)
class TrackedRequest:
    """A request that bounds the mark.

    - ``came``: when it arrived (CLOCK_BOOTTIME, in seconds).
    - ``came_ms``: when it arrived (wall clock, ms).
    - ``floor``: the mark may move up to this time (ms); None if no such time is known.
    - ``is_decoded``: whether ``floor`` comes from its samples.
    - ``is_empty``: whether it has no samples, so that it does not bound the mark.
    - ``ended``: when it was acknowledged or refused for good (CLOCK_BOOTTIME, in seconds).
    - ``first_came``: when it arrived for the first time, if it failed and came again.
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
    """The mark of one endpoint, and the requests that bound it; see the module.

    - ``mark``: the mark in ms; None if none is known.
    - ``window_s``: the longest time from a scrape until the request arrives.
    - ``settle_s``: for how long requests must have been passed on before the mark moves.
    - ``last_late_at``: when the newest request arrived whose samples were older than the window
      (CLOCK_BOOTTIME, in seconds).
    - ``lag_ms``: how old the newest sample of the last decoded request was at its arrival.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.mark: int | None = None
        self._in_flight: set[TrackedRequest] = set()
        self._ended: deque[TrackedRequest] = deque()
        self._failed: dict[bytes, tuple[TrackedRequest, float]] = {}
        self._earliest_acked: int | None = None  # of the samples in the window, less a ms
        self._since: float | None = None
        self._newest: tuple[float, int] | None = None
        self.last_late_at = float("-inf")
        self._lag = Lag()
        self.lag_ms: int | None = None
        self.update(endpoint)

    def update(self, endpoint: Endpoint) -> None:
        """Apply the endpoint's settings: its deadline and its longest back-off."""
        self.window_s = endpoint.batch_deadline_s + ALLOWED_S
        self.settle_s = max(endpoint.batch_deadline_s, endpoint.max_backoff_s) + 1.0
        self._forget_s = 2 * endpoint.max_backoff_s + FORGET_S

    def raise_to(self, mark: int) -> None:
        """Apply a mark that is known from elsewhere, if it is newer."""
        self.mark = mark if self.mark is None else max(self.mark, mark)

    def start(self, now: float) -> None:
        """Record that requests are passed on from ``now`` on."""
        self._since = now

    def stop(self) -> None:
        """Record that requests are no longer passed on: the mark stays."""
        self._since = None

    @property
    def has_started(self) -> bool:
        """Whether requests are passed on."""
        return self._since is not None

    def arrived(self, body: bytes, now: float, wall_ms: int) -> TrackedRequest:
        """Record a request that is passed on, and return it."""
        again = self._failed.pop(key_of(body), None) if self._failed else None
        request = TrackedRequest(now, wall_ms, self.mark)
        if again:
            known = again[0]
            request.first_came = known.first_came
            request.floor, request.is_empty = known.floor, known.is_empty
            request.is_decoded = known.is_decoded
        self._in_flight.add(request)
        if request.is_decoded:
            self._saw(request)
        return request

    def begin_reading(self, now: float, wall_ms: int) -> TrackedRequest:
        """Record that the head of a request has arrived, and return the request."""
        bound = wall_ms - round(self.window_s * 1000) - 1
        earliest = self._earliest_acked
        floor = bound if earliest is None else min(bound, earliest)
        request = TrackedRequest(now, wall_ms, floor)
        self._in_flight.add(request)
        return request

    def end_reading(self, request: TrackedRequest, now: float, *, is_complete: bool) -> None:
        """Record that the body of a request has arrived, or was cut off: then it comes again."""
        self._in_flight.discard(request)
        if not is_complete:
            self._failed[key_of(b"%d" % id(request))] = (request, now + self.settle_s)

    def saw_samples(self, now: float, wall_ms: int) -> None:
        """Record that Prometheus has sent samples, so it runs."""
        last, last_ms = self._newest or (now, wall_ms)
        self._newest = (max(now, last), max(wall_ms, last_ms))

    def _saw(self, request: TrackedRequest) -> None:
        """Record a decoded request; one without samples counts only after ``QUIET_S`` without."""
        since = self._newest[0] if self._newest else self._since
        if not request.is_empty or (since is not None and request.came > since + QUIET_S):
            self.saw_samples(request.came, request.came_ms)

    def arrived_again(self, body: bytes) -> None:
        """Record that a request that is held has arrived, in case it had failed before."""
        if self._failed:
            self._failed.pop(key_of(body), None)

    def decoded(self, request: TrackedRequest, span: Span | None) -> None:
        """Record the time span of a request's samples; None if it has none."""
        request.is_decoded, request.is_empty = True, span is None
        self._saw(request)
        if span is None:
            return
        request.floor = span.earliest - 1
        self.lag_ms = request.came_ms - span.latest
        if self.lag_ms > self.window_s * 1000:
            self.last_late_at = max(self.last_late_at, request.came)
        if not self._has_waited(request):
            self._saw_lag(request, span)

    def _saw_lag(self, request: TrackedRequest, span: Span) -> None:
        """Record how far Prometheus lags; see ``lag``.

        The newest sample of a request is that old, or the oldest is older than it can become while
        it waits in a shard. Only both together show a lag: samples may wait in a shard, and some
        may have the timestamps of slow scrapes, or those that a target sets.
        """
        waited_s = self.window_s - ALLOWED_S
        oldest_s = (request.came_ms - span.earliest) / 1000
        newest_s = (request.came_ms - span.latest) / 1000
        self._lag.saw(request.came, min(newest_s + waited_s, oldest_s), self.window_s)

    def _has_waited(self, request: TrackedRequest) -> bool:
        """Return whether samples of a request may have waited behind another that was slow."""
        return request.first_came < request.came or any(
            each.ended - each.first_came > ALLOWED_S for each in self._ended
        )

    def longest_wait_s(self, now: float) -> float:
        """Return how long after its timestamp a sample may arrive: the window, or more with a lag.

        This is not for samples that waited behind a slow request: see ``last_delay_ended_at``.
        """
        return self._lag.longest_age_s(now, self.window_s)

    def completed(self, request: TrackedRequest, now: float) -> None:
        """Record that a request was acknowledged, or refused for good."""
        self._in_flight.discard(request)
        request.ended = now
        self._ended.append(request)

    def failed(
        self, request: TrackedRequest, body: bytes, now: float, retry_after_s: float
    ) -> None:
        """Record that a request failed, and that Prometheus will send it again."""
        self._in_flight.discard(request)
        self._failed[key_of(body)] = (request, now + self._forget_s + retry_after_s)

    def refused(self, body: bytes, now: float, wall_ms: int) -> None:
        """Record that the gate itself refused a request, and that Prometheus will send it again."""
        key = key_of(body)
        known = self._failed.get(key)
        request = known[0] if known else TrackedRequest(now, wall_ms, self.mark)
        self._failed[key] = (request, now + self._forget_s)

    def last_delay_ended_at(self, at: float) -> float:
        """Return when the last request ended that may have delayed samples from before ``at``.

        Such samples arrive within the window after that, because a shard sends one request at a
        time. A request may have delayed them if it arrived before ``at``, or if it took more than
        the second that the window allows. Without such a request, return -inf.
        """
        held_up = (
            each.ended
            for each in self._ended
            if each.first_came < at or each.ended - each.came > ALLOWED_S
        )
        return max(held_up, default=float("-inf"))

    @property
    def in_flight(self) -> int:
        """The number of requests that are being read, or in flight."""
        return len(self._in_flight)

    def is_awaiting(self, now: float) -> bool:
        """Return whether a request has failed, and has not come again yet."""
        self._forget(now)
        return bool(self._failed)

    def advance(self, now: float, most: int | None = None) -> int | None:
        """Move the mark as far as it is proven now, but not beyond ``most``; return it."""
        self._forget(now)
        floors = (each.floor for each in self._ended if each.is_decoded and not each.is_empty)
        self._earliest_acked = min((each for each in floors if each is not None), default=None)
        if self._since is None or now < self._since + self.settle_s or self._newest is None:
            return self.mark
        bounds = [self._newest[1] - round(self.window_s * 1000) - 1]
        for each in self._pending():
            if each.floor is None:
                return self.mark
            bounds.append(each.floor)
        if most is not None:
            bounds.append(most)
        self.raise_to(min(bounds))
        return self.mark

    def behind_s(self, wall_ms: int) -> float | None:
        """Return how far the receiver is behind, in seconds of sample time; None if unknown."""
        waiting = [*self._in_flight, *(each for each, _ in self._failed.values())]
        floors = [
            each.floor
            for each in waiting
            if each.floor is not None and each.is_decoded and not each.is_empty
        ]
        if floors:
            return max(0.0, (wall_ms - min(floors)) / 1000)
        return None if self.lag_ms is None else max(0.0, self.lag_ms / 1000)

    def _pending(self) -> Iterator[TrackedRequest]:
        """Yield the requests that bound the mark."""
        for each in (*self._in_flight, *self._ended, *(each for each, _ in self._failed.values())):
            if not each.is_empty:
                yield each

    def _forget(self, now: float) -> None:
        since = (self._newest[0] if self._newest else now) - self.window_s
        while self._ended and self._ended[0].ended < since:
            self._ended.popleft()
        newest, quiet = self._newest, now - QUIET_S
        if newest and newest[0] < quiet:  # else the next one with samples has them forgotten soon
            kept = (each for each in self._ended if each.came <= newest[0] or each.ended >= quiet)
            self._ended = deque(kept)
        if self._failed:
            self._failed = {key: each for key, each in self._failed.items() if each[1] > now}


def key_of(body: bytes) -> bytes:
    """Return a hash that identifies a body."""
    return hashlib.blake2b(body, digest_size=16).digest()
