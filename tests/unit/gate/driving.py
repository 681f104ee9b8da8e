"""A gate for tests, driven by hand: receive, pass on, replay and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.unit.gate.batches import batch, samples_in
from wrapper.gate.decisions import Answer, PassOn, Replay
from wrapper.gate.gate import Gate
from wrapper.gate.held import Batch
from wrapper.gate.samples import span
from wrapper.model.gate import Endpoint, EndpointReport, GateOrder

A = Endpoint("a", "http://a/")
B = Endpoint("b", "http://b/")
WALL = 1_000_000_000  # ms at 0 s since boot
OK = Answer(204)


def ms(at: float) -> int:
    """Return the wall time in ms at a time in s since boot."""
    return WALL + round(at * 1000)


def gate(now: float = -100.0, memory: int = 1 << 20, **fields: object) -> Gate:
    """Return a gate that got its order long ago; it is closed unless ``open_until`` is given."""
    found = Gate(memory)
    order(found, now, **fields)
    return found


def order(given: Gate, now: float, **fields: object) -> None:
    """Give the gate its previous order with these fields changed."""
    first = GateOrder(endpoints=(A,)) if not given.order.endpoints else given.order
    given.apply_order(replace(first, number=given.order.number + 1, **fields), now, ms(now))  # type: ignore[arg-type]


def came(now: float, *times: float, name: str = "m") -> Batch:
    """Return a batch received at ``now``, with samples of these times, by default of ``now``."""
    return batch(*((name, ms(at)) for at in times or (now,)), came=ms(now))


def passes(given: Gate, now: float, *times: float, name: str = "a") -> PassOn:
    """Receive a batch that the gate must pass on."""
    decision = given.receive(name, came(now, *times), now)
    assert isinstance(decision, PassOn), decision
    return decision


def acked(given: Gate, now: float, *times: float) -> PassOn:
    """Receive a batch that the receiver acknowledges at once, and decode it."""
    passed = passes(given, now, *times)
    given.ended(passed, OK, now)
    decode(given, now)
    return passed


def decode(given: Gate, now: float) -> None:
    """Decode all requests that wait."""
    while decoding := given.to_decode(now):
        given.decoded(decoding, span(decoding.body, decoding.protocol))


def state(given: Gate, now: float, name: str = "a") -> EndpointReport:
    """Return the report on an endpoint."""
    (found,) = (each for each in given.report(now, ms(now)).endpoints if each.name == name)
    return found


def counted(given: Gate, now: float, name: str = "a") -> dict[str, float]:
    """Return the counters of an endpoint that are not 0."""
    return {key: value for key, value in state(given, now, name).counters.items() if value}


def replay(given: Gate, now: float, answer: Callable[[Replay], Answer] = lambda _: OK) -> list[int]:
    """Send the held batches; return the times of their samples, in s since boot."""
    sent = []
    while (step := given.next_to_replay("a", now)) is not None:
        if isinstance(step, float):
            now += step
            continue
        sent += [(at - WALL) // 1000 for _, at in samples_in(step.body)]
        given.replayed(step, answer(step), now)
    return sent
