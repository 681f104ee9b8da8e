"""Answer one request of Prometheus: ask the gate's rules, and call the receiver if they say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from wrapper.base import clock
from wrapper.gate.decisions import Answer, Hold, PassOn, Refuse, Replay
from wrapper.gate.gate import Gate
from wrapper.gate.held import Batch
from wrapper.gate.receiver import NoAnswer, Receiver
from wrapper.gate.reply import (
    Fields,
    Reply,
    accepted,
    answer_of,
    error,
    for_prometheus,
    unavailable,
)
from wrapper.gate.samples import Protocol


def wall_ms() -> int:
    """Return the wall time in ms since 1970."""
    return int(clock.wall() * 1000)


class RequestHandler:
    """Has the gate decide on requests, and carries out the decisions."""

    def __init__(
        self,
        gate: Gate,
        receivers: Mapping[str, Receiver],
        *,
        has_ended: Callable[[], None],
        has_held: Callable[[], None],
    ) -> None:
        """Take the rules, and the receivers by the name of the endpoint.

        ``has_ended`` is called after each request to a receiver, ``has_held`` after each request of
        Prometheus that is held.
        """
        self._gate = gate
        self._receivers = receivers
        self._has_ended = has_ended
        self._has_held = has_held

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Have the mark of an endpoint wait for a request whose body is read in this context."""
        reading = self._gate.begin_reading(name, clock.now(), wall_ms())
        is_complete = False
        try:
            yield
            is_complete = True
        finally:
            self._gate.end_reading(reading, clock.now(), is_complete=is_complete)

    def answer(self, name: str, body: bytes, fields: Fields) -> Reply:
        """Return the answer to a batch for an endpoint."""
        if self._gate.endpoint(name) is None:  # Prometheus may know it before the gate
            return unavailable(f"no endpoint {name!r} is known to the gate yet")
        match self._gate.receive(name, _batch(body, fields), clock.now()):
            case Hold(counts):
                self._has_held()
                return accepted(counts)
            case Refuse(reason, retry_after_s):
                return unavailable(reason, retry_after_s)
            case PassOn() as passed:
                return self._passed_on(passed, fields)

    def refuse(self, name: str, body: bytes, fields: Fields) -> Reply:
        """Return the answer to a batch for which there is no memory now."""
        refused = self._gate.refuse(name, _batch(body, fields), clock.now())
        return unavailable(refused.reason, refused.retry_after_s)

    def replay(self, sent: Replay) -> None:
        """Send a request from a held batch, and pass the result to the gate."""
        answer = Answer(None, problem="interrupted")
        try:
            answer = self._asked(sent)
        finally:
            self._gate.replayed(sent, answer, clock.now())
            self._has_ended()

    def _asked(self, sent: Replay) -> Answer:
        try:
            reply = self._receivers[sent.name].send(sent.body, sent.fields)
        except NoAnswer as error_:
            return Answer(None, problem=str(error_))
        return answer_of(reply, clock.wall())

    def _passed_on(self, passed: PassOn, fields: Fields) -> Reply:
        """Pass a request on; return the receiver's answer, or an error if there was none."""
        answer = Answer(None, problem="interrupted")
        try:
            reply = self._receivers[passed.name].send(passed.body, fields)
            answer = answer_of(reply, clock.wall())
        except NoAnswer as why:
            answer = Answer(None, problem=str(why))
            return error(why.status, str(why))
        finally:
            self._end(passed, answer)
        more = passed.remainder.counts if passed.remainder is not None else None
        return for_prometheus(reply, more, clock.wall())

    def _end(self, passed: PassOn, answer: Answer) -> None:
        self._gate.ended(passed, answer, clock.now())
        self._has_ended()


def _batch(body: bytes, fields: Fields) -> Batch:
    kind = next((value for each, value in fields if each.lower() == "content-type"), "")
    return Batch(body, fields, Protocol.of(kind), wall_ms())
