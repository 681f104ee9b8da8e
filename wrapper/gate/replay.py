"""Send one held batch to the receiver, which may already have a part of it; pure.

``replay`` is a generator. It yields each ``ReplayRequest`` to send, receives the ``Answer``, and
returns a ``Result``. It has no clock: each request contains the time to wait before it is sent.
Before each request, the caller checks whether the gate is open. If the gate is closed, the caller
drops the generator. Then nothing is counted, and the whole batch is sent again later.

A receiver that answers 400 or 409 may already have some of the samples, or newer ones. Receivers
differ in what they do with the others:

- Prometheus rejects the whole request.
- Mimir, Cortex and Thanos accept the valid samples.

In protocol 2, the receiver reports how many samples it has written. A report of none is not
trusted, because Cortex reports none even if it has accepted the valid samples.

Without a usable count, a refused batch is sent again in pieces:

1. The batch is split by timestamp. The pieces are sent oldest first.
2. If a piece with one timestamp is refused, 64 of its series, the probes, are sent alone. They are
   spread over all series; see ``probes``. If the answers to them change more than once from one to
   the next, 64 more are sent.
3. The series between two probes that were accepted are sent together, and in halves if they are
   refused. Those between one that was accepted and one that was refused are sent alone.
4. The series between two probes that were refused are known, unless the answers change more than
   twice and at least 1 of 32 probes was accepted. Then known and new series are mixed, and those
   are sent alone too.

The answers change once at a cut: a request had only a part of a scrape. They change twice if the
receiver lacks, or has, only one run of series, such as those of one target. Known and new series
are mixed if the former leader's Prometheus had several shards, and only some of these had sent
their series. Each series has only one sample per timestamp, so the order of the pieces of one
timestamp does not matter.

Fewer probes would miss more new series, but each is a request, for which a failover waits: a batch
of 2,000 known samples takes 65 requests, which is 0.65 s if the receiver answers after 10 ms.

Limitations:

- If less than a tenth of the series of a timestamp are new, and they are scattered, some or all of
  them may be lost, and counted as known. On average, that is at most 1.7 % of the series of the
  timestamp, and most if 2.5 % of them are new. Of a tenth or more, it is less than 0.1 %.
- If the answer to a probe is lost, and the receiver refuses the same sample, the probe counts as
  known. If it is next to a cut, the new series between the two may be lost.
- If ``MOST_REQUESTS`` requests do not find out which samples are new, the rest is given up, and
  counted as given up.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import chain

from wrapper.base.backoff import backoff_s
from wrapper.gate.decisions import Answer, Outcome
from wrapper.gate.held import Batch
from wrapper.gate.probes import ROUNDS, changes, groups, probes
from wrapper.gate.samples import Counts, Protocol, Undecodable, counts
from wrapper.gate.splitting import Part, SeriesOf, by_timestamp, without_known

FIRST_PAUSE_S = 0.03
MOST_REQUESTS = 8192  # for the pieces of one batch, not counting retries; for 2,000 samples enough
MOST_TIMES = 128  # pieces by time
TOO_MANY = f"rejected, and its new samples were not found within {MOST_REQUESTS} requests"
MAY_HAVE = frozenset({400, 409})  # statuses of a receiver that has the samples, or newer ones


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A body to send, after a wait in seconds."""

    body: bytes = field(repr=False)
    wait_s: float = 0.0


@dataclass(slots=True)
class Result:
    """How many samples were not written, by reason; see ``model.gate.COUNTERS``."""

    left_out: int = 0
    rejected_known: int = 0
    given_up: int = 0
    unconfirmed: int = 0
    bytes_sent: int = 0
    problem: str = ""


Sending = Generator[ReplayRequest, Answer, Result]
Answering = Generator[ReplayRequest, Answer, Answer]
Sent = Generator[ReplayRequest, Answer, bool | None]


def replay(batch: Batch, mark: int | None, max_backoff_s: float, attempt: int = 0) -> Sending:
    """Send a batch, except the samples at or before the mark; see the module.

    ``attempt`` is a number that differs if the same batch is sent again from the beginning.
    """
    return (yield from _Sender(batch, max_backoff_s, attempt).send(mark))


def count_of(batch: Batch) -> int:
    """Return the number of samples of a batch; 1 if it cannot be decoded, so that it is counted."""
    try:
        return counts(batch.body, batch.protocol).timed
    except Undecodable:
        return 1


