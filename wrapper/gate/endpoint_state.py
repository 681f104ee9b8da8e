"""One endpoint at the gate: what is held for it, its mark, what is under way, its totals; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.gate.held import Batch, Budget, Held
from wrapper.gate.samples import Protocol, Span, Undecodable, counts
from wrapper.gate.sending_on import Request, Result, Sending, count_of, sending_on
from wrapper.gate.verdicts import Answer, Keep, Outcome, Pass, Refuse, SendOn
from wrapper.gate.watermark import Request as Passing
from wrapper.gate.watermark import Watermark
from wrapper.model.gate import COUNTERS, Endpoint, EndpointReport

FULL = "the memory for batches is full"
BUSY = "too many bytes are under way to receivers"


@dataclass(slots=True)
class Current:
    """The batch that is sent on: what goes next, and when (boot seconds)."""

    batch: Batch
    sending: Sending
    request: Request
    at: float
    is_stale: bool = False  # to be begun anew, unless what is under way ends it


class EndpointState:
    """See the module."""

    def __init__(self, endpoint: Endpoint, budget: Budget) -> None:
        self.endpoint = endpoint
        self.held = Held(budget)
        self.watermark = Watermark(endpoint)
        self.counters = dict.fromkeys(COUNTERS, 0.0)
        self.problem = ""
        self.notices: list[str] = []
        self.is_final = False
        self.passing: dict[int, tuple[Passing, bytes]] = {}
        self.sent: SendOn | None = None
        self._current: Current | None = None
        self._edge_ms: int | None = None
        self.edge_at = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether a request to the receiver is under way."""
        return bool(self.passing) or self.sent is not None

    def fits(self, endpoint: Endpoint) -> None:
        """Take the endpoint as the newest order has it."""
        self.endpoint = endpoint
        self.watermark.fits(endpoint)

    def opens(self, now: float, wall_ms: int) -> None:
        """Take note that the gate opens: the receiver may have samples up to now."""
        self._edge_ms, self.edge_at = wall_ms, now

    def is_at_edge(self, now: float) -> bool:
        """Tell whether requests may still have samples of before it opened."""
        if self._edge_ms is not None and now >= self.edge_at + self.watermark.settle_s:
            self._edge_ms = self._edge_ms if self.watermark.is_awaiting(now) else None
        return self._edge_ms is not None

    def is_before_edge(self, times: Span | None, now: float) -> bool:
        """Tell whether a request has samples of before it opened: then more may come."""
        if times is None or self._edge_ms is None or times.earliest > self._edge_ms:
            return False
        self.edge_at = now
        return True

    def keep(
        self, batch: Batch, now: float, told_of: Batch | None = None, *, is_forced: bool = False
    ) -> Keep | Refuse:
        """Hold a batch, if there is memory; ``told_of`` is it as it came, if it was changed."""
        came = told_of or batch
        if batch.protocol is Protocol.V2 and batch.counts is None:
            batch = _counted(batch)
        if not self.held.keep(batch, is_forced=is_forced):
            return self.refuse(came, FULL, now)
        self.counters["requests_held"] += 1
        self.watermark.has_come(came.body)
        return Keep(batch.counts)

    def refuse(self, batch: Batch, reason: str, now: float) -> Refuse:
        """Refuse a request, which will come again."""
        kind = "full" if reason in (FULL, BUSY) else "closing"
        self.counters[f"requests_refused_{kind}"] += 1
        self.watermark.refused(batch.body, now, batch.came)
        return Refuse(reason)

    def release(self) -> None:
        """Take out what the leader's receiver has; not while it is sent on."""
        if self.watermark.mark is not None and self._current is None:
            self.counters["batches_released"] += self.held.release(self.watermark.mark)

    def give_up(self) -> int:
        """Take out all, as the endpoint has gone; return how many samples."""
        self._current = None
        lost = sum(count_of(each) for each in self.held.give_up())
        self.counters["samples_given_up"] += lost
        return lost

    def has_backlog(self, until_ms: int | None) -> bool:
        """Tell whether something is held that came up to a time (None: any), so goes first."""
        oldest = self.held.oldest
        return oldest is not None and (until_ms is None or oldest.came <= until_ms)

    def ended(self, passed: Pass, answer: Answer, now: float) -> None:
        """Take what the receiver said, or that it said nothing."""
        request, body = self.passing.pop(passed.number)
        is_answered = answer.outcome is not Outcome.UNANSWERED
        self.counters["requests_passed" if is_answered else "requests_failed"] += 1
        self.problem = _problem(answer)
        if answer.outcome.is_over:
            self.counters["bytes_passed"] += len(passed.body)
            self.watermark.is_over(request, now)
            if passed.remainder:
                self.held.keep(passed.remainder, is_reserved=True)
        else:
            self.watermark.failed(request, body, now, answer.retry_after_s)
            if passed.remainder:
                self.held.unreserve(passed.remainder.size)

    def next_to_send_on(self, now: float, until: float) -> SendOn | float | None:
        """Return what to send of the oldest, or how long to wait; see ``Gate.next_to_send_on``."""
        if self.sent is not None or self.held.oldest is None:
            return None
        current = self._current or self._begin(self.held.oldest, now)
        if current is None:
            return 0.0
        if now < current.at:
            return current.at - now
        self.sent = SendOn(self.endpoint.name, current.request.body, current.batch.fields, until)
        return self.sent

    def sent_on(self, answer: Answer, now: float) -> None:
        """Take what the receiver said to what was sent on."""
        self.sent = None
        current = self._current
        if current is None:
            return  # given up meanwhile
        self.problem = _problem(answer)
        try:
            current.request = current.sending.send(answer)
        except StopIteration as end:
            self._finish(end.value)
            return
        current.at = now + current.request.wait_s
        if current.is_stale:
            self._current = None

    def stop_sending_on(self) -> None:
        """Begin the batch anew later, unless the request under way is its last."""
        if self._current and self.sent is not None:
            self._current.is_stale = True
        else:
            self._current = None

    def _begin(self, batch: Batch, now: float) -> Current | None:
        """Begin to send a batch on; return None if that is all: nothing of it is newer."""
        sending = sending_on(batch, self.watermark.mark, self.endpoint.max_backoff_s)
        try:
            self._current = Current(batch, sending, next(sending), now)
        except StopIteration as end:
            self._finish(end.value)
        return self._current

    def _finish(self, result: Result) -> None:
        """Take out the batch that was sent on, and count."""
        self._current = None
        self.held.pop()
        self.counters["batches_sent_on"] += 1
        self.counters["samples_left_out"] += result.left_out
        self.counters["samples_rejected_known"] += result.rejected_known
        self.counters["samples_given_up"] += result.given_up
        self.counters["samples_unconfirmed"] += result.unconfirmed
        self.counters["bytes_passed"] += result.bytes_sent
        self.problem = result.problem
        if result.given_up:
            self.notices.append(
                f"gate: endpoint {self.endpoint.name}: {result.given_up} held samples are given "
                f"up: the receiver refuses them for good ({result.problem})"
            )

    def report(self, wall_ms: int, *, is_open: bool) -> EndpointReport:
        """Return the state."""
        oldest = self.held.oldest
        return EndpointReport(
            name=self.endpoint.name,
            mark=self.watermark.mark,
            held_bytes=self.held.bytes,
            held_batches=len(self.held),
            held_since=oldest.came / 1000 if oldest else None,
            behind_s=self._behind_s(wall_ms, is_open=is_open),
            problem=self.problem,
            counters=dict(self.counters),
        )

    def _behind_s(self, wall_ms: int, *, is_open: bool) -> float | None:
        oldest, mark = self.held.oldest, self.watermark.mark
        if is_open and oldest:
            return max(0.0, (wall_ms - oldest.came) / 1000)
        if is_open:
            return self.watermark.behind_s(wall_ms)
        return max(0.0, (wall_ms - mark) / 1000) if oldest and mark is not None else None


def _counted(batch: Batch) -> Batch:
    try:
        return replace(batch, counts=counts(batch.body, batch.protocol))
    except Undecodable:
        return batch


def _problem(answer: Answer) -> str:
    if answer.outcome is Outcome.ACKED:
        return ""
    return answer.problem or f"the receiver answered {answer.status}"
