"""The replay of held batches: no new sample is lost, whatever the receiver already has."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gate.batches import V1, V2, batch, new, pack, samples_in
from wrapper.gate.decisions import Answer, outcome
from wrapper.gate.held import Batch
from wrapper.gate.probes import probes
from wrapper.gate.replay import MOST_REQUESTS, Result, count_of, replay
from wrapper.gate.samples import Counts, Protocol

LATER = 10**9
Receiver = Callable[[bytes], Answer]


class Prometheus:
    """A receiver of protocol 1 that rejects a request with a sample that is not newer.

    With ``is_partial`` it stores the good samples of a rejected request. In protocol 2, it reports
    all samples as written, or none.
    """

    def __init__(
        self,
        newest: dict[str, int],
        status: int = 400,
        *,
        is_partial: bool = False,
        protocol: Protocol = V1,
    ) -> None:
        self.newest = dict(newest)
        self.taken: list[tuple[str, int]] = []
        self._status = status
        self._is_partial = is_partial
        self._protocol = protocol

    def __call__(self, body: bytes) -> Answer:
        """Store a request's samples, or reject it."""
        newest, taken, refused = dict(self.newest), [], 0
        for name, at in samples_in(body, self._protocol):
            if at > newest.get(name, -1):
                newest[name] = at
                taken.append((name, at))
            else:
                refused += 1
        if not refused or self._is_partial:
            self.newest = newest
            self.taken += taken
        written = Counts(samples=0 if refused else len(taken)) if self._protocol is V2 else None
        if refused:
            return Answer(self._status, problem="out of order sample", written=written)
        return Answer(204, written=written)


def drive(
    held: Batch, receiver: Receiver, mark: int | None = None, attempt: int = 0
) -> tuple[Result, list[float]]:
    """Replay a batch; return the result and the wait before each request."""
    waits: list[float] = []
    steps = replay(held, mark, 5.0, attempt)
    try:
        request = next(steps)
        while True:
            waits.append(request.wait_s)
            request = steps.send(receiver(request.body))
    except StopIteration as end:
        return end.value, waits


def answers(*given: Answer) -> tuple[Receiver, list[bytes]]:
    """Return a receiver that gives these answers, and the bodies that it received."""
    left, got = iter(given), []

    def receiver(body: bytes) -> Answer:
        got.append(body)
        return next(left)

    return receiver, got


def test_batch_without_known_samples_is_sent_unchanged() -> None:
    """If all samples are newer than the mark, or there is none, the bytes stay as received."""
    held = batch(("a", 1), ("b", 2), came=3)
    for mark in (0, None):
        receiver, got = answers(Answer(204))
        result, waits = drive(held, receiver, mark)
        assert got == [held.body]
        assert (result, waits) == (Result(bytes_sent=len(held.body)), [0.0])


def test_samples_up_to_the_mark_are_left_out() -> None:
    """Samples up to the mark are left out; a batch without newer ones is not sent."""
    held = batch(("a", 4), ("b", 5), ("a", 6), came=LATER)
    receiver, got = answers(Answer(204))
    result, _ = drive(held, receiver, 5)
    assert [samples_in(each) for each in got] == [[("a", 6)]]
    assert result.left_out == 2
    assert drive(held, receiver, 6) == (Result(left_out=3), [])


def test_unreadable_batch_is_sent_unchanged() -> None:
    """A batch that cannot be read is sent unchanged; if it is refused, it counts as one sample."""
    held = replace(batch(came=1), body=b"what is this")
    assert drive(held, answers(Answer(204))[0], 5)[0].given_up == 0
    for status in (400, 415):
        result, waits = drive(held, answers(Answer(status))[0], 5)
        assert (result.given_up, len(waits)) == (1, 1)
    assert count_of(held) == 1
    v2 = replace(held, protocol=V2)
    assert drive(v2, answers(Answer(204))[0])[0].given_up == 0


