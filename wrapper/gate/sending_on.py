"""Sending on one batch that was held: the edge, retries, and what the receiver has already; pure.

``sending_on`` is a generator: it yields each ``Request`` to send, gets the ``Answer``, and returns
a ``Result``. It has no clock: a request says how long to wait before it. Whoever drives it asks
before each request whether the gate is open, and drops it when it is not; then nothing counts, and
the whole batch is sent again later.

A receiver that refuses with 400 or 409 may have some of the samples, or newer ones. Prometheus then
takes none of the request; Mimir, Cortex and Thanos take the good part. In protocol 2 a receiver
says how much it has written; where that is nothing it is not believed, for Cortex says so of the
good part too. So a batch that is refused is sent in pieces, unless a count tells: by time, oldest
first. Where one time is refused, a few series of it are sent alone, spread over all: if none is
taken, the receiver has all of that time; else the rest is sent in halves, and likewise for each
that is refused. Prometheus sends the series of a scrape in runs, so a few halves are mixed, and
most are known or new as a whole. Of one time each series has one sample, so that the order of its
pieces does not matter. What ``MOST_REQUESTS`` do not find out is given up, and counted so.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from wrapper.base.backoff import backoff_s
from wrapper.gate.held import Batch
from wrapper.gate.pieces import Part, apart, by_timestamp, halves, newer
from wrapper.gate.samples import Counts, Protocol, Undecodable, counts
from wrapper.gate.verdicts import Answer, Outcome

FIRST_PAUSE_S = 0.03
MOST_REQUESTS = 1024  # for the pieces of one batch, besides those that are to be sent again
MOST_TIMES = 128  # pieces by time
PROBES = 8  # series that are asked for alone, spread over all
TOO_MANY = f"refused, and not found out what is new in it with {MOST_REQUESTS} requests"
MAY_HAVE = frozenset({400, 409})  # statuses of a receiver that has a sample, or newer ones


@dataclass(frozen=True, slots=True)
class Request:
    """Send this body after a wait."""

    body: bytes = field(repr=False)
    wait_s: float = 0.0


@dataclass(slots=True)
class Result:
    """How many samples did not go, by why; see ``model.gate.COUNTERS``."""

    left_out: int = 0
    rejected_known: int = 0
    given_up: int = 0
    unconfirmed: int = 0
    bytes_sent: int = 0
    problem: str = ""


Sending = Generator[Request, Answer, Result]
Answering = Generator[Request, Answer, Answer]


def sending_on(batch: Batch, mark: int | None, max_backoff_s: float) -> Sending:
    """Send a batch on, without what is at or before the mark; see the module."""
    return (yield from _Sender(batch, max_backoff_s).send(mark))


def count_of(batch: Batch) -> int:
    """Return how many samples a batch has: 1 where it cannot be decoded, so that it counts."""
    try:
        return counts(batch.body, batch.protocol).timed
    except Undecodable:
        return 1


class _Sender:
    """The sending of one batch."""

    def __init__(self, batch: Batch, max_backoff_s: float) -> None:
        self._batch = batch
        self._protocol = batch.protocol
        self._max_backoff_s = max_backoff_s
        self._left = MOST_REQUESTS
        self.result = Result()

    def send(self, mark: int | None) -> Sending:
        """Send what is newer than the mark."""
        body = self._newer(mark)
        if body is None:
            return self.result
        answer = yield from self._answer(body)
        try:
            yield from self._look_at(body, answer)
        except Undecodable as error:
            if answer.outcome is Outcome.FINAL:
                self._give_up(1, f"{answer.problem or answer.status}; {error}")
        return self.result

    def _newer(self, mark: int | None) -> bytes | None:
        body = self._batch.body
        if mark is None:
            return body
        try:
            left, self.result.left_out = newer(body, self._protocol, mark)
        except Undecodable:
            return body
        return left

    def _look_at(self, body: bytes, answer: Answer) -> Generator[Request, Answer]:
        """Take the answer to the whole."""
        if answer.outcome is Outcome.ACKED and self._protocol is Protocol.V1:
            return  # the counts are of protocol 2 alone
        part = Part(body, counts(body, self._protocol))
        is_taken = self._taken(part, answer)
        if is_taken is not False:
            return
        self.result.problem = answer.problem
        if self._protocol is Protocol.V2 and answer.written is not None and answer.written.timed:
            self.result.rejected_known += max(0, part.counts.timed - answer.written.timed)
        else:
            yield from self._by_time(part, reserve=0)

    def _by_time(self, part: Part, reserve: int) -> Generator[Request, Answer]:
        """Send what was refused in pieces by time; ``reserve`` requests are for what is later."""
        pieces = by_timestamp(part.body, self._protocol, min(MOST_TIMES, self._left - reserve))
        if len(pieces) == 1:
            yield from self._of_one_time(pieces[0], reserve)
            return
        for number, piece in enumerate(pieces):
            later = reserve + len(pieces) - number - 1
            is_taken = yield from self._piece(piece)
            if is_taken is not False:
                continue
            if piece.times == 1:
                yield from self._of_one_time(piece, later)
            elif self._left - later > 1:
                yield from self._by_time(piece, later)
            else:
                self._give_up(piece.counts.timed, TOO_MANY)

    def _of_one_time(self, part: Part, reserve: int) -> Generator[Request, Answer]:
        """Find what is new in what was refused, of one time: it has all, or each is asked for."""
        if self._left - reserve < PROBES + 1 and part.counts.timed > 1:
            self._give_up(part.counts.timed, TOO_MANY)
            return
        probes, rest = apart(part.body, self._protocol, PROBES)
        if len(probes) == 1 and rest is None:
            self.result.rejected_known += part.counts.timed
            return
        has_taken = False
        for probe in probes:
            is_taken = yield from self._piece(probe)
            has_taken |= is_taken is True
            self.result.rejected_known += probe.counts.timed if is_taken is False else 0
        if rest is None:
            return
        if not has_taken:
            self.result.rejected_known += rest.counts.timed
            return
        for half in halves(rest.body, self._protocol) or (rest,):
            yield from self._half(half, reserve)

    def _half(self, part: Part, reserve: int) -> Generator[Request, Answer]:
        """Send a half; find out what is new in it if it is refused."""
        if self._left <= reserve:
            self._give_up(part.counts.timed, TOO_MANY)
        elif (yield from self._piece(part)) is False:
            yield from self._of_one_time(part, reserve)

    def _piece(self, part: Part) -> Generator[Request, Answer, bool | None]:
        self._left -= 1
        return self._taken(part, (yield from self._answer(part.body)))

    def _taken(self, part: Part, answer: Answer) -> bool | None:
        """Count what an answer says; False: the receiver may have some; None: it is refused."""
        if answer.outcome is Outcome.ACKED:
            if self._protocol is Protocol.V2:
                written = answer.written or Counts()
                self.result.unconfirmed += max(0, part.counts.timed - written.timed)
            return True
        if answer.status in MAY_HAVE:
            return False
        self._give_up(part.counts.timed, answer.problem or f"status {answer.status}")
        return None

    def _give_up(self, count: int, problem: str) -> None:
        self.result.given_up += count
        self.result.problem = problem

    def _answer(self, body: bytes) -> Answering:
        """Send a body until the receiver takes it, or refuses it for good."""
        failures, wait_s = 0, 0.0
        while True:
            answer = yield Request(body, wait_s)
            if answer.outcome.is_over:
                break
            failures += 1
            pause_s = backoff_s(failures, FIRST_PAUSE_S, self._max_backoff_s)
            wait_s = max(pause_s, answer.retry_after_s)
        if answer.outcome is Outcome.ACKED:
            self.result.bytes_sent += len(body)
        return answer