class _Sender:
    """Sends one batch."""

    def __init__(self, batch: Batch, max_backoff_s: float, attempt: int) -> None:
        self._batch = batch
        self._protocol = batch.protocol
        self._max_backoff_s = max_backoff_s
        self._left = MOST_REQUESTS
        self._attempt = attempt
        self.result = Result()

    def send(self, mark: int | None) -> Sending:
        """Send the samples that are newer than the mark."""
        body = self._without_known(mark)
        if body is None:
            return self.result
        answer = yield from self._answer(body)
        try:
            yield from self._handle_answer(body, answer)
        except Undecodable as error:
            if answer.outcome is Outcome.REJECTED:
                self._give_up(1, f"{answer.problem or answer.status}; {error}")
        return self.result

    def _without_known(self, mark: int | None) -> bytes | None:
        body = self._batch.body
        if mark is None:
            return body
        try:
            left, self.result.left_out = without_known(body, self._protocol, mark)
        except Undecodable:
            return body
        return left

    def _handle_answer(self, body: bytes, answer: Answer) -> Generator[ReplayRequest, Answer]:
        """Handle the answer to the whole batch."""
        if answer.outcome is Outcome.ACKED and self._protocol is Protocol.V1:
            return  # only protocol 2 has counts
        part = Part(body, counts(body, self._protocol))
        is_taken = self._taken(part, answer)
        if is_taken is not False:
            return
        self.result.problem = answer.problem
        if self._protocol is Protocol.V2 and answer.written is not None and answer.written.timed:
            self.result.rejected_known += max(0, part.counts.timed - answer.written.timed)
        else:
            yield from self._by_time(part, reserve=0)

    def _by_time(self, part: Part, reserve: int) -> Generator[ReplayRequest, Answer]:
        """Send a refused part in pieces by timestamp; ``reserve`` requests are for later pieces."""
        pieces = by_timestamp(part.body, self._protocol, min(MOST_TIMES, self._left - reserve))
        if len(pieces) == 1:
            yield from self._by_series(pieces[0], reserve)
            return
        for number, piece in enumerate(pieces):
            later = reserve + len(pieces) - number - 1
            is_taken = yield from self._piece(piece)
            if is_taken is not False:
                continue
            if piece.times == 1:
                yield from self._by_series(piece, later)
            elif self._left - later > 1:
                yield from self._by_time(piece, later)
            else:
                self._give_up(piece.counts.timed, TOO_MANY)

    def _by_series(self, part: Part, reserve: int) -> Generator[ReplayRequest, Answer]:
        """Find the new samples of a refused part with one timestamp: from step 2 of the module."""
        series = SeriesOf(part.body, self._protocol)
        if len(series) == 1:
            self.result.rejected_known += part.counts.timed
            return
        accepted: dict[int, bool | None] = {}
        for most in ROUNDS:
            for at in probes(series.timed, most, self._attempt):
                if at not in accepted:
                    accepted[at] = yield from self._group(series, [at], reserve)
            if changes(accepted) <= 1:
                break
        others = groups(len(series), accepted)
        decided = series.count(chain(accepted, *others))
        self.result.rejected_known += part.counts.timed - decided
        for group in others:
            yield from self._group(series, group, reserve)

    def _group(self, series: SeriesOf, group: list[int], reserve: int) -> Sent:
        """Send some series of a part, in halves if they are refused; return as ``_taken``."""
        if self._left <= reserve:
            self._give_up(series.count(group), TOO_MANY)
            return None
        part = series.part(group)
        is_taken = yield from self._piece(part)
        if is_taken is False and len(group) == 1:
            self.result.rejected_known += part.counts.timed
        elif is_taken is False:
            middle = len(group) // 2
            for half in (group[:middle], group[middle:]):
                yield from self._group(series, half, reserve)
        return is_taken

    def _piece(self, part: Part) -> Sent:
        self._left -= 1
        return self._taken(part, (yield from self._answer(part.body)))

    def _taken(self, part: Part, answer: Answer) -> bool | None:
        """Count an answer; return whether the part was accepted.

        False means that the receiver may have some of the samples, None that it refuses them for
        good.
        """
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
        """Send a body, and retry until the receiver accepts it or refuses it for good."""
        failures, wait_s = 0, 0.0
        while True:
            answer = yield ReplayRequest(body, wait_s)
            if answer.outcome.is_final:
                break
            failures += 1
            pause_s = backoff_s(failures, FIRST_PAUSE_S, self._max_backoff_s)
            wait_s = max(pause_s, answer.retry_after_s)
        if answer.outcome is Outcome.ACKED:
            self.result.bytes_sent += len(body)
        return answer