def test_unanswered_request_is_repeated() -> None:
    """The same bytes are sent again, after pauses that double up to the longest, or Retry-After."""
    held = batch(("a", 1), came=1)
    failing = [Answer(None), Answer(500), Answer(429, retry_after_s=7.0), *[Answer(503)] * 7]
    receiver, got = answers(*failing, Answer(200))
    result, waits = drive(held, receiver)
    assert waits == [0, 0.03, 0.06, 7.0, 0.24, 0.48, 0.96, 1.92, 3.84, 5.0, 5.0]
    assert set(got) == {held.body}
    assert result == Result(bytes_sent=len(held.body))


@pytest.mark.parametrize("status", [301, 401, 404, 413, 422])
def test_batch_refused_for_good_is_given_up(status: int) -> None:
    """If a batch is refused for good, all its samples count as given up, with the reason."""
    receiver, got = answers(Answer(status, problem="no"))
    result, _ = drive(batch(("a", 1), ("b", 1), came=1), receiver)
    assert (len(got), result.given_up, result.problem) == (1, 2, "no")


@pytest.mark.parametrize(("status", "is_partial"), [(400, False), (400, True), (409, True)])
@given(
    samples=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 5)), max_size=14),
    newest=st.dictionaries(st.sampled_from("abcde"), st.integers(0, 5)),
)
@settings(max_examples=60, deadline=None)
def test_no_new_sample_is_lost_among_known_ones(
    status: int, samples: list[tuple[str, int]], newest: dict[str, int], *, is_partial: bool
) -> None:
    """The receiver gets each new sample, in order; the others are counted as known."""
    ordered = sorted(set(samples), key=lambda each: each[1])
    receiver = Prometheus(newest, status, is_partial=is_partial)
    result, waits = drive(batch(*ordered, came=LATER), receiver)
    wanted = [each for each in ordered if each[1] > newest.get(each[0], -1)]
    assert sorted(receiver.taken) == sorted(wanted)
    assert result.given_up == 0
    if not is_partial:  # what was stored with a rejection is rejected when it is repeated
        assert result.rejected_known == len(ordered) - len(wanted)
    assert len(waits) <= 1 + MOST_REQUESTS


def test_known_timestamp_needs_few_requests() -> None:
    """Of 500 known series, 64 are probed; those of the next timestamp are sent together."""
    names = [f"m{number}" for number in range(500)]
    receiver = Prometheus(dict.fromkeys(names, 7))
    held = batch(*((name, at) for at in (7, 8) for name in names), came=LATER)
    result, waits = drive(held, receiver)
    assert (len(receiver.taken), result.rejected_known, len(waits)) == (500, 500, 1 + 2 + 64)


def test_alternating_new_series_are_found() -> None:
    """If every second of 60 series is new, all new ones are stored; halves would all be refused."""
    names = [f"m{number}" for number in range(60)]
    receiver = Prometheus(dict.fromkeys(names[::2], 7))
    result, _ = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
    assert (len(receiver.taken), result.rejected_known, result.given_up) == (30, 30, 0)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_few_new_series_among_many_are_found(share: float) -> None:
    """New series among many known ones are found, with a bounded number of requests.

    Some shards of the old leader's Prometheus had sent their series, others had not.
    """
    for seed in range(3):
        names = [f"m{number}" for number in range(500)]
        known = random.Random(seed).sample(names, round(500 * (1 - share)))
        receiver = Prometheus(dict.fromkeys(known, 7))
        result, waits = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
        assert len(receiver.taken) == 500 - len(known)
        assert (result.rejected_known, result.given_up) == (len(known), 0)
        assert len(waits) < 1.5 * 500


def test_request_limit_suffices_for_the_largest_default_batch() -> None:
    """If half of 2,000 series are new, none of them is given up."""
    names = [f"m{number}" for number in range(2000)]
    known = random.Random(1).sample(names, 1000)
    receiver = Prometheus(dict.fromkeys(known, 7))
    result, _ = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
    assert (len(receiver.taken), result.rejected_known, result.given_up) == (1000, 1000, 0)


