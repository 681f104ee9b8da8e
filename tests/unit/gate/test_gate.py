"""The gate passes on, holds, refuses and replays according to its newest order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.gate.batches import V2, batch
from tests.unit.gate.driving import (
    OK,
    A,
    B,
    acked,
    came,
    counted,
    decode,
    gate,
    ms,
    order,
    passes,
    replay,
    state,
)
from wrapper.gate.decisions import ABORT_MARGIN_S, Answer, Hold, PassOn, Refuse, Replay
from wrapper.gate.endpoint_state import BUSY
from wrapper.gate.gate import FIRST, PAST, UNKNOWN, Gate, Reading
from wrapper.gate.samples import Counts
from wrapper.model.gate import FAR_MS


def test_unknown_endpoint_is_refused() -> None:
    """A request for an unknown endpoint is refused and sent again: the order may be in flight."""
    assert Gate(1000).receive("a", came(1), 1) == Refuse(UNKNOWN, 1)
    closed = gate()
    assert closed.receive("b", came(1), 1) == Refuse(UNKNOWN, 1)
    assert closed.endpoint("a") == A
    assert closed.endpoint("b") is None
    assert closed.next_to_replay("b", 1) is None


def test_standby_holds_batches() -> None:
    """A standby holds each batch and accepts it, for protocol 2 with the counts."""
    standby = gate()
    assert standby.receive("a", came(1), 1) == Hold(None)
    two = batch(("m", 1), ("n", 2), came=ms(2), protocol=V2)
    assert standby.receive("a", two, 2) == Hold(Counts(samples=2))
    broken = replace(two, body=b"what is this")
    assert standby.receive("a", broken, 3) == Hold(None)
    found = state(standby, 4)
    assert (found.held_batches, found.held_since) == (3, ms(1) / 1000)
    assert found.held_bytes == came(1).size + two.size + broken.size
    assert counted(standby, 4) == {"requests_held": 3}
    assert not standby.is_open(4)
    assert standby.closes_at is None
    assert standby.next_to_replay("a", 4) is None


@pytest.mark.parametrize("by_order", [True, False])
def test_mark_releases_held_batches(by_order: bool) -> None:
    """A mark releases the batches received up to it; an older one or one far ahead does not."""
    standby = gate()
    for at in (1, 2, 3):
        standby.receive("a", came(at), at)
    for mark, left in ((ms(2) - 1, 2), (ms(1), 2), (ms(2), 1)):
        if by_order:
            order(standby, 4, marks={"a": mark, "other": mark})
        else:
            standby.apply_marks({"a": mark, "other": mark}, ms(4), 0.25)
        assert state(standby, 4).held_batches == left
    assert state(standby, 4).mark == ms(2)
    assert standby.report(4, ms(4)).clock_offset_s == (None if by_order else 0.25)
    standby.apply_marks({"a": ms(9) + FAR_MS + 1}, ms(9))
    assert state(standby, 9).mark == ms(2), "of a clock that is far ahead"
    standby.apply_marks({"a": ms(9)}, ms(9))
    assert isinstance(standby.receive("a", came(8), 8), Hold)
    assert counted(standby, 9) == {"requests_held": 4, "batches_released": 4}


def test_leader_passes_on_until_just_before_its_deadline() -> None:
    """Just before its deadline, a leader's gate starts to refuse, until its next order."""
    leader = gate(open_until=10.0)
    passed = leader.receive("a", came(1), 10 - ABORT_MARGIN_S - 0.01)
    assert isinstance(passed, PassOn)
    assert (passed.body, passed.until, passed.remainder) == (
        came(1).body,
        10 - ABORT_MARGIN_S,
        None,
    )
    assert leader.closes_at == 10 - ABORT_MARGIN_S
    assert leader.report(9, ms(9)).order == leader.order.number
    leader.ended(passed, OK, 9.95)
    for now in (10 - ABORT_MARGIN_S, 10.0, 11.0):
        assert leader.receive("a", came(now), now) == Refuse(PAST, 1)
        assert not leader.is_open(now)
    order(leader, 12, open_until=20.0)
    assert isinstance(leader.receive("a", came(12.5), 12.5), PassOn)
    order(leader, 13, open_until=None)
    assert leader.receive("a", came(13), 13) == Hold(None)
    found = {key: value for key, value in counted(leader, 13).items() if key != "bytes_passed"}
    assert found == {"requests_passed": 1, "requests_refused_closing": 3, "requests_held": 1}


