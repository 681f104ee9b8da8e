"""The rules of the gate: what happens to each request, according to the newest order; pure.

- While the gate is open, it passes requests on. It stops ``ABORT_MARGIN_S`` before the deadline of
  the order.
- While it is closed, it holds requests.
- When it opens, it sends the held batches first, and refuses new requests until they are sent.
- Soon after it has opened, a request may have samples from before. Such a request is held and sent
  like the others, because the receiver may already have a part of it, and Prometheus would drop a
  refused batch.
- During a hand-over, samples later than the moment of the hand-over are cut off and held.

All calls come from one thread. ``now`` is in seconds on CLOCK_BOOTTIME, ``wall_ms`` in ms since
1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from wrapper.gate.decisions import ABORT_MARGIN_S, Answer, Decoding, Hold, PassOn, Refuse, Replay
from wrapper.gate.decodings import Decodings
from wrapper.gate.endpoint_state import BUSY, FULL, EndpointState
from wrapper.gate.hand_over import HandOver, split, times_of
from wrapper.gate.held import Batch, Budget
from wrapper.gate.removed_endpoints import RemovedEndpoints
from wrapper.gate.samples import Span
from wrapper.gate.watermark import TrackedRequest, Watermark
from wrapper.model.gate import Endpoint, GateOrder, GateReport, Marks, without_far

UNKNOWN = "unknown endpoint"
PAST = "the lease has not been renewed in time"
FIRST = "sending the held samples first"
Reading: TypeAlias = tuple[Watermark, TrackedRequest]


class Gate:
    """The gate's rules and state as one object; see the module."""

    def __init__(self, memory_bytes: int) -> None:
        self.order = GateOrder()
        self.clock_offset_s: float | None = None
        self._budget = Budget(memory_bytes)
        self._states: dict[str, EndpointState] = {}
        self._removed = RemovedEndpoints()
        self._decodings = Decodings()
        self._passes = 0
        self._hand_over: HandOver | None = None
        self._notices: list[str] = []

    def apply_order(self, order: GateOrder, now: float, wall_ms: int) -> None:
        """Apply the newest order: open, close or hand over; drop held batches up to its marks."""
        self._advance(now, wall_ms)
        was_open = self._accepts(now)
        if order.leader != self.order.leader:
            self.clock_offset_s = None
        self.order = order
        goes_on = was_open and self._accepts(now)
        if not goes_on:
            for state in self._states.values():
                state.stop_replay()
                state.watermark.stop()
        self._take_endpoints(order.endpoints)
        if self._accepts(now) and not goes_on:
            for state in self._states.values():
                state.opened(now, wall_ms)
        if not goes_on or not order.hands_over:
            self._hand_over = None
        self._apply_marks(order.marks, wall_ms)
        self._advance(now, wall_ms)

    def apply_marks(self, marks: Marks, wall_ms: int, offset_s: float | None = None) -> None:
        """Apply the leader's marks, and drop held batches up to them.

        ``offset_s`` is the leader's wall clock less ours, None if it was not measured.
        """
        if offset_s is not None:
            self.clock_offset_s = offset_s
        self._apply_marks(marks, wall_ms)

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint with this name in the newest order, or None."""
        state = self._states.get(name)
        return state.endpoint if state else None

    def knows(self, name: str) -> bool:
        """Return whether an endpoint is in the newest order, or may still have a request."""
        return name in self._states or self._removed.get(name) is not None

    def begin_reading(self, name: str, now: float, wall_ms: int) -> Reading | None:
        """Record that the head of a request has arrived; return None if it is for no endpoint.

        The caller must always call ``end_reading`` afterwards, also after an error.
        """
        state = self._states.get(name)
        return (state.watermark, state.watermark.begin_reading(now, wall_ms)) if state else None

    def end_reading(self, reading: Reading | None, now: float, *, is_complete: bool) -> None:
        """Record that the body of a request has arrived, or was cut off."""
        if reading is not None:
            watermark, request = reading
            watermark.end_reading(request, now, is_complete=is_complete)

    def receive(self, name: str, batch: Batch, now: float) -> PassOn | Hold | Refuse:
        """Decide what to do with a new request; ``batch.came`` is the wall time of its arrival."""
        state = self._states.get(name)
        if state is None:
            return Refuse(UNKNOWN)
        batch = state.credentials.take(batch)
        closes_at = self.closes_at
        if closes_at is None:
            decision = state.hold(batch, now)
            state.release()
            return decision
        if now >= closes_at:
            return state.refuse(batch, PAST, now)
        if state.has_backlog(self._until_ms):
            if state.may_overlap(now) and state.overlaps(times_of(batch), batch.came, now):
                # Held now: with a pause of 1 s after each, Prometheus would never catch up.
                return state.hold(batch, now)
            return state.refuse(batch, FIRST, now)
        if self._hand_over:
            return self._split(state, batch, self._hand_over, now)
        times = None
        if state.may_overlap(now):
            times = times_of(batch)
            if state.overlaps(times, batch.came, now):
                # Held even if another endpoint's batches fill the memory: it is only one at a time.
                return state.hold(batch, now, is_forced=True)
        passed = PassOn(name, batch.body, closes_at, self._number())
        return self._pass(state, passed, batch, now, times)

    def refuse(self, name: str, batch: Batch, now: float) -> Refuse:
        """Refuse a request for which there is no memory.

        The mark waits until Prometheus sends it again.
        """
        state = self._states.get(name)
        if state is None:
            return Refuse(UNKNOWN)
        return state.refuse(state.credentials.take(batch), BUSY, now)

    def ended(self, passed: PassOn, answer: Answer, now: float) -> None:
        """Record the receiver's answer to a request that was passed on, or that there was none."""
        state, gone = self._states.get(passed.name), self._removed.get(passed.name)
        if state and passed.number in state.passing:
            state.ended(passed, answer, now)
        elif gone and passed.number in gone.passing:
            gone.ended(passed, answer, now)
            self._give_up(gone)

    def next_to_replay(self, name: str, now: float) -> Replay | float | None:
        """Return the next request from the held batches, or how long to wait.

        A number is the seconds to wait before the next call. None means that there is nothing to
        send now. A returned request counts as in flight.
        """
        state, closes_at = self._states.get(name), self.closes_at
        if state is None or closes_at is None or now >= closes_at:
            return None
        if not state.has_backlog(self._until_ms):
            return None
        return state.next_to_replay(now, closes_at)

    def replayed(self, sent: Replay, answer: Answer, now: float) -> None:
        """Record the receiver's answer to a request from a held batch, or that there was none."""
        for state in (*self._states.values(), *self._removed):
            if state.sent is sent:
                state.replayed(answer, now)
        self._start_marks(now)

    def to_decode(self, now: float) -> Decoding | None:
        """Return the next batch to decode in the background, or None.

        The caller then calls ``decoded`` or ``undecodable``.
        """
        return self._decodings.next(now)

    def decoded(self, decoding: Decoding, span: Span | None) -> None:
        """Record the time span of a batch; None if it has no samples."""
        request, state = self._decodings.done(decoding), self._states.get(decoding.name)
        if request and state:
            state.watermark.decoded(request, span)

    def undecodable(self, decoding: Decoding) -> None:
        """Record that a batch cannot be decoded: it may have samples of any time."""
        self._decodings.done(decoding)

    @property
    def closes_at(self) -> float | None:
        """When requests in flight are aborted (CLOCK_BOOTTIME, in seconds); None: it is closed."""
        return None if self.order.open_until is None else self.order.open_until - ABORT_MARGIN_S

    def is_open(self, now: float) -> bool:
        """Return whether requests are passed on, or one of them is still in flight."""
        states = (*self._states.values(), *self._removed)
        return self._accepts(now) or any(each.is_in_flight for each in states)

    def notices(self, now: float) -> list[str]:
        """Return the messages to log since the last call."""
        found, self._notices = self._notices, []
        states = (*self._states.values(), *self._removed)
        return found + [notice for each in states if (notice := each.notice(now))]

    def report(self, now: float, wall_ms: int) -> GateReport:
        """Move the marks, complete a hand-over, and return the state of all endpoints.

        Removed endpoints are included if samples were given up for them. The caller must have read
        all requests that arrived before ``now``.
        """
        self._removed.forget()
        self._advance(now, wall_ms)
        self._complete_hand_over(now)
        is_open = self.is_open(now)
        return GateReport(
            order=self.order.number,
            is_open=is_open,
            has_handed_over=bool(self._hand_over)
            and all(each.has_handed_over for each in self._states.values()),
            endpoints=(
                *(each.report(wall_ms, is_open=is_open) for each in self._states.values()),
                *self._removed.reports(wall_ms, is_open=is_open),
            ),
            clock_offset_s=self.clock_offset_s,
        )

    @property
    def _until_ms(self) -> int | None:
        return self._hand_over.until_ms if self._hand_over else None

    def _accepts(self, now: float) -> bool:
        closes_at = self.closes_at
        return closes_at is not None and now < closes_at

    def _number(self) -> int:
        self._passes += 1
        return self._passes

    def _take_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """Apply the endpoints of the order; give up what is held for those that were removed."""
        before, self._states = self._states, {}
        for each in endpoints:
            state = before.pop(each.name, None) or self._removed.restored(each, self._budget)
            state.update(each)
            self._states[each.name] = state
        for state in before.values():
            self._removed.add(state)
            self._give_up(state)

    def _give_up(self, state: EndpointState) -> None:
        batches = len(state.held)
        if batches:
            self._notices.append(
                f"gate: endpoint {state.endpoint.name}: removed from the leader's "
                f"remote_write; {batches} held batches are dropped, with {state.give_up()} samples"
            )

    def _apply_marks(self, marks: Marks, wall_ms: int) -> None:
        """Apply marks, except those far in the future: these come from a clock that was wrong."""
        credible = without_far(marks.items(), wall_ms)
        for name, state in self._states.items():
            if name in credible:
                state.watermark.raise_to(credible[name])
            state.release()

    def _start_marks(self, now: float) -> None:
        """Let the mark of an endpoint move only while it has no backlog and is past its overlap."""
        for state in self._states.values():
            is_first = state.has_backlog(self._until_ms) or state.may_overlap(now)
            is_live = self._accepts(now) and not is_first
            if is_live and not state.watermark.has_started:
                state.watermark.start(state.overlap_since)
            elif not is_live and state.watermark.has_started:
                state.watermark.stop()

    def _advance(self, now: float, wall_ms: int) -> None:
        """Move the marks, in a hand-over at most to its moment."""
        self._start_marks(now)
        self._begin_hand_over(now, wall_ms)
        for state in self._states.values():
            state.watermark.advance(now, self._until_ms)

    def _complete_hand_over(self, now: float) -> None:
        """Move the marks to the moment of the hand-over where it is complete."""
        for state in self._states.values():
            if self._hand_over and self._is_done(state, self._hand_over, now):
                state.watermark.raise_to(self._hand_over.until_ms)
                state.has_handed_over = True

    def _begin_hand_over(self, now: float, wall_ms: int) -> None:
        """Fix the moment of the hand-over.

        Before that, no endpoint may expect more samples from before the gate opened.
        """
        overlapping = [each for each in self._states.values() if each.may_overlap(now)]
        wants = self.order.hands_over and self._hand_over is None and self._accepts(now)
        if wants and not overlapping:
            self._hand_over = HandOver(now, wall_ms)
            for state in self._states.values():
                state.has_handed_over = False

    def _is_done(self, state: EndpointState, hand_over: HandOver, now: float) -> bool:
        """Return whether the receiver has all samples up to the moment of the hand-over."""
        watermarks = [each.watermark for each in self._states.values()]
        arrived_at = max(
            hand_over.at + max(each.longest_wait_s(now) for each in watermarks),
            max(state.watermark.last_late_at, state.watermark.last_delay_ended_at(hand_over.at))
            + max(each.window_s for each in watermarks),
        )
        return state.has_handed_over or (
            self._accepts(now)
            and now >= arrived_at
            and not state.is_in_flight
            and not state.watermark.in_flight
            and not state.has_backlog(hand_over.until_ms)
            and not state.watermark.is_awaiting(now)
            and state.endpoint.name not in self._decodings.names()
        )

    def _pass(
        self,
        state: EndpointState,
        passed: PassOn,
        batch: Batch,
        now: float,
        times: Span | None = None,
    ) -> PassOn:
        """Record a request that is passed on; queue it for decoding if its times are not known."""
        request = state.watermark.arrived(batch.body, now, batch.came)
        state.passing[passed.number] = (request, batch.body)
        if times:
            state.watermark.decoded(request, times)
        if not request.is_decoded:
            self._decodings.add(passed.name, passed.number, request, batch)
        return passed

    def _split(
        self, state: EndpointState, batch: Batch, hand_over: HandOver, now: float
    ) -> PassOn | Hold | Refuse:
        """Pass on the samples up to the moment of the hand-over, and hold the rest."""
        parts = split(batch, hand_over.until_ms)
        if parts.times:
            state.watermark.saw_samples(now, batch.came)
        if parts.body is None:
            return state.hold(parts.late or batch, now, original=batch)
        if parts.late and not state.held.reserve(parts.late.size):
            return state.refuse(batch, FULL, now)
        closes_at = self.closes_at or now
        passed = PassOn(state.endpoint.name, parts.body, closes_at, self._number(), parts.late)
        return self._pass(state, passed, batch, now, parts.times)