@pytest.mark.parametrize("count", [1, 5, 250])
def test_run_of_new_series_needs_few_requests(count: int) -> None:
    """A run of new series that has a probe is found without a request for each of 2,000."""
    names = [f"m{number}" for number in range(2000)]
    first = probes(range(2000), 64, 0)[30]
    new = names[first : first + count]
    receiver = Prometheus(dict.fromkeys({*names} - {*new}, 7))
    result, waits = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
    assert (len(receiver.taken), result.rejected_known) == (count, 2000 - count)
    assert len(waits) < 200


def test_two_new_series_do_not_make_all_be_sent() -> None:
    """If two probes of the first round are new, the second round shows that few are."""
    names = [f"m{number}" for number in range(2000)]
    found = probes(range(2000), 64, 0)
    receiver = Prometheus(dict.fromkeys({*names} - {names[found[20]], names[found[40]]}, 7))
    _, waits = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
    assert len(receiver.taken) == 2
    assert len(waits) < 250


@pytest.mark.parametrize("sent", [30, 65, 300])
@pytest.mark.parametrize("is_cut", [True, False])
def test_repeated_batch_is_not_taken_as_known(sent: int, *, is_cut: bool) -> None:
    """If an interrupted batch is sent again, its first probes are known, but others are probed."""
    names = [f"m{number}" for number in range(500)]
    known = names[:200] if is_cut else random.Random(1).sample(names, 200)
    receiver = Prometheus(dict.fromkeys(known, 7))
    held = batch(*((name, 7) for name in names), came=LATER)
    interrupted = replay(held, None, 5.0, 1)
    request = next(interrupted)
    with suppress(StopIteration):
        for _ in range(sent):
            request = interrupted.send(receiver(request.body))
    drive(held, receiver, attempt=2)
    assert len(receiver.taken) == 300


@pytest.mark.parametrize("known", [1, 6, 200, 350, 355])
def test_scrape_that_was_cut_needs_few_requests(known: int) -> None:
    """If the receiver has the first series of a scrape, the known run takes few requests."""
    names = [f"m{number}" for number in range(356)]
    receiver = Prometheus(dict.fromkeys(names[:known], 7))
    result, waits = drive(batch(*((name, 7) for name in names), came=LATER), receiver)
    assert (len(receiver.taken), result.rejected_known) == (356 - known, known)
    assert len(waits) < 110


def test_number_of_requests_is_bounded() -> None:
    """Beyond the limit, samples are given up and counted, and later timestamps are still sent."""
    names = [f"m{number}" for number in range(6000)]
    receiver = Prometheus(dict.fromkeys(names[::2], 300))
    samples = [(name, at) for at in (1, 2, 301) for name in names]
    result, waits = drive(batch(*samples, came=LATER), receiver)
    assert len(waits) == 1 + MOST_REQUESTS
    taken = len(receiver.taken)
    assert result.given_up > 0
    assert taken + result.rejected_known + result.given_up == len(samples)
    assert {at for _, at in receiver.taken} >= {301}
    assert len([at for _, at in receiver.taken if at == 301]) == 6000


def test_many_timestamps_are_sent_together() -> None:
    """Of more than 128 timestamps, several share a request; only rejected requests are split."""
    receiver = Prometheus({"m": 3})
    result, waits = drive(batch(*(("m", at) for at in range(300)), came=LATER), receiver)
    assert [at for _, at in receiver.taken] == list(range(4, 300))
    assert (result.rejected_known, result.given_up) == (4, 0)
    assert len(waits) <= 1 + 100 + 2 * 3
    behind = Prometheus({"m": 299})
    result, waits = drive(batch(*(("m", at) for at in range(300)), came=LATER), behind)
    assert result.rejected_known + result.given_up == 300
    assert len(waits) <= 1 + MOST_REQUESTS


