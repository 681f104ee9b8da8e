"""A gate's process on the simulated clock: the real rules, used as `wrapper.gate.serving` does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tests.simulation import remote_write
from tests.simulation.receiver import Request
from tests.simulation.remote_write import Attempt
from tests.simulation.samples import Sample, unpacked
from tests.simulation.stoppable import Line, Stoppable
from wrapper.gate.decisions import Answer, Hold, Outcome, PassOn, Refuse, Replay
from wrapper.gate.gate import Gate
from wrapper.gate.held import Batch
from wrapper.gate.samples import Protocol, span
from wrapper.model.events import GateExited, GateReported
from wrapper.model.gate import Endpoint, GateOrder, GateReport, Marks

if TYPE_CHECKING:
    from tests.simulation.gate_host import GateHost

NAME = "receiver"
ENDPOINT = Endpoint(
    NAME,
    "http://receiver.example/api/v1/write",
    timeout_s=remote_write.GATE_TIMEOUT_S,
    batch_deadline_s=remote_write.BATCH_DEADLINE_S,
    max_backoff_s=remote_write.MAX_BACKOFF_S,
    retries_429=True,
)
START_S = 0.3
LINE_S = 0.004
CHECK_S = 0.25
BUSY_CHECK_S = 0.05
IDLE_CHECK_S = 1.0
PEERS_S = 0.33
# The counters of samples that are not sent when a held batch is sent.
NOT_SENT = ("samples_left_out", "samples_rejected_known", "samples_given_up")
T = TypeVar("T")
FIELDS = (("Content-Type", "application/x-protobuf"),)


@dataclass(eq=False)
class RequestInFlight:
    """A request to the receiver; ``ended`` is called once with its answer."""

    ended: Callable[[Answer], None]
    request: Request | None = None
    is_over: bool = False


class GateProcess(Stoppable):
    """A gate process."""

    def __init__(self, host: GateHost, pid: int) -> None:
        super().__init__(host.process.world.hub)
        self.host = host
        self.pid = pid
        self.started_at = self.hub.now
        self.core = Gate(host.gates.memory_bytes)
        self.orders = Line(self.hub, LINE_S)
        self._reports = Line(self.hub, LINE_S)
        self._in_flight: set[RequestInFlight] = set()
        self._attempts: set[Attempt] = set()
        self._last: GateReport | None = None
        self._is_idle = False
        self._reported_at = self._asked_at = float("-inf")
        self._switch = 0
        self._waits_to_send = False
        self._acked: tuple[object, int] = (None, 0)  # of the held batch that is being sent
        self.pause(self.hub.now + START_S * (0.3 + 0.7 * host.random()))
        self.run(self._begin)

    def _begin(self) -> None:
        waiting, self.host.waiting = self.host.waiting, []
        for attempt in waiting:
            self.receive(attempt)
        self._check_periodically()

    @property
    def now(self) -> float:
        """Its time (CLOCK_BOOTTIME)."""
        return self.host.process.local_now()

    @property
    def wall_ms(self) -> int:
        """Its wall time in ms."""
        return self.host.process.wall_ms()

    @property
    def held_since_ms(self) -> int | None:
        """The time at which its oldest held batch was received, by its wall clock."""
        batches = [each.held.oldest for each in self.core._states.values()]
        return min((batch.came for batch in batches if batch is not None), default=None)

    @property
    def awaits(self) -> bool:
        """Whether, as the leader's gate, it waits for a failed request to be repeated."""
        states = self.core._states.values()
        return self.passes and any(each.watermark.is_awaiting(self.now) for each in states)

    @property
    def passes(self) -> bool:
        """Whether it would pass a request on, or has one in flight."""
        return self.is_alive and (self.core.is_open(self.now) or bool(self._in_flight))

    # --- its end ---

    def die(self, status: int) -> None:
        """End it; its held batches are lost, and waiting requests get no answer."""
        if not self.is_alive:
            return
        self.is_alive = False
        process = self.host.process
        process.world.log(f"{process} gate {self.pid} ends with status {status}")
        self.host.deaths += 1
        self.host.gates.lose(self.host.life, self._held())
        for each in tuple(self._in_flight):
            if each.request is not None:
                self.host.gates.receiver.cut(each.request)
        for attempt in tuple(self._attempts):
            attempt.reply(None)
        self.hub.after(0.001, lambda: process.events.put(GateExited(status)))

    def _held(self) -> set[Sample]:
        return {
            sample
            for state in self.core._states.values()
            for batch in state.held
            for sample in unpacked(batch.body)
        }

    def arm(self, until: float) -> None:
        """Arm the kernel timer that kills it at a time of its clock."""
        self._switch += 1
        number = self._switch

        def fire() -> None:
            if number == self._switch:
                self.die(-signal.SIGKILL)

        self.hub.at(self.host.process.real(until), fire)

    def disarm(self) -> None:
        """Disarm the kernel timer."""
        self._switch += 1

    # --- the supervisor ---

    def apply_order(self, order: GateOrder) -> None:
        """Apply an order."""
        if order.open_until is not None and order.open_until > self.now:
            self.arm(order.open_until)
        self.core.apply_order(order, self.now, self.wall_ms)
        self._look()

    def _check_periodically(self) -> None:
        self._look()
        idle_s = IDLE_CHECK_S if self._is_idle else CHECK_S
        self.after(BUSY_CHECK_S if self.core.order.hands_over else idle_s, self._check_periodically)

    def _look(self) -> None:
        """Do what is due: abort requests, report, send held batches, ask for marks."""
        closes_at = self.core.closes_at
        if closes_at is None or self.now >= closes_at:
            for each in tuple(self._in_flight):
                self._cut(each)
        elif closes_at - self.now < IDLE_CHECK_S:
            self.hub.at(self.host.process.real(closes_at), lambda: self.run(self._close))
        if not self.core.is_open(self.now):
            self.disarm()
        self._decode()
        report = self.core.report(self.now, self.wall_ms)
        holds = any(each.held_batches for each in report.endpoints)
        self._is_idle = report == self._last and not holds
        self._send_report(report)
        self._replay()
        self._ask(holds=holds)
        self.host.gates.check()

    def _close(self) -> None:
        closes_at = self.core.closes_at
        if closes_at is not None and self.now >= closes_at:
            self._look()

    def _send_report(self, report: GateReport) -> None:
        last = self._last
        if report == last:
            return
        is_urgent = last is None or _urgent_part(last) != _urgent_part(report)
        if not is_urgent and self.now < self._reported_at + CHECK_S:
            return
        self._last, self._reported_at = report, self.now
        event = GateReported(self.pid, report)
        self._reports.send(self.host.random(), lambda: self.host.process.events.put(event))

    # --- Prometheus ---

    def receive(self, attempt: Attempt) -> None:
        """Handle a request, even if its sender has ended."""
        batch = Batch(attempt.body, FIELDS, Protocol.V1, self.wall_ms)
        if self.core.endpoint(NAME) is None:
            self._reply(attempt, 503, 1.0)
            return
        match self.core.receive(NAME, batch, self.now):
            case Hold():
                self._reply(attempt, 204)
                self._end_idle()
            case Refuse(_, retry_after_s):
                self._reply(attempt, 503, retry_after_s)
            case PassOn() as passed:
                self._attempts.add(attempt)
                self._send(passed.body, lambda answer: self._ended(attempt, passed, answer))

    def _ended(self, attempt: Attempt, passed: PassOn, answer: Answer) -> None:
        self._attempts.discard(attempt)
        self.core.ended(passed, answer, self.now)
        self._reply(attempt, 502 if answer.status is None else answer.status, answer.retry_after_s)
        self._request_ended()

    def _reply(self, attempt: Attempt, status: int, retry_after_s: float = 0.0) -> None:
        self.hub.after(LINE_S * self.host.random(), lambda: attempt.reply(status, retry_after_s))

    def _request_ended(self) -> None:
        if self.core.order.open_until is None or self.core.order.hands_over:
            self._look()
        self._end_idle()

    def _end_idle(self) -> None:
        if self._is_idle:
            self._is_idle = False
            self._look()
            self.after(CHECK_S, self._look)

    # --- the receiver ---

    def _send(self, body: bytes, ended: Callable[[Answer], None]) -> None:
        """Send a body; the gate may be stopped or killed before its first byte."""
        sending = RequestInFlight(ended)
        self._in_flight.add(sending)
        self.after(0.001 * self.host.random(), lambda: self._begin_to_send(sending, body))
        self.after(remote_write.GATE_TIMEOUT_S, lambda: self._cut(sending))

    def _begin_to_send(self, sending: RequestInFlight, body: bytes) -> None:
        if not sending.is_over:
            sending.request = self.host.gates.receiver.request(
                self, body, lambda answer: self.run(lambda: self._finish(sending, answer))
            )

    def _cut(self, sending: RequestInFlight) -> None:
        if sending.request is not None:
            self.host.gates.receiver.cut(sending.request)
        self._finish(sending, Answer(None, problem="cut"))

    def _finish(self, sending: RequestInFlight, answer: Answer) -> None:
        if not sending.is_over:
            sending.is_over = True
            self._in_flight.discard(sending)
            sending.ended(answer)

    def _replay(self) -> None:
        wanted = self._accounted(self._next_to_replay)
        while wanted == 0.0:
            wanted = self._accounted(self._next_to_replay)
        if isinstance(wanted, Replay):
            sent = wanted
            self._send(sent.body, lambda answer: self._replayed(sent, answer))
        elif wanted is not None and not self._waits_to_send:
            self._waits_to_send = True
            self.after(min(wanted, CHECK_S), self._replay_later)

    def _next_to_replay(self) -> Replay | float | None:
        return self.core.next_to_replay(NAME, self.now)

    def _replay_later(self) -> None:
        self._waits_to_send = False
        self._replay()

    def _replayed(self, sent: Replay, answer: Answer) -> None:
        state = self.core._states.get(NAME)
        if state is not None and answer.outcome is Outcome.ACKED:
            batch, count = self._acked
            count = count if batch is state._current else 0
            self._acked = state._current, count + len(unpacked(sent.body))
        self._accounted(lambda: self.core.replayed(sent, answer, self.now))
        self._request_ended()
        self._replay()

    def _accounted(self, call: Callable[[], T]) -> T:
        """Continue with a batch; when it is complete, check that each sample was counted."""
        state = self.core._states.get(NAME)
        if state is None or state.held.oldest is None:
            return call()
        batch, current, before = state.held.oldest, state._current, dict(state.counters)
        result = call()
        if state.counters["batches_sent_on"] > before["batches_sent_on"]:
            counted = sum(state.counters[name] - before[name] for name in NOT_SENT)
            acked = self._acked[1] if current is not None and self._acked[0] is current else 0
            if acked + counted != len(unpacked(batch.body)):
                self.host.gates.violate(f"{acked} acknowledged, {counted} counted of {batch}")
        return result

    def _decode(self) -> None:
        while (wanted := self.core.to_decode(self.now)) is not None:
            times = span(wanted.body, wanted.protocol, is_thorough=wanted.is_thorough)
            self.core.decoded(wanted, times)

    # --- peers ---

    def _ask(self, *, holds: bool) -> None:
        """Ask the leader's API for its marks from time to time."""
        leader = self.core.order.leader
        if not (leader and holds) or self.core.closes_at is not None:
            return
        if self.now < self._asked_at + PEERS_S or self.host.gates.peers_are_deaf:
            return
        self._asked_at = self.now
        marks = self.host.process.world.marks_of(leader)
        if marks:
            self.after(LINE_S * self.host.random(), lambda: self._apply_marks(leader, marks))

    def _apply_marks(self, leader: str, marks: Marks) -> None:
        if self.core.order.leader == leader:
            self.core.apply_marks(marks, self.host.process.wall_ms())


def _urgent_part(report: GateReport) -> tuple[int, bool, bool]:
    return report.order, report.is_open, report.has_handed_over
