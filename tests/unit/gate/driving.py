"""A gate for tests, driven by hand: what comes, is passed on, sent on, and reported."""

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
    """Return the wall time at a moment since boot."""
    return WALL + round(at * 1000)


def gate(now: float = -100.0, memory: int = 1 << 20, **fields: object) -> Gate:
    """Return a gate with an order since long; closed unless ``until`` is given."""
    found = Gate(memory)
    order(found, now, **fields)
    return found


def order(given: Gate, now: float, **fields: object) -> None:
    """Give an order like the one before, but for these fields."""
    first = GateOrder(endpoints=(A,)) if not given.order.endpoints else given.order
    given.apply_order(replace(first, number=given.order.number + 1, **fields), now, ms(now))  # type: ignore[arg-type]


def came(now: float, *times: float, name: str = "m") -> Batch:
    """Return a batch that comes now, with samples of these times; of now without any."""
    return batch(*((name, ms(at)) for at in times or (now,)), came=ms(now))


def passes(given: Gate, now: float, *times: float, name: str = "a") -> PassOn:
    """Let a batch come, which must be passed on."""
    decision = given.receive(name, came(now, *times), now)
    assert isinstance(decision, PassOn), decision
    return decision


def acked(given: Gate, now: float, *times: float) -> PassOn:
    """Let a batch come that the receiver takes at once, and decode it."""
    passed = passes(given, now, *times)
    given.ended(passed, OK, now)
    decode(given, now)
    return passed


def decode(given: Gate, now: float) -> None:
    """Decode all that waits."""
    while decoding := given.to_decode(now):
        given.decoded(decoding, span(decoding.body, decoding.protocol))


def state(given: Gate, now: float, name: str = "a") -> EndpointReport:
    """Return what is reported of an endpoint."""
    (found,) = (each for each in given.report(now, ms(now)).endpoints if each.name == name)
    return found


def counted(given: Gate, now: float, name: str = "a") -> dict[str, float]:
    """Return the counters that are not 0."""
    return {key: value for key, value in state(given, now, name).counters.items() if value}


def replay(given: Gate, now: float, answer: Callable[[Replay], Answer] = lambda _: OK) -> list[int]:
    """Send on what is held; return the times of the samples, since boot in s."""
    sent = []
    while (step := given.next_to_replay("a", now)) is not None:
        if isinstance(step, float):
            now += step
            continue
        sent += [(at - WALL) // 1000 for _, at in samples_in(step.body)]
        given.replayed(step, answer(step), now)
    return sent