def test_mark_waits_for_a_batch_refused_for_want_of_memory() -> None:
    """The mark stays before a refused batch until it is sent again: the standbys must hold it."""
    leader = gate(open_until=1000.0)
    acked(leader, 20)
    refused = leader.refuse("a", came(20.5), 20.5)
    assert (refused.reason, counted(leader, 20.5)["requests_refused_full"]) == (BUSY, 1)
    for now in range(21, 40):
        acked(leader, now)
    assert (state(leader, 40).mark or 0) < ms(20.5)
    leader.ended(passes(leader, 40, 20.5), OK, 40)
    decode(leader, 40)
    for now in range(41, 60):
        acked(leader, now)
    assert (state(leader, 60).mark or 0) > ms(40)
    assert leader.refuse("gone", came(60), 60) == Refuse(UNKNOWN, 1)


def test_gate_is_open_while_a_request_is_in_flight() -> None:
    """The gate is open during a request, also after its deadline or an order to close."""
    leader = gate(open_until=10.0)
    passed = passes(leader, 9)
    assert leader.is_open(11)
    order(leader, 11, open_until=None)
    assert leader.report(12, ms(12)).is_open
    leader.ended(passed, Answer(None, problem="cut"), 13)
    assert not leader.is_open(13)
    assert counted(leader, 13) == {"requests_failed": 1}
    assert state(leader, 13).problem == "", "a closed gate has none"


def test_mark_follows_acknowledged_requests() -> None:
    """The mark follows what is acknowledged, and stays before what is in flight or has failed."""
    leader = gate(open_until=1000.0, marks={"a": ms(-50)})
    for at in range(20):
        acked(leader, at, at - 1.0)
    assert state(leader, 19).mark == ms(12) - 1
    failing = passes(leader, 20)
    decode(leader, 20)
    leader.ended(failing, Answer(500), 21)
    for at in range(21, 40):
        acked(leader, at, at)
    assert state(leader, 39).mark == ms(20) - 1
    acked(leader, 40, 20)
    for at in range(41, 50):
        acked(leader, at, at)
    assert state(leader, 49).mark == ms(43) - 1
    assert state(leader, 49).behind_s == pytest.approx(0)


def test_mark_is_updated_when_the_gate_closes() -> None:
    """When the gate closes, the mark includes what was acknowledged since the last report."""
    leader = gate(open_until=1000.0)
    for at in range(20):
        acked(leader, at, at)
    order(leader, 19, open_until=None)
    assert state(leader, 19).mark == ms(13) - 1


def test_refused_batch_holds_the_mark() -> None:
    """The mark stays before a batch refused during a replay: it is older than what follows."""
    leader = gate()
    leader.receive("a", came(1), 1)
    order(leader, 2, open_until=1000.0, marks={"a": ms(0)})
    assert leader.receive("a", came(2.5), 2.5) == Refuse(FIRST, 1)
    assert replay(leader, 3) == [1]
    for at in range(3, 30):
        acked(leader, at, at)
    assert state(leader, 29).mark == ms(0)
    acked(leader, 30, 2.5)
    for at in range(31, 40):
        acked(leader, at, at)
    assert state(leader, 39).mark == ms(33) - 1


def test_dropped_samples_are_counted_and_logged() -> None:
    """Samples that the receiver rejects, or whose endpoint is removed, are counted and logged."""
    found = gate(endpoints=(A, B))
    found.receive("a", came(1, 1, 2), 1)
    found.receive("b", came(1, 1, 2, 3), 1)
    found.receive("b", replace(came(2), body=b"what is this"), 2)
    order(found, 3, open_until=100.0, endpoints=(A,))
    (notice,) = found.notices(0)
    assert "endpoint b: removed from the leader's remote_write" in notice
    assert "2 held batches are dropped, with 4 samples" in notice
    assert counted(found, 3, "b") == {"requests_held": 2, "samples_given_up": 4}
    assert state(found, 3, "b").held_bytes == 0
    assert replay(found, 3, lambda _: Answer(413, problem="too large")) == [1, 2]
    assert counted(found, 4)["samples_given_up"] == 2
    assert state(found, 4).problem == "too large"
    (notice,) = found.notices(0)
    assert "endpoint a: 2 held samples are dropped" in notice
    assert found.notices(0) == []
    order(found, 5, endpoints=(A, B))
    assert counted(found, 5, "b")["samples_given_up"] == 4
    assert len(found.report(5, ms(5)).endpoints) == 2


