"""A request that is being read, or was cut off, is not acknowledged: the mark waits for it."""

from __future__ import annotations

from tests.unit.gate.driving import OK, acked, came, gate, ms, order, passes, replay, state
from wrapper.gate.decisions import Hold
from wrapper.gate.gate import Gate, Reading


def begun(given: Gate, at: float) -> Reading:
    """Let the head of a request come."""
    found = given.begin_reading("a", at, ms(at))
    assert found is not None
    return found


def mark_while(given: Gate, since: int, until: int) -> int:
    """Let another shard's requests come each second, and return the mark then."""
    for at in range(since, until):
        acked(given, at, at - 1)
    mark = state(given, until).mark
    assert mark is not None
    return mark


def test_the_mark_waits_for_what_is_being_read() -> None:
    """However long that takes; then for its samples as for others'."""
    leader = gate(until=1000)
    reading = begun(leader, 100)
    assert mark_while(leader, 0, 130) == ms(94) - 1
    leader.end_reading(reading, 130, is_complete=True)
    passed = passes(leader, 130, 95, 99)
    leader.ended(passed, OK, 130)
    assert mark_while(leader, 130, 140) > ms(100)


def test_the_mark_waits_until_what_was_cut_off_has_had_time_to_come_again() -> None:
    """As long as Prometheus pauses at most; a Prometheus that was killed does not send it again."""
    leader = gate(until=1000)
    reading = begun(leader, 100)
    mark_while(leader, 0, 120)
    leader.end_reading(reading, 120, is_complete=False)
    assert mark_while(leader, 120, 125) == ms(94) - 1
    assert mark_while(leader, 125, 130) > ms(100)


def test_a_take_over_loses_nothing_of_what_was_cut_off() -> None:
    """The leader is killed before it came again: the next one has it, and sends it."""
    leader, standby = gate(until=1000), gate()
    reading = begun(leader, 100)
    assert isinstance(standby.receive("a", came(100, 95, 99), 100), Hold)
    mark_while(leader, 0, 120)
    leader.end_reading(reading, 120, is_complete=False)
    order(standby, 121, marks={"a": mark_while(leader, 120, 121)})
    order(standby, 122, until=1000)
    assert replay(standby, 122) == [95, 99]


def test_a_hand_over_waits_for_what_is_being_read_or_was_cut_off() -> None:
    """The next leader drops what it holds of the time before."""
    leader = gate(until=1000)
    mark_while(leader, 0, 100)
    reading = begun(leader, 100)
    order(leader, 101, hands_over=True)
    assert not leader.report(120, ms(120)).has_handed_over
    leader.end_reading(reading, 120, is_complete=False)
    assert not leader.report(125, ms(125)).has_handed_over
    leader.ended(passes(leader, 125, 95, 99), OK, 125)
    assert not leader.report(130, ms(130)).has_handed_over
    assert leader.report(132, ms(132)).has_handed_over


def test_what_was_cut_off_after_the_opening_is_awaited_as_what_is_older() -> None:
    """It is held and sent in order, since the receiver may have a part of it."""
    leader = gate()
    order(leader, 100, until=1000)
    leader.end_reading(begun(leader, 103), 103, is_complete=False)
    assert isinstance(leader.receive("a", came(108.5, 95), 108.5), Hold)


def test_an_endpoint_that_the_gate_does_not_know_is_not_waited_for() -> None:
    """Prometheus may know it first."""
    leader = gate(until=1000)
    assert leader.begin_reading("b", 1, ms(1)) is None
    leader.end_reading(None, 2, is_complete=False)
