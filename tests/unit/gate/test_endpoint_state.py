"""An endpoint of the gate: held batches are sent first and counted, whatever their result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.gate.batches import batch, samples_in
from tests.unit.gate.driving import (
    OK,
    acked,
    came,
    counted,
    gate,
    ms,
    order,
    passes,
    replay,
    state,
)
from wrapper.base.line_limit import FIRST as FIRST_LINES
from wrapper.base.line_limit import PERIOD_S
from wrapper.gate.decisions import ABORT_MARGIN_S, Answer, Hold, PassOn, Refuse, Replay
from wrapper.gate.endpoint_state import FULL
from wrapper.gate.gate import FIRST


def test_full_standby_refuses_until_a_mark_releases_batches() -> None:
    """A full standby refuses batches until a mark releases some; Prometheus sends them again."""
    standby = gate(memory=2 * came(1).size)
    for at in (1, 2):
        assert isinstance(standby.receive("a", came(at), at), Hold)
    assert standby.receive("a", came(3), 3) == Refuse(FULL, 1)
    standby.apply_marks({"a": ms(1)}, ms(9))
    assert isinstance(standby.receive("a", came(3), 4), Hold)
    wanted = {"requests_held": 3, "requests_refused_full": 1, "batches_released": 1}
    assert counted(standby, 4) == wanted


def test_answers_are_counted_by_status() -> None:
    """Each answer counts as passed, none as failed; bytes count only if the batch is done."""
    leader = gate(open_until=100.0)
    for answer in (OK, Answer(400), Answer(503), Answer(None)):
        leader.ended(passes(leader, 1), answer, 2)
    size = len(came(1).body)
    wanted = {"requests_passed": 3, "requests_failed": 1, "bytes_passed": 2 * size}
    assert counted(leader, 3) == wanted
    leader.ended(passes(leader, 3), Answer(500), 3)
    assert state(leader, 3).problem == "the receiver answered 500"


def test_standby_has_no_problem_from_its_time_as_leader() -> None:
    """After a gate has closed, the problem of its last answers is gone, also if it opens again."""
    found = gate(open_until=100.0)
    cut = passes(found, 1)
    found.ended(passes(found, 1), Answer(503), 2)
    assert state(found, 2).problem == "the receiver answered 503"
    order(found, 3, open_until=None)
    assert state(found, 3).problem == "the receiver answered 503", "one request is still in flight"
    found.ended(cut, Answer(None, problem="interrupted"), 4)
    assert state(found, 4).problem == ""
    order(found, 5, open_until=100.0)
    assert state(found, 5).problem == ""


def test_successor_sends_held_batches_first() -> None:
    """A new leader first sends held samples that are newer than the mark; meanwhile none pass."""
    successor = gate()
    for at, times in ((1, (1,)), (2, (2,)), (4, (2, 3, 4)), (5, (5,))):
        successor.receive("a", came(at, *times), at)
    order(successor, 6, open_until=100.0, marks={"a": ms(3)})
    assert state(successor, 6).held_batches == 2
    first = successor.next_to_replay("a", 6)
    assert isinstance(first, Replay)
    assert (first.fields, first.until) == (came(1).fields, 100 - ABORT_MARGIN_S)
    assert successor.next_to_replay("a", 6) is None
    assert successor.receive("a", came(7), 6) == Refuse(FIRST, 1)
    successor.replayed(first, OK, 6)
    assert samples_in(first.body) == [("m", ms(4))]
    assert state(successor, 6.5).behind_s == 1.5
    assert replay(successor, 7) == [5]
    assert isinstance(successor.receive("a", came(7), 7), PassOn)
    found = counted(successor, 7)
    assert found.pop("bytes_passed") > 0
    assert found == {
        "requests_held": 4,
        "batches_released": 2,
        "batches_sent_on": 2,
        "samples_left_out": 2,
        "requests_refused_closing": 1,
    }


def test_batch_after_one_with_mixed_series_needs_few_requests() -> None:
    """After a batch of mixed series, a batch of known series takes few requests."""
    names = [f"m{number}" for number in range(500)]
    stored = {(name, ms(1)) for name in names[::2]} | {(name, ms(2)) for name in names}
    successor = gate()
    for at in (1, 2):
        held = batch(*((name, ms(at)) for name in names), came=ms(at))
        assert isinstance(successor.receive("a", held, at), Hold)
    order(successor, 3, open_until=100.0)
    requests = {ms(1): 0, ms(2): 0}
    while isinstance(sent := successor.next_to_replay("a", 3), Replay):
        samples = samples_in(sent.body)
        requests[samples[0][1]] += 1
        answer = Answer(400) if stored & {*samples} else OK
        if answer is OK:
            stored.update(samples)
        successor.replayed(sent, answer, 3)
    assert stored == {(name, at) for name in names for at in requests}
    assert requests[ms(2)] < 100


def test_repeated_batch_probes_other_series() -> None:
    """If a batch is sent again, other series are probed.

    A receiver refuses those that it accepted before the gate closed, which does not mean that it
    has all.
    """
    names = [f"m{number}" for number in range(500)]
    stored = set(names[::2])
    successor = gate()

    def answer(sent: Replay) -> Answer:
        series = {name for name, _ in samples_in(sent.body)}
        if series & stored:
            return Answer(400)
        stored.update(series)
        return OK

    held = batch(*((name, ms(1)) for name in names), came=ms(1))
    assert isinstance(successor.receive("a", held, 1), Hold)
    for since, most in ((3, 65), (5, 1000)):
        order(successor, since, open_until=100.0)
        for _ in range(most):
            if isinstance(sent := successor.next_to_replay("a", since), Replay):
                successor.replayed(sent, answer(sent), since)
        order(successor, since + 1, open_until=None)
    assert stored == set(names)


def test_mark_stays_while_a_backlog_is_sent() -> None:
    """While a backlog is sent, the mark stays: what is refused meanwhile is older than the rest."""
    successor = gate()
    for at in range(5):
        successor.receive("a", came(at), at)
    order(successor, 5, open_until=1000.0, marks={"a": ms(0)})
    assert state(successor, 19).mark == ms(0)
    replay(successor, 20)
    acked(successor, 20)
    assert state(successor, 20).mark == ms(14) - 1


def test_samples_older_than_the_opening_are_replayed() -> None:
    """Samples older than the gate's opening are held and replayed, without those up to the mark.

    A Prometheus that lags sends such samples; the receiver may have a part of them.
    """
    successor = gate()
    order(successor, 10, open_until=1000.0, marks={"a": ms(5)})
    assert successor.receive("a", came(11, 5, 6, 12), 11) == Hold(None)
    assert successor.receive("a", came(11, 13), 11) == Refuse(FIRST, 1)
    assert replay(successor, 11) == [6, 12]
    assert counted(successor, 11)["samples_left_out"] == 1
    acked(successor, 11, 10.5)
    for at in (12, 17, 22):
        assert successor.receive("a", came(at, 10), at) == Hold(None)
        assert replay(successor, at) == [10]
        acked(successor, at, at)
        assert state(successor, at).mark == ms(5)  # late samples are in no request that was passed
    assert isinstance(successor.receive("a", came(11, 13), 22), PassOn)
    acked(successor, 27)
    assert state(successor, 27.5).mark == ms(5)
    acked(successor, 28)
    assert state(successor, 28).mark != ms(5)
    assert isinstance(successor.receive("a", came(29, 7), 29), PassOn)


def test_refused_samples_are_awaited_however_long_the_retry_takes() -> None:
    """The mark stays until refused samples have arrived, however long the pause before it."""
    successor = gate(memory=1)
    assert successor.receive("a", came(9), 9) == Refuse(FULL, 1)
    order(successor, 10, open_until=1000.0)
    acked(successor, 30)
    assert state(successor, 30).mark is None
    assert successor.receive("a", came(9), 31) == Hold(None)  # one, though the memory is full
    assert successor.receive("a", came(8), 31) == Refuse(FULL, 1)
    assert replay(successor, 31) == [9]


def test_samples_older_than_the_opening_are_held_during_a_replay() -> None:
    """While older samples are replayed, more of them are held rather than refused.

    With a pause of a second for each, a Prometheus that lags would never catch up.
    """
    successor = gate()
    order(successor, 10, open_until=1000.0)
    for at in (7, 8, 9):
        assert successor.receive("a", came(at), 11) == Hold(None)
    assert successor.receive("a", came(11), 11) == Refuse(FIRST, 1)
    assert replay(successor, 11) == [7, 8, 9]
    assert isinstance(successor.receive("a", came(11), 12), PassOn)


@pytest.mark.parametrize(
    ("at", "times", "wanted"),
    [
        (27, (2, 20, 21), [2, 20, 21]),  # all samples waited for six seconds at most
        (80, (2, 20), [2, 20]),
        (81, (2, 20), []),  # a Prometheus that lags
        (26, (2, 20, 21), [21]),  # one sample may have waited since before the mark
    ],
)
def test_samples_that_entered_late_are_sent(
    at: int, times: tuple[int, ...], wanted: list[int]
) -> None:
    """Old samples that entered Prometheus after the time of the mark are sent.

    An old timestamp does not prove that the old leader has sent the sample.
    """
    successor = gate()
    assert successor.receive("a", came(at, *times), at) == Hold(None)
    order(successor, at + 1, open_until=1000.0, marks={"a": ms(20)})
    assert replay(successor, at + 1) == wanted


def test_recent_sample_proves_that_prometheus_does_not_lag() -> None:
    """A Prometheus that has sent a recent sample does not lag, although its next batch is old.

    With few targets, this is normal. A sample of the future proves nothing.
    """
    successor = gate()
    for at, times in ((27, (27, 500)), (87, (2,)), (88, (3,))):
        assert successor.receive("a", came(at, *times), at) == Hold(None)
    order(successor, 90, open_until=1000.0, marks={"a": ms(20)})
    assert replay(successor, 90) == [27, 500, 2]


def test_unreadable_batch_is_sent_unchanged() -> None:
    """A batch that cannot be read is sent unchanged, whether received before the mark or after."""
    successor = gate()
    for at in (21, 30):
        assert successor.receive("a", replace(came(at), body=b"what is this"), at) == Hold(None)
    order(successor, 31, open_until=1000.0, marks={"a": ms(20)})
    bodies = []
    while isinstance(step := successor.next_to_replay("a", 31), Replay):
        bodies.append(step.body)
        successor.replayed(step, OK, 31)
    assert bodies == [b"what is this"] * 2


def test_old_timestamps_are_passed_on_after_a_while() -> None:
    """Old timestamps beside fresh ones are passed on once the gate has been open for a while.

    A target may always set the same timestamp.
    """
    leader = gate()
    order(leader, 10, open_until=1000.0, marks={"a": ms(9)})
    for at in (12, 15):
        assert leader.receive("a", came(at, 2, at), at) == Hold(None)
        assert replay(leader, at) == [at]
    for at in (18, 20):  # still held: the receiver may have what waited behind a failed request
        assert leader.receive("a", came(at, 2, at), at) == Hold(None)
        assert replay(leader, at) == [2, at]
    assert isinstance(leader.receive("a", came(21, 2, 21), 21), PassOn)


def test_batch_without_new_samples_is_not_sent() -> None:
    """A batch without new samples is counted as sent, and the next step follows at once."""
    successor = gate()
    for at in (2, 3):
        successor.receive("a", came(at, 1), at)
    order(successor, 4, open_until=100.0, marks={"a": ms(1)})
    assert successor.next_to_replay("a", 4) == 0.0
    assert replay(successor, 4) == []
    wanted = {"requests_held": 2, "batches_sent_on": 2, "samples_left_out": 2}
    assert counted(successor, 4) == wanted


def test_nothing_is_sent_after_the_deadline() -> None:
    """After the deadline no piece or retry is sent; after the next opening the batch restarts."""
    successor = gate()
    successor.receive("a", came(1, 1, 2), 1)
    order(successor, 3, open_until=10.0)
    step = successor.next_to_replay("a", 3)
    assert isinstance(step, Replay)
    successor.replayed(step, Answer(400), 3)
    piece = successor.next_to_replay("a", 4)
    assert isinstance(piece, Replay)
    successor.replayed(piece, Answer(503, retry_after_s=2.0), 4)
    assert successor.next_to_replay("a", 4) == 2.0
    assert successor.next_to_replay("a", 10 - ABORT_MARGIN_S) is None
    order(successor, 11, open_until=None)
    assert counted(successor, 11) == {"requests_held": 1}
    order(successor, 12, open_until=20.0)
    step = successor.next_to_replay("a", 12)
    assert isinstance(step, Replay)
    assert step.body == came(1, 1, 2).body


def test_renewal_does_not_restart_a_batch() -> None:
    """After a renewal, the batch continues; own marks that are read back release nothing."""
    successor = gate()
    successor.receive("a", came(1, 1, 2), 1)
    order(successor, 3, open_until=10.0)
    step = successor.next_to_replay("a", 3)
    assert isinstance(step, Replay)
    order(successor, 4, open_until=11.0, marks={"a": ms(5)})
    successor.apply_marks({"a": ms(5)}, ms(9))
    successor.replayed(step, Answer(400), 4)
    piece = successor.next_to_replay("a", 4)
    assert isinstance(piece, Replay)
    assert samples_in(piece.body) == [("m", ms(1))]
    assert piece.until == 11 - ABORT_MARGIN_S


@pytest.mark.parametrize(("status", "left"), [(204, 0), (400, 1), (None, 1)])
def test_answer_in_flight_at_the_end_counts_if_it_is_final(status: int, left: int) -> None:
    """An acknowledgement after the order to close counts; one of a part of a batch does not."""
    successor = gate()
    successor.receive("a", came(2, 1, 2), 2)
    order(successor, 3, open_until=10.0)
    step = successor.next_to_replay("a", 3)
    assert isinstance(step, Replay)
    order(successor, 5, open_until=None, marks={"a": ms(1)})
    assert successor.is_open(5)
    successor.replayed(step, Answer(status), 6)
    assert not successor.is_open(6)
    assert state(successor, 6).held_batches == left
    order(successor, 7, open_until=20.0)
    assert replay(successor, 7) == [2] * left


def test_refused_batch_that_is_held_later_is_not_awaited() -> None:
    """If a refused batch is held at its next attempt, the mark does not wait for it."""
    standby = gate(memory=came(1).size)
    standby.receive("a", came(1), 1)
    assert standby.receive("a", came(2), 2) == Refuse(FULL, 1)
    standby.apply_marks({"a": ms(1)}, ms(9))
    standby.receive("a", came(2), 3)
    order(standby, 4, open_until=1000.0)
    assert replay(standby, 4) == [2]
    for at in range(5, 20):
        acked(standby, at, at)
    assert state(standby, 19).mark == ms(13) - 1


def test_batch_restarts_after_the_gate_was_closed() -> None:
    """If the gate closes and opens during a request, the batch starts anew.

    Another replica may have been the leader.
    """
    successor = gate()
    successor.receive("a", came(2, 1, 2), 2)
    order(successor, 3, open_until=10.0)
    step = successor.next_to_replay("a", 3)
    assert isinstance(step, Replay)
    order(successor, 5, open_until=None)
    order(successor, 6, open_until=20.0, marks={"a": ms(1)})
    assert successor.next_to_replay("a", 6) is None
    successor.replayed(step, Answer(400), 7)
    assert replay(successor, 7) == [2]


def test_many_rejections_do_not_flood_the_log() -> None:
    """Of many rejections, a few are logged at once, the others once a minute with their sum."""
    found = gate()
    for at in range(100):
        found.receive("a", came(at, at), at)
    order(found, 100, open_until=1000.0)
    notices = []
    while isinstance(step := found.next_to_replay("a", 100), Replay):
        found.replayed(step, Answer(413, problem="too large"), 100)
        notices += found.notices(100)
    assert len(notices) == FIRST_LINES
    notices += found.notices(100 + PERIOD_S)
    assert [int(each.split()[3]) for each in notices] == [*[1] * FIRST_LINES, 100 - FIRST_LINES]
    assert found.notices(1000) == []
