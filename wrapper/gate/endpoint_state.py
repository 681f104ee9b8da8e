"""State of one endpoint in the gate: its held batches, mark, requests in flight and totals; pure.

Requests that arrive soon after the gate has opened may *overlap* the time before: they may still
have samples from before it opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.base.line_limit import LineLimit
from wrapper.gate.credentials import Credentials
from wrapper.gate.decisions import Answer, Hold, Outcome, PassOn, Refuse, Replay
from wrapper.gate.hand_over import times_of
from wrapper.gate.held import Batch, Budget, HeldBatches
from wrapper.gate.replay import ReplayRequest, Result, Sending, count_of, replay
from wrapper.gate.samples import Protocol, Span, Undecodable, counts
from wrapper.gate.watermark import TrackedRequest, Watermark
from wrapper.model.gate import COUNTERS, Endpoint, EndpointReport

FULL = "the memory for batches is full"
BUSY = "too many bytes are in flight to the receivers"
AWAIT_S = 0.25  # between checks for a request with newer credentials
MOST_LAG_MS = 60_000  # with few targets, no recent sample may come for a scrape interval


@dataclass(slots=True)
class Current:
    """The held batch that is being sent, and its next request.

    - ``batch``: the batch.
    - ``sending``: the generator that yields its requests.
    - ``request``: the next request.
    - ``at``: when to send it (CLOCK_BOOTTIME, in seconds).
    - ``is_stale``: the batch must be sent again from the beginning, unless the request in flight
      completes it.
    """

    batch: Batch
    sending: Sending
    request: ReplayRequest
    at: float
    is_stale: bool = False


class EndpointState:
    """The gate's state for one endpoint; see the module."""

    def __init__(self, endpoint: Endpoint, budget: Budget) -> None:
        self.endpoint = endpoint
        self.held = HeldBatches(budget)
        self.credentials = Credentials()
        self.watermark = Watermark(endpoint)
        self.counters = dict.fromkeys(COUNTERS, 0.0)
        self.problem = ""
        self._dropped = 0  # held samples, since the last notice
        self._why_dropped = ""
        self._notice_limit = LineLimit()
        self.has_handed_over = False
        self.passing: dict[int, tuple[TrackedRequest, bytes]] = {}
        self.sent: Replay | None = None
        self._current: Current | None = None
        self._attempts = 0  # to send a held batch
        self._opened_ms: int | None = None
        self.overlap_since = 0.0
        self._newest_ms = 0  # of the samples in batches that were sent

    @property
    def is_in_flight(self) -> bool:
        """Whether a request to the receiver is in flight."""
        return bool(self.passing) or self.sent is not None

    @property
    def is_needed(self) -> bool:
        """Whether there are held samples, a request in flight, or a loss to log."""
        return bool(self.held or self.is_in_flight or self._dropped)

    @property
    def _window_ms(self) -> int:
        return round(self.watermark.window_s * 1000)

    def update(self, endpoint: Endpoint) -> None:
        """Apply the endpoint's settings of the newest order."""
        if endpoint.url != self.endpoint.url:
            self.credentials.forget()
        self.endpoint = endpoint
        self.watermark.update(endpoint)

    def opened(self, now: float, wall_ms: int) -> None:
        """Record that the gate opens now: the receiver may have samples up to this time."""
        self._opened_ms, self.overlap_since = wall_ms, now
        self.problem = ""

    def may_overlap(self, now: float) -> bool:
        """Return whether requests may still have samples from before the gate opened."""
        if self._opened_ms is not None and now >= self.overlap_since + self.watermark.settle_s:
            self._opened_ms = self._opened_ms if self.watermark.is_awaiting(now) else None
        return self._opened_ms is not None

    def overlaps(self, times: Span | None, came: int, now: float) -> bool:
        """Return whether a request has samples from before the gate opened.

        If it has, more such requests are expected. This ends when a request arrives more than the
        window after the opening and also has a recent sample: everything that its shard sends
        afterwards entered Prometheus after the opening, though a target may set old timestamps
        forever. The request itself may have samples that waited behind one that failed.

        Limitation: requests without any recent sample prolong it for as long as they come. They
        look like those of a Prometheus that sends what it could not send for an hour.
        """
        if times is None or self._opened_ms is None or times.earliest > self._opened_ms:
            return False
        has_recent = came <= times.latest + self._window_ms
        if not (has_recent and came > self._opened_ms + self._window_ms):
            self.overlap_since = now
        return True

    def hold(
        self, batch: Batch, now: float, original: Batch | None = None, *, is_forced: bool = False
    ) -> Hold | Refuse:
        """Hold a batch if there is memory for it, else refuse it.

        ``original`` is the batch as Prometheus sent it, if ``batch`` is only a part of it. With
        ``is_forced``, the batch is held even if the memory is full.
        """
        came = original or batch
        if batch.protocol is Protocol.V2 and batch.counts is None:
            batch = _counted(batch)
        if not self.held.add(batch, is_forced=is_forced):
            return self.refuse(came, FULL, now)
        self.counters["requests_held"] += 1
        self.watermark.arrived_again(came.body)
        return Hold(batch.counts)

    def refuse(self, batch: Batch, reason: str, now: float) -> Refuse:
        """Refuse a request, which Prometheus will send again."""
        kind = "full" if reason in (FULL, BUSY) else "closing"
        self.counters[f"requests_refused_{kind}"] += 1
        self.watermark.refused(batch.body, now, batch.came)
        return Refuse(reason)

    def release(self) -> None:
        """Drop held batches that the leader's receiver has acknowledged.

        Do nothing while a held batch is being sent.
        """
        if self.watermark.mark is not None and self._current is None:
            self.counters["batches_released"] += self.held.release(self.watermark.mark)

    def give_up(self) -> int:
        """Drop all held batches of a removed endpoint; return how many samples they had."""
        self._current = None
        lost = sum(count_of(each) for each in self.held.give_up())
        self.counters["samples_given_up"] += lost
        return lost

    def has_backlog(self, until_ms: int | None) -> bool:
        """Return whether a held batch must be sent first.

        With ``until_ms``, only batches that came up to this time count.
        """
        oldest = self.held.oldest
        return oldest is not None and (until_ms is None or oldest.came <= until_ms)

    def ended(self, passed: PassOn, answer: Answer, now: float) -> None:
        """Record the receiver's answer to a request that was passed on, or that there was none."""
        request, body = self.passing.pop(passed.number)
        is_answered = answer.outcome is not Outcome.UNANSWERED
        self.counters["requests_passed" if is_answered else "requests_failed"] += 1
        self.problem = _problem(answer)
        if answer.ends_live(retries_429=self.endpoint.retries_429):
            self.counters["bytes_passed"] += len(passed.body)
            self.watermark.completed(request, now)
            if passed.remainder:
                self.held.add(passed.remainder, is_reserved=True)
        else:
            self.watermark.failed(request, body, now, answer.retry_after_s)
            if passed.remainder:
                self.held.unreserve(passed.remainder.size)

    def next_to_replay(self, now: float, until: float) -> Replay | float | None:
        """Return the next request from the held batches, or how long to wait.

        See ``Gate.next_to_replay``.
        """
        if self.sent is not None or self.held.oldest is None:
            return None
        current = self._current or self._begin(self.held.oldest, now)
        if current is None:
            return 0.0
        if now < current.at:
            return current.at - now
        fields = self.credentials.fields_for(current.batch)
        if fields is None:
            return AWAIT_S
        self.sent = Replay(self.endpoint.name, current.request.body, fields, until)
        return self.sent

    def replayed(self, answer: Answer, now: float) -> None:
        """Record the receiver's answer to a request from a held batch, or that there was none."""
        self.sent = None
        current = self._current
        if current is None:
            return  # the batch was given up in the meantime
        self.problem = _problem(answer)
        if not self.credentials.must_be_newer(answer):
            try:
                current.request = current.sending.send(answer)
            except StopIteration as end:
                self._finish(end.value)
                return
            current.at = now + current.request.wait_s
        if current.is_stale:
            self._current = None

    def stop_replay(self) -> None:
        """Stop sending the current batch, and send it again from the beginning later.

        If a request is in flight and completes the batch, the batch is not sent again.
        """
        self.credentials.begin()
        if self._current and self.sent is not None:
            self._current.is_stale = True
        else:
            self._current = None

    def _begin(self, batch: Batch, now: float) -> Current | None:
        """Start to send a batch; return None if the receiver has all its samples.

        Samples up to the mark are left out, unless they entered Prometheus after the time of the
        mark: then the mark does not tell whether the old leader has sent them.
        """
        mark, max_backoff_s = self.watermark.mark, self.endpoint.max_backoff_s
        if mark is not None and self._entered_after(mark, batch):
            mark = None
        self._attempts += 1
        sending = replay(batch, mark, max_backoff_s, self._attempts)
        try:
            self._current = Current(batch, sending, next(sending), now)
        except StopIteration as end:
            self._finish(end.value)
        return self._current

    def _entered_after(self, mark: int, batch: Batch) -> bool:
        """Return whether the samples of a batch entered Prometheus after the time of a mark.

        A sample's timestamp does not tell when it entered: a scrape may take long, or the target
        may set timestamps. But a sample waits for less than the window, unless Prometheus lags. It
        does not lag much if this batch, or one before it, has recent samples.
        """
        times = times_of(batch)
        if times:
            self._newest_ms = max(self._newest_ms, min(times.latest, batch.came))
        return mark + self._window_ms < batch.came <= self._newest_ms + MOST_LAG_MS

    def _finish(self, result: Result) -> None:
        """Remove the batch that was sent, and add its result to the totals."""
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
            self._dropped += result.given_up
            self._why_dropped = result.problem

    def notice(self, now: float) -> str:
        """Return a message about the samples dropped since the last one; "" for none.

        A receiver may reject each of many held batches: the first messages come at once, and later
        ones each minute.
        """
        if not self._dropped or self._notice_limit.left_out_before("", now) is None:
            return ""
        dropped, self._dropped = self._dropped, 0
        return (
            f"gate: endpoint {self.endpoint.name}: {dropped} held samples are dropped: the "
            f"receiver rejected them permanently ({self._why_dropped})"
        )

    def report(self, wall_ms: int, *, is_open: bool) -> EndpointReport:
        """Return the state for the supervisor; while the gate is closed, without a problem.

        The receiver's last answer then says nothing of it: it may have accepted others since.
        """
        oldest = self.held.oldest
        return EndpointReport(
            name=self.endpoint.name,
            mark=self.watermark.mark,
            held_bytes=self.held.bytes,
            held_batches=len(self.held),
            held_since=oldest.came / 1000 if oldest else None,
            behind_s=self._behind_s(wall_ms, is_open=is_open),
            problem=self.problem if is_open else "",
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