def test_known_and_unconfirmed_samples_are_counted() -> None:
    """During a replay, samples that the receiver already has, or does not confirm, are counted."""
    successor = gate()
    for at in (1, 2):
        successor.receive("a", batch(("m", ms(at)), came=ms(at), protocol=V2), at)
    order(successor, 3, open_until=1000.0)
    answers = iter([Answer(400, problem="out of order"), Answer(204, written=Counts())])
    while isinstance(step := successor.next_to_replay("a", 4), Replay):
        successor.replayed(step, next(answers), 4)
    found = counted(successor, 4)
    assert (found["samples_rejected_known"], found["samples_unconfirmed"]) == (1, 1)


def test_removed_endpoint_keeps_the_gate_open_during_a_request() -> None:
    """If an endpoint is removed during a request, the gate is open until the request ends."""
    found = gate(open_until=10.0)
    passed = passes(found, 1)
    order(found, 2, endpoints=(B,))
    order(found, 3, open_until=None)
    assert found.is_open(11)
    decode(found, 11)
    found.ended(passed, OK, 11)
    assert not found.is_open(11)
    holding = gate()
    holding.receive("a", came(1), 1)
    order(holding, 2, open_until=10.0)
    step = holding.next_to_replay("a", 2)
    assert isinstance(step, Replay)
    order(holding, 3, endpoints=(B,))
    assert holding.is_open(11)
    holding.replayed(step, OK, 11)
    assert not holding.is_open(11)
    assert counted(holding, 11)["samples_given_up"] == 1


def test_removed_endpoint_is_forgotten() -> None:
    """A removed endpoint is forgotten once nothing is in flight or unlogged; its losses stay."""
    found = gate(open_until=100.0)
    passed = passes(found, 1)
    order(found, 2, endpoints=(B,))
    found.report(2, ms(2))
    assert found.knows("a")
    found.ended(passed, OK, 3)
    found.report(3, ms(3))
    assert (found.knows("a"), found.knows("b")) == (False, True)
    losing = gate()
    losing.receive("a", came(1, 1, 2), 1)
    order(losing, 2, endpoints=(B,))
    for _ in range(2):
        assert counted(losing, 2) == {"requests_held": 1, "samples_given_up": 2}
        assert not losing.knows("a")
    order(losing, 3, endpoints=(A, B))
    losing.receive("a", came(4), 4)
    assert counted(losing, 4) == {"requests_held": 2, "samples_given_up": 2}
    assert len(losing.report(4, ms(4)).endpoints) == 2


def test_loss_is_logged_before_its_endpoint_is_forgotten() -> None:
    """If an endpoint is removed after a rejection, the loss is logged before it is forgotten."""
    found = gate()
    found.receive("a", came(1), 1)
    order(found, 2, open_until=100.0)
    assert replay(found, 2, lambda _: Answer(413, problem="too large")) == [1]
    order(found, 3, endpoints=(B,))
    found.report(3, ms(3))
    assert found.knows("a")
    (notice,) = found.notices(3)
    assert "endpoint a: 1 held samples are dropped" in notice
    found.report(4, ms(4))
    assert not found.knows("a")


def test_mark_waits_for_a_batch_that_cannot_be_decoded() -> None:
    """The mark stays while a batch is in flight that cannot be decoded.

    It may have samples of any time, and the receiver may be able to read it.
    """
    leader = gate(open_until=1000.0)
    for at in range(10):
        acked(leader, at)
    before = state(leader, 10).mark
    unread = leader.receive("a", replace(came(10), body=b"what is this"), 10)
    assert isinstance(unread, PassOn)
    decoding = leader.to_decode(10)
    assert decoding is not None
    leader.undecodable(decoding)
    for at in range(11, 20):
        acked(leader, at)
    assert state(leader, 20).mark == before
    leader.ended(unread, OK, 20)
    for at in range(20, 30):
        acked(leader, at)
    assert (state(leader, 30).mark or 0) > (before or 0)


