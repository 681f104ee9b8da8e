"""A hand-over splits batches at its time, and ends when the receiver has everything before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.gate.batches import V1, V2, batch, body, samples_in
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
from wrapper.gate.decisions import ABORT_MARGIN_S, Answer, Hold, PassOn, Refuse
from wrapper.gate.endpoint_state import FULL
from wrapper.gate.gate import FIRST, Gate
from wrapper.gate.hand_over import split
from wrapper.gate.held import OVERHEAD
from wrapper.gate.samples import Counts, Span


def test_later_samples_are_held_as_a_separate_batch() -> None:
    """Later samples are held as a separate batch, for protocol 2 with their counts."""
    for protocol in (V1, V2):
        whole = batch(("a", 5), ("b", 6), ("c", 7), came=9, protocol=protocol)
        found = split(whole, 5)
        assert found.body is not None
        assert found.late is not None
        assert samples_in(found.body, protocol) == [("a", 5)]
        assert samples_in(found.late.body, protocol) == [("b", 6), ("c", 7)]
        assert (found.late.came, found.late.fields) == (9, whole.fields)
        assert found.late.counts == (None if protocol is V1 else Counts(samples=2))
        assert found.times == Span(5, 7)


def test_batch_on_one_side_of_the_split_is_unchanged() -> None:
    """A batch that is not split keeps its bytes; a held one counts as received after the split."""
    whole = batch(("a", 5), ("b", 6), came=6)
    assert split(whole, 6).body is whole.body
    assert split(whole, 6).late is None
    late = split(whole, 4)
    assert late.body is None
    assert late.late is not None
    assert (late.late.body, late.late.came) == (whole.body, 6)
    back = split(replace(whole, came=3), 4).late  # the wall clock went back
    assert back is not None
    assert back.came == 5


def test_unreadable_batch_is_held() -> None:
    """A batch that cannot be read is held whole: it cannot be split, and may be later."""
    found = split(replace(batch(came=9), body=b"what is this"), 5)
    assert found.body is None
    assert found.late is not None
    assert (found.late.body, found.late.came) == (b"what is this", 9)
    back = split(replace(batch(came=3), body=b"what is this"), 5).late  # the wall clock went back
    assert back is not None
    assert back.came == 6


def test_hand_over_splits_batches_at_its_time() -> None:
    """During a hand-over, samples up to its time are passed on, and later ones are held."""
    leader = gate(open_until=1000.0)
    order(leader, 10, hands_over=True)
    late = leader.receive("a", came(11, 11, 12), 11)
    assert late == Hold(None)
    passed = passes(leader, 12, 9, 10, 11, 12)
    assert [at for _, at in samples_in(passed.body)] == [ms(9), ms(10)]
    assert passed.until == leader.closes_at == 1000 - ABORT_MARGIN_S
    assert passed.remainder
    assert [at for _, at in samples_in(passed.remainder.body)] == [ms(11), ms(12)]
    assert state(leader, 12).held_batches == 1
    leader.ended(passed, OK, 12)
    assert state(leader, 12).held_batches == 2
    assert leader.next_to_replay("a", 12) is None


def test_later_batch_is_held_until_the_hand_over_is_complete() -> None:
    """A batch with later samples only is not replayed, even if the wall clock was set back."""
    leader = gate(open_until=1000.0)
    order(leader, 10, hands_over=True)
    back = replace(came(11, 11), came=ms(9))
    assert leader.receive("a", back, 11) == Hold(None)
    assert leader.next_to_replay("a", 12) is None


@pytest.mark.parametrize(("status", "held"), [(400, 1), (429, 1), (500, 0), (None, 0)])
def test_later_part_is_held_unless_the_batch_is_sent_again(status: int | None, held: int) -> None:
    """The later part is held unless the answer makes Prometheus send the whole batch again."""
    leader = gate(open_until=1000.0, memory=(OVERHEAD + 200))
    order(leader, 10, hands_over=True)
    passed = passes(leader, 12, 9, 11)
    leader.ended(passed, Answer(status), 12)
    assert state(leader, 12).held_batches == held
    if not held:
        leader.ended(passes(leader, 13, 9, 11), OK, 13)
        assert state(leader, 13).held_batches == 1


@pytest.mark.parametrize("retries", [False, True])
def test_hand_over_waits_for_a_throttled_batch_if_it_is_retried(*, retries: bool) -> None:
    """A hand-over waits for a batch answered with 429 only if Prometheus sends it again.

    By default Prometheus drops it, whatever Retry-After is.
    """
    leader = gate(open_until=1000.0, endpoints=(replace(A, retries_429=retries),))
    for at in range(20):
        acked(leader, at, at)
    throttled = passes(leader, 20, 19.5)
    decode(leader, 20)
    leader.ended(throttled, Answer(429, retry_after_s=3600.0), 20)
    order(leader, 21, hands_over=True)
    for at in range(22, 40):
        leader.receive("a", came(at), at)
    assert leader.report(40, ms(40)).has_handed_over is not retries
    assert state(leader, 40).mark == (ms(19.5) - 1 if retries else ms(21))


def test_later_part_needs_memory_before_the_first_part_is_sent() -> None:
    """If there is no memory for the later part, the whole batch is refused.

    What Prometheus believes to be accepted must be held.
    """
    leader = gate(open_until=1000.0, memory=OVERHEAD)
    order(leader, 10, hands_over=True)
    assert leader.receive("a", came(12, 9, 11), 12) == Refuse(FULL, 1)
    assert counted(leader, 12) == {"requests_refused_full": 1}
    assert isinstance(leader.receive("a", came(12, 9, 10), 12), PassOn)


def handing_over(now: float = 10.0) -> Gate:
    """Return a leader that has passed on requests for long, and now hands over."""
    leader = gate(open_until=1000.0)
    for at in range(int(now)):
        acked(leader, at, at)
    order(leader, now, hands_over=True)
    return leader


def passing() -> tuple[Gate, PassOn]:
    """Return a leader that has passed on requests for long, and a request in flight since 9."""
    leader = gate(open_until=1000.0)
    for at in range(9):
        acked(leader, at, at)
    passed = passes(leader, 9, 9)
    decode(leader, 9)
    return leader, passed


def has_handed_over(leader: Gate, now: float) -> bool:
    """Return whether the hand-over is done; if so, the mark must be its time."""
    found = leader.report(now, ms(now))
    assert not found.has_handed_over or found.marks == {"a": ms(10)}
    return found.has_handed_over


def test_hand_over_ends_after_the_longest_wait_in_a_shard() -> None:
    """A hand-over ends after the longest wait in a shard and a second, with its time as mark."""
    leader = handing_over()
    for at in (11, 12, 13, 14, 15):
        acked(leader, at, 9, at)
        assert not has_handed_over(leader, at)
    assert has_handed_over(leader, 16)
    for at in range(17, 30):
        acked(leader, at, 9)
        assert has_handed_over(leader, at)  # late samples are still passed on; the mark stays
    order(leader, 30, open_until=None, hands_over=False)
    assert not leader.report(30, ms(30)).has_handed_over
    assert state(leader, 30).mark == ms(10)
    assert state(leader, 30).held_batches == 5
    leader.apply_marks({"a": ms(13)}, ms(30))
    assert state(leader, 30).held_batches == 2


def test_hand_over_waits_for_requests_in_flight_and_failed() -> None:
    """A hand-over waits for a request in flight and, if it fails, for its repetition."""
    leader = handing_over()
    passed = passes(leader, 12, 9)
    assert not has_handed_over(leader, 17)
    leader.ended(passed, Answer(503), 18)
    assert not has_handed_over(leader, 19)
    leader.ended(passes(leader, 20, 8), OK, 20)  # another body does not count as the repetition
    assert not has_handed_over(leader, 30)
    leader.ended(passes(leader, 31, 9), OK, 31)
    assert not has_handed_over(leader, 36)  # it was late: more may follow
    assert has_handed_over(leader, 37)


def two_endpoints(ages_of_b: tuple[int, ...] = (0,)) -> Gate:
    """Return a leader with two endpoints; the second received samples of these ages."""
    leader = gate(open_until=1000.0, endpoints=(A, B))
    for at in range(10):
        for name, ages in (("a", (0,)), ("b", ages_of_b)):
            leader.ended(passes(leader, at, *(at - age for age in ages), name=name), OK, at)
            decode(leader, at)
    return leader


def test_hand_over_waits_for_each_endpoint() -> None:
    """While a request to one of two endpoints is in flight, the hand-over is not complete."""
    leader = two_endpoints()
    slow = passes(leader, 10, 10, name="b")
    order(leader, 10, hands_over=True)
    assert not leader.report(17, ms(17)).has_handed_over
    assert state(leader, 17).mark == ms(10)
    assert state(leader, 17, "b").mark != ms(10)
    leader.ended(slow, OK, 17)
    decode(leader, 17)
    assert not leader.report(17, ms(17)).has_handed_over, "samples may have waited behind it"
    assert leader.report(23, ms(23)).has_handed_over
    assert state(leader, 23, "b").mark == ms(10)


def test_hand_over_waits_for_the_largest_lag_of_all_endpoints() -> None:
    """If samples for one endpoint lag, the hand-over of each endpoint waits as long."""
    leader = two_endpoints(ages_of_b=(8, 8))
    order(leader, 10, hands_over=True)
    assert not leader.report(17, ms(17)).has_handed_over
    assert state(leader, 17).mark != ms(10)
    assert leader.report(18, ms(18)).has_handed_over


def test_second_hand_over_waits_for_requests_in_flight() -> None:
    """After a complete hand-over, a second one waits for the requests that arrived since."""
    leader = handing_over()
    assert has_handed_over(leader, 16)
    order(leader, 17, hands_over=False)
    passed = passes(leader, 18, 17)
    order(leader, 19, hands_over=True)
    assert not leader.report(30, ms(30)).has_handed_over
    leader.ended(passed, OK, 30)
    decode(leader, 30)
    assert leader.report(36, ms(36)).has_handed_over


def test_metadata_in_a_hand_over_does_not_move_the_mark() -> None:
    """If only metadata arrives during a hand-over, the mark stays."""
    leader = handing_over()
    before = state(leader, 11).mark
    for at in (12, 15):
        leader.ended(passes_metadata(leader, at), OK, at)
        decode(leader, at)
        assert state(leader, at).mark == before


def passes_metadata(leader: Gate, now: float) -> PassOn:
    """Return a request without samples that the gate passes on."""
    decision = leader.receive("a", batch(came=ms(now)), now)
    assert isinstance(decision, PassOn)
    return decision


def test_hand_over_waits_for_samples_behind_a_slow_request() -> None:
    """A hand-over waits for a window after a slow request: its shard sends one at a time."""
    leader, slow = passing()
    order(leader, 10, hands_over=True)
    leader.ended(slow, OK, 18)
    assert not has_handed_over(leader, 18)
    assert not has_handed_over(leader, 23)
    assert has_handed_over(leader, 24)


def test_hand_over_waits_for_samples_behind_a_repeated_request() -> None:
    """A hand-over waits for a window after a repeated request, which had delayed its shard."""
    leader, first = passing()
    leader.ended(first, Answer(503), 9)
    order(leader, 10, hands_over=True)
    leader.ended(passes(leader, 14, 9), OK, 14)
    assert not has_handed_over(leader, 19)
    assert has_handed_over(leader, 20)


def test_quick_request_does_not_delay_a_hand_over() -> None:
    """A hand-over does not wait for a window after a request that took less than a second.

    Such a request, received after the hand-over's time, had all samples that waited at that time.
    """
    leader = handing_over()
    leader.ended(passes(leader, 14.5, 10), OK, 15.4)
    decode(leader, 15.4)
    assert has_handed_over(leader, 16)


def test_hand_over_waits_for_a_prometheus_that_lags() -> None:
    """A hand-over waits while samples arrive that are older than any wait in a shard."""
    leader = handing_over()
    for at in (12, 14, 16, 18):
        acked(leader, at, at - 9)
        assert not has_handed_over(leader, at)
    assert not has_handed_over(leader, 20)
    acked(leader, 20, 10, 19)
    assert not has_handed_over(leader, 22)
    assert has_handed_over(leader, 24)


@pytest.mark.parametrize(
    ("ages", "ends_at"),
    [
        ((5, 0), 16),  # samples that waited in a shard
        ((9, 0), 16),  # a slow scrape, or a target that sets timestamps
        ((5, 3), 16),  # new samples are sent at once if a batch is full
        ((8, 3), 18),
        ((10, 3), 18),  # slow scrapes and a lag: the smaller one counts
        ((8, 8), 18),
        ((10, 9), 20),
        ((11, 9), 21),
        ((12, 12), 16),  # too late to wait for
    ],
)
def test_hand_over_waits_as_long_as_samples_were_late_before(
    ages: tuple[int, int], ends_at: int
) -> None:
    """A hand-over waits longer by as much as samples were late before, within a limit."""
    leader = gate(open_until=1000.0)
    for at in range(10):
        acked(leader, at, *(at - age for age in ages))
    order(leader, 10, hands_over=True)
    for at in range(11, 25):
        leader.ended(passes(leader, at, 9, at), OK, at)
        decode(leader, at)
        assert has_handed_over(leader, at) == (at >= ends_at)


def test_slow_requests_do_not_extend_a_hand_over() -> None:
    """Samples that waited behind slow requests do not extend a hand-over: they were not late."""
    leader = gate(open_until=1000.0)
    for at in range(0, 25, 5):
        leader.ended(passes(leader, at, at), OK, at + 4)
        acked(leader, at + 4, at - 4, at + 1)
    order(leader, 30, hands_over=True)
    for at in range(31, 40):
        found = leader.report(at, ms(at)).has_handed_over
        assert found == (at >= 36)


def test_hand_over_waits_for_the_replay_of_older_batches() -> None:
    """A hand-over waits for the replay of held batches; during it, batches to split are refused."""
    successor = gate()
    successor.receive("a", came(1), 1)
    order(successor, 2, open_until=1000.0)
    order(successor, 10, hands_over=True)
    assert successor.receive("a", came(11, 9, 11), 11) == Refuse(FIRST, 1)
    assert not has_handed_over(successor, 17)
    assert replay(successor, 18) == [1]
    assert not has_handed_over(successor, 18)
    acked(successor, 19, 9, 11)
    assert counted(successor, 19)["requests_refused_closing"] == 1


def test_cancelled_hand_over_replays_what_it_held() -> None:
    """After a cancelled hand-over, the later samples are replayed first, and the mark waits."""
    leader = handing_over()
    acked(leader, 12, 9, 11)
    order(leader, 13, hands_over=False)
    assert leader.receive("a", came(13), 13) == Refuse(FIRST, 1)
    assert replay(leader, 13) == [11]
    assert isinstance(leader.receive("a", came(13), 14), PassOn)
    assert (state(leader, 14).mark or 0) <= ms(10)


def test_hand_over_after_its_deadline_is_not_complete() -> None:
    """After its deadline, a hand-over does not complete: another replica may write since then."""
    leader = handing_over()
    order(leader, 11, open_until=15.0)
    assert not has_handed_over(leader, 17)
    assert (state(leader, 17).mark or 0) < ms(10)


def test_protocol_2_counts_what_is_held() -> None:
    """With protocol 2, the later part has its own counts."""
    leader = gate(open_until=1000.0)
    order(leader, 10, hands_over=True)
    two = batch(("m", ms(9)), ("m", ms(11)), ("n", ms(11)), came=ms(12), protocol=V2)
    passed = leader.receive("a", two, 12)
    assert isinstance(passed, PassOn)
    assert passed.remainder
    assert passed.remainder.counts == Counts(samples=2)
    all_late = leader.receive("a", replace(two, body=body(("m", ms(12)), protocol=V2)), 12)
    assert all_late == Hold(Counts(samples=1))


@pytest.mark.parametrize("at", [1, 10])
def test_hand_over_waits_for_the_replay_without_requests(at: int) -> None:
    """A hand-over waits for the replay of held batches, even if no requests arrive."""
    successor = gate()
    successor.receive("a", came(at), 1)
    order(successor, 2, open_until=1000.0)
    order(successor, 10, hands_over=True)
    assert not has_handed_over(successor, 20)
    assert replay(successor, 20) == [at]
    assert has_handed_over(successor, 20)


def test_hand_over_waits_for_decoding() -> None:
    """A hand-over waits for decoding: the samples may be late, so that more follow."""
    leader = handing_over()
    order(leader, 9, hands_over=False)
    leader.ended(passes(leader, 9, 8), OK, 9)
    order(leader, 10, hands_over=True)
    assert not has_handed_over(leader, 17)
    decode(leader, 17)
    assert has_handed_over(leader, 17)


def test_failed_request_is_recognised_when_it_is_repeated() -> None:
    """A failed request of a hand-over is recognised by its whole body, of which a part was sent."""
    leader = handing_over()
    leader.ended(passes(leader, 12, 9, 11), Answer(503), 12)
    assert not has_handed_over(leader, 17)
    leader.ended(passes(leader, 17, 9, 11), OK, 17)
    assert has_handed_over(leader, 17)


def test_mark_of_a_hand_over_stays_at_its_time() -> None:
    """During a hand-over the mark does not pass its time: later samples are held."""
    leader = handing_over()
    for at in range(11, 40):
        assert leader.receive("a", came(at), at) == Hold(None)
        assert has_handed_over(leader, at) == (at >= 16)
        assert (state(leader, at).mark or 0) <= ms(10)


def test_hand_over_time_is_after_the_last_older_batch() -> None:
    """The hand-over's time starts when no batch is older than the gate's opening.

    Older batches must be held and replayed, and held batches are not split.
    """
    successor = gate()
    order(successor, 10, open_until=1000.0)
    order(successor, 11, hands_over=True)
    assert successor.receive("a", came(12, 9, 12), 12) == Hold(None)
    assert replay(successor, 12) == [9, 12]
    acked(successor, 13, 12, 13)
    assert not successor.report(18, ms(18)).has_handed_over
    assert successor.receive("a", came(19), 19) == Hold(None)
    found = successor.report(24, ms(24))
    assert (found.has_handed_over, found.marks) == (True, {"a": ms(18)})