def test_series_with_many_samples_is_split_by_time() -> None:
    """If one series has many samples, it is split by time, and the new samples are sent."""
    request = new(V1)
    series = request.timeseries.add()
    series.labels.add(name="__name__", value="m")
    for at in range(200):
        series.samples.add(value=1.5, timestamp=at)
    receiver = Prometheus({"m": 2})
    result, _ = drive(replace(batch(came=LATER), body=pack(request)), receiver)
    assert receiver.taken == [("m", at) for at in range(3, 200)]
    assert (result.rejected_known, result.given_up) == (3, 0)


@pytest.mark.parametrize("newest", [100, 299])
def test_requests_for_many_timestamps_are_limited(
    newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many timestamps, each is sent, rejected or given up within the limit of requests."""
    most = 150
    monkeypatch.setattr("wrapper.gate.replay.MOST_REQUESTS", most)
    receiver = Prometheus({"m": newest})
    result, waits = drive(batch(*(("m", at) for at in range(300)), came=LATER), receiver)
    assert len(waits) <= 1 + most
    assert result.given_up > 0
    assert len(receiver.taken) + result.rejected_known + result.given_up == 300
    assert {at for _, at in receiver.taken} >= set(range(newest + 4, 300))


def test_other_rejections_of_pieces_are_given_up() -> None:
    """A piece that is rejected for another reason is not split; later pieces are sent."""
    statuses = iter([400, 413, 204])
    result, waits = drive(
        batch(("a", 1), ("b", 1), ("a", 2), came=LATER), lambda _: Answer(next(statuses))
    )
    assert (result.given_up, result.rejected_known, len(waits)) == (2, 0, 3)


@pytest.mark.parametrize(
    ("answer", "unconfirmed", "known"),
    [
        (Answer(204, written=Counts(samples=3)), 0, 0),
        (Answer(204, written=Counts(samples=1, histograms=1)), 1, 0),
        (Answer(204), 3, 0),
        (Answer(400, written=Counts(samples=1)), 0, 2),
    ],
)
def test_counts_of_protocol_2_are_compared(answer: Answer, unconfirmed: int, known: int) -> None:
    """If the receiver reports fewer samples, the rest is unconfirmed, or known after a 400."""
    held = batch(("a", 1), ("b", 1), ("c", 1), came=LATER, protocol=V2)
    receiver, got = answers(answer)
    result, _ = drive(held, receiver)
    assert (result.unconfirmed, result.rejected_known, len(got)) == (unconfirmed, known, 1)


@pytest.mark.parametrize("is_partial", [False, True])
def test_report_of_nothing_written_may_be_wrong(is_partial: bool) -> None:
    """A rejection that reports nothing written is split, whether a part was stored or not.

    Cortex reports so, but stores the good samples; other receivers store none.
    """
    receiver = Prometheus({"a": 7}, is_partial=is_partial, protocol=V2)
    held = batch(("a", 7), ("b", 7), ("a", 8), ("b", 8), came=LATER, protocol=V2)
    result, _ = drive(held, receiver)
    assert sorted(receiver.taken) == [("a", 8), ("b", 7), ("b", 8)]
    assert (result.unconfirmed, result.given_up) == (0, 0)


def test_rejected_metadata_ends() -> None:
    """A rejected request without samples is not split for ever."""
    request = new(V1)
    request.metadata.add(family="m")
    held = replace(batch(came=1), body=pack(request))
    result, waits = drive(held, lambda _: Answer(400, problem="no"))
    assert (result.rejected_known, result.given_up, result.problem) == (0, 0, "no")
    assert len(waits) < 4


def test_statuses_have_the_meaning_of_prometheus() -> None:
    """5xx and no answer are retried, 429 too; 2xx is acknowledged; all others are rejections."""
    statuses = (None, 200, 204, 300, 302, 400, 429, 500, 503)
    assert [outcome(status).name for status in statuses] == [
        *("UNANSWERED", "ACKED", "ACKED", "REJECTED", "REJECTED", "REJECTED"),
        *("RETRY", "RETRY", "RETRY"),
    ]