def test_clock_offset_is_that_of_the_current_leader() -> None:
    """The clock offset is unknown after a change of the leader, which may be this replica."""
    standby = gate(leader="x")
    standby.apply_marks({}, ms(1), 0.25)
    order(standby, 2, marks={"a": ms(1)})
    assert standby.report(2, ms(2)).clock_offset_s == 0.25
    order(standby, 3, leader="y")
    assert standby.report(3, ms(3)).clock_offset_s is None


# --- requests that are being read, or were interrupted --------------------------------------------


def begun(given: Gate, at: float) -> Reading:
    """Receive the head of a request."""
    found = given.begin_reading("a", at, ms(at))
    assert found is not None
    return found


def mark_while(given: Gate, since: int, until: int) -> int:
    """Receive requests of another shard each second, and return the mark at the end."""
    for at in range(since, until):
        acked(given, at, at - 1)
    mark = state(given, until).mark
    assert mark is not None
    return mark


def test_mark_waits_for_a_request_that_is_being_read() -> None:
    """The mark stays while a request is being read, however long; then its samples count."""
    leader = gate(open_until=1000)
    reading = begun(leader, 100)
    assert mark_while(leader, 0, 130) == ms(94) - 1
    leader.end_reading(reading, 130, is_complete=True)
    passed = passes(leader, 130, 95, 99)
    leader.ended(passed, OK, 130)
    assert mark_while(leader, 130, 140) > ms(100)


def test_request_that_is_being_read_may_lag() -> None:
    """A request that is being read may have samples as late as those of earlier requests.

    Its shard may still lag when the others have caught up.
    """
    leader = gate(open_until=1000)
    for at in range(80, 100):
        acked(leader, at, at - 60)
        state(leader, at)
    begun(leader, 100)
    assert mark_while(leader, 100, 130) < ms(40)


def test_mark_waits_for_the_retry_of_an_interrupted_request() -> None:
    """After an interrupted request, the mark waits for Prometheus' longest pause.

    If Prometheus was killed, it does not send the request again.
    """
    leader = gate(open_until=1000)
    reading = begun(leader, 100)
    mark_while(leader, 0, 120)
    leader.end_reading(reading, 120, is_complete=False)
    assert mark_while(leader, 120, 125) == ms(94) - 1
    assert mark_while(leader, 125, 130) > ms(100)


def test_interrupted_request_is_not_lost_in_a_hand_over() -> None:
    """If the leader dies before an interrupted request is repeated, the next leader sends it."""
    leader, standby = gate(open_until=1000), gate()
    reading = begun(leader, 100)
    assert isinstance(standby.receive("a", came(100, 95, 99), 100), Hold)
    mark_while(leader, 0, 120)
    leader.end_reading(reading, 120, is_complete=False)
    order(standby, 121, marks={"a": mark_while(leader, 120, 121)})
    order(standby, 122, open_until=1000)
    assert replay(standby, 122) == [95, 99]


def test_hand_over_waits_for_a_request_being_read_or_interrupted() -> None:
    """A hand-over waits for such a request: the next leader drops what it holds up to then."""
    leader = gate(open_until=1000)
    mark_while(leader, 0, 100)
    reading = begun(leader, 100)
    order(leader, 101, hands_over=True)
    assert not leader.report(120, ms(120)).has_handed_over
    leader.end_reading(reading, 120, is_complete=False)
    assert not leader.report(125, ms(125)).has_handed_over
    leader.ended(passes(leader, 125, 95, 99), OK, 125)
    assert not leader.report(130, ms(130)).has_handed_over
    assert leader.report(132, ms(132)).has_handed_over


def test_interrupted_request_is_awaited_like_older_samples() -> None:
    """The retry of an interrupted request is held and replayed: the receiver may have a part."""
    leader = gate()
    order(leader, 100, open_until=1000)
    leader.end_reading(begun(leader, 103), 103, is_complete=False)
    assert isinstance(leader.receive("a", came(108.5, 95), 108.5), Hold)


def test_request_for_an_unknown_endpoint_is_not_awaited() -> None:
    """A request for an unknown endpoint is not tracked: Prometheus may know it before the gate."""
    leader = gate(open_until=1000)
    assert leader.begin_reading("b", 1, ms(1)) is None
    leader.end_reading(None, 2, is_complete=False)
