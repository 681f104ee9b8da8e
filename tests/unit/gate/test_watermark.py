"""The mark is always before every sample that is not acknowledged."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from wrapper.gate.samples import Span
from wrapper.gate.watermark import FORGET_S, QUIET_S, TrackedRequest, Watermark
from wrapper.model.gate import Endpoint

ENDPOINT = Endpoint("a", "http://h/", batch_deadline_s=5.0, max_backoff_s=5.0)
WALL = 1_000_000_000  # ms at 0 s since boot


def ms(at: float) -> int:
    """Return the wall time in ms at a time in s since boot."""
    return WALL + round(at * 1000)


def passing(at: float = 0.0, base: int | None = ms(-100)) -> Watermark:
    """Return the watermark of a gate that has passed on requests since ``at``."""
    found = Watermark(ENDPOINT)
    if base is not None:
        found.raise_to(base)
    found.start(at)
    return found


def acked(mark: Watermark, at: float, earliest: float, body: bytes = b"x") -> TrackedRequest:
    """Pass on a request that is acknowledged at once; its samples begin at ``earliest``."""
    request = mark.arrived(body, at, ms(at))
    mark.decoded(request, Span(ms(earliest), ms(at)))
    mark.completed(request, at)
    return request


def test_mark_moves_after_a_settling_time() -> None:
    """The mark moves six seconds after the start.

    That is the longest wait in a shard, or the longest pause of a retry, and a second.
    """
    mark = passing(10.0)
    for at in range(10, 30):
        acked(mark, at, at - 2)
        moved = mark.advance(at) != ms(-100)
        assert moved == (at >= 16)
    slow = Watermark(Endpoint("a", "", batch_deadline_s=1.0, max_backoff_s=30.0))
    assert (slow.window_s, slow.settle_s) == (2.0, 31.0)


def test_mark_is_before_what_was_acknowledged_in_the_window() -> None:
    """The mark is 1 ms before the earliest sample of the last six seconds, and never goes back."""
    mark = passing()
    for at in range(20):
        acked(mark, at, at - 3)
    assert mark.advance(19.0) == ms(10) - 1  # acknowledged at 13
    acked(mark, 20, 1.0)
    assert mark.advance(20.0) == ms(10) - 1


def test_mark_is_not_beyond_the_wait_in_a_shard() -> None:
    """Fresh samples of a full shard do not move the mark past the wait in another shard."""
    mark = passing()
    acked(mark, 0, 0)
    acked(mark, 30, 30 - 0.1)
    assert mark.advance(30.0) == ms(24) - 1


def test_mark_stays_without_requests() -> None:
    """Without requests the mark stays.

    What Prometheus had not sent when it was killed is in no request.
    """
    mark = passing()
    acked(mark, 30, 30)
    assert mark.advance(30.0) == mark.advance(500.0) == ms(24) - 1


def test_mark_waits_for_requests_in_flight() -> None:
    """The mark stays before a request in flight, however long it takes."""
    mark = passing()
    slow = mark.arrived(b"slow", 7, ms(7))
    mark.decoded(slow, Span(ms(6), ms(7)))
    for at in range(8, 60):
        acked(mark, at, at)
        assert (mark.advance(at) or 0) < ms(6)
    assert mark.in_flight == 1
    mark.completed(slow, 60)
    acked(mark, 66.5, 66.5)
    assert mark.advance(66.5) == ms(60.5) - 1


def test_mark_waits_for_a_failed_request() -> None:
    """The mark waits until a failed request, known by its hash, is repeated and acknowledged."""
    mark = passing()
    first = mark.arrived(b"failing", 7, ms(7))
    mark.decoded(first, Span(ms(6), ms(7)))
    mark.failed(first, b"failing", 8, 0.0)
    for at in range(8, 40):
        acked(mark, at, at)
        assert (mark.advance(at) or 0) < ms(6)
    assert mark.is_awaiting(40)
    again = mark.arrived(b"failing", 40, ms(40))
    assert not mark.is_awaiting(40)
    assert (again.is_decoded, again.floor) == (True, ms(6) - 1)
    assert (mark.advance(40) or 0) < ms(6)
    mark.completed(again, 41)
    acked(mark, 48, 48)
    assert mark.advance(48) == ms(42) - 1


def test_request_that_is_never_repeated_is_forgotten() -> None:
    """A failed request is forgotten a minute and twice the longest pause after Retry-After.

    A Prometheus that was killed does not send it again.
    """
    mark = passing()
    first = mark.arrived(b"failing", 7, ms(7))
    mark.decoded(first, Span(ms(6), ms(7)))
    mark.failed(first, b"failing", 8, 20.0)
    until = 8 + 20 + 2 * 5 + FORGET_S
    for at in range(8, 200):
        acked(mark, at, at)
        assert ((mark.advance(at) or 0) >= ms(6)) == (at >= until)


def test_mark_waits_for_a_refused_request() -> None:
    """The mark waits for a request refused before the start: its samples are older than others."""
    mark = Watermark(ENDPOINT)
    mark.raise_to(ms(2))
    mark.refused(b"early", 3, ms(3))
    mark.start(10.0)
    for at in range(10, 30):
        acked(mark, at, at)
        assert mark.advance(at) == ms(2)
    mark.refused(b"other", 29, ms(29))
    mark.arrived_again(b"other")
    again = mark.arrived(b"early", 30, ms(30))
    mark.decoded(again, Span(ms(2.5), ms(2.6)))
    mark.completed(again, 30)
    acked(mark, 36.5, 36.5)
    assert mark.advance(36.5) == ms(30.5) - 1


def test_undecoded_request_holds_the_mark() -> None:
    """While a request is not decoded, in flight or acknowledged, the mark stays."""
    mark = passing()
    for at in range(8):
        acked(mark, at, at)
    before = mark.advance(7.0)
    unknown = mark.arrived(b"?", 8, ms(8))
    for at in range(8, 30):
        acked(mark, at, at)
        assert mark.advance(at) == before
    mark.completed(unknown, 30)
    assert mark.advance(36.0) == before
    acked(mark, 36.1, 36.1)
    assert mark.advance(36.1) == ms(30.1) - 1
    empty = mark.arrived(b"metadata", 37, ms(37))
    mark.decoded(empty, None)
    acked(mark, 37, 37)
    assert mark.advance(37.0) == ms(31) - 1


def test_first_request_bounds_the_mark_although_decoded_late() -> None:
    """The first request bounds the mark, also if it is decoded after its acknowledgement."""
    mark = passing()
    first = mark.arrived(b"first", 10, ms(10))
    mark.completed(first, 10.1)
    mark.advance(10.2)
    mark.decoded(first, Span(ms(1), ms(2)))
    assert mark.advance(10.3) == ms(1) - 1


def test_metadata_does_not_move_the_mark() -> None:
    """Metadata does not move the mark.

    After a reload it may be sent a minute before the first sample, which is of the time since the
    reload.
    """
    mark = passing()
    for at in range(10):
        acked(mark, at, at)
    before = mark.advance(9.0)
    for at in (60, 120):
        mark.decoded(metadata := mark.arrived(b"metadata", at, ms(at)), None)
        mark.completed(metadata, at)
        assert mark.advance(at) == before
    acked(mark, 130, 10)
    assert mark.advance(130) == ms(10) - 1


@pytest.mark.parametrize("had_samples", [True, False])
def test_metadata_moves_the_mark_of_an_endpoint_without_samples(had_samples: bool) -> None:
    """After a quiet time, metadata moves the mark, so that standbys do not hold it for ever.

    All samples of an endpoint may be dropped by relabeling.
    """
    mark = passing()
    if had_samples:
        acked(mark, 0, 0)
    for at in range(60, 1000, 60):
        mark.decoded(mark.arrived(b"metadata", at, ms(at)), None)
        mark.advance(at)
        assert ((mark.mark or 0) > ms(0)) == (at > QUIET_S)


def test_request_that_failed_and_was_refused_bounds_the_mark() -> None:
    """If the gate refuses a request that had failed, its samples and first arrival stay known."""
    mark = passing()
    first = mark.arrived(b"failing", 7, ms(7))
    mark.decoded(first, Span(ms(6), ms(7)))
    mark.failed(first, b"failing", 8, 0.0)
    mark.refused(b"failing", 9, ms(9))
    for at in range(9, 40):
        acked(mark, at, at)
        assert (mark.advance(at) or 0) < ms(6)
    again = mark.arrived(b"failing", 40, ms(40))
    assert (again.first_came, again.is_decoded, again.floor) == (7, True, ms(6) - 1)


def test_metadata_counts_only_long_after_the_last_samples() -> None:
    """If samples arrived within the quiet time, metadata does not move the mark."""
    mark = passing()
    acked(mark, QUIET_S - 10, QUIET_S - 10)
    before = mark.advance(QUIET_S - 10)
    mark.decoded(mark.arrived(b"metadata", QUIET_S + 60, ms(QUIET_S + 60)), None)
    assert mark.advance(QUIET_S + 60) == before


def test_only_a_request_that_was_cut_off_is_awaited() -> None:
    """If a body was cut off, the request is awaited again; if it was read whole, it is not."""
    mark = passing()
    for is_complete in (True, False):
        mark.end_reading(mark.begin_reading(7, ms(7)), 8, is_complete=is_complete)
        assert mark.is_awaiting(8) is not is_complete


def test_mark_stays_behind_a_prometheus_that_lagged() -> None:
    """If a Prometheus that lags stops sending, the mark stays before what it had not yet sent."""
    mark = passing()
    for at in range(40):
        acked(mark, at, at - 30)
    before = mark.advance(39.0)
    assert before == ms(3) - 1
    assert mark.advance(39.0 + 2 * QUIET_S) == before


def test_requests_that_ended_long_ago_are_forgotten() -> None:
    """If only undecodable requests arrive, ended ones are forgotten, and the mark stays."""
    mark = passing()
    for at in range(40):
        acked(mark, at, at)
    before = mark.advance(39.0)
    for at in range(40, 2000):
        mark.completed(mark.arrived(b"what is this", at, ms(at)), at)
        assert mark.advance(at) == before
    assert len(mark._ended) == pytest.approx(QUIET_S, abs=10)


def test_mark_has_a_limit_and_stays_while_stopped() -> None:
    """The mark does not pass its limit, and does not move while no requests are passed on."""
    mark = passing()
    for at in range(20):
        acked(mark, at, at)
    assert mark.advance(19.0, most=ms(5)) == ms(5)
    mark.stop()
    assert not mark.has_started
    assert mark.advance(19.0) == ms(5)
    mark.start(19.0)
    acked(mark, 20.0, 20.0)
    assert mark.advance(20.0) == ms(5)
    mark.raise_to(ms(6))
    mark.raise_to(ms(1))
    assert mark.mark == ms(6)


def test_delay_of_the_receiver() -> None:
    """The delay is that of the oldest unacknowledged sample, else that of the last request."""
    mark = passing()
    assert mark.behind_s(ms(0)) is None
    request = mark.arrived(b"x", 1, ms(1))
    mark.decoded(request, Span(ms(-3), ms(0)))
    assert mark.behind_s(ms(5)) == pytest.approx(8, abs=0.01)
    mark.failed(request, b"x", 5, 0)
    assert mark.behind_s(ms(6)) == pytest.approx(9, abs=0.01)
    mark.completed(mark.arrived(b"x", 7, ms(7)), 8)
    assert mark.behind_s(ms(9)) == pytest.approx(1, abs=0.01)


@dataclass
class Shard:
    """A shard of Prometheus, which sends in order, one request at a time."""

    queue: list[tuple[float, float]] = field(default_factory=list)  # (queued, time of the sample)
    sent: list[tuple[float, float]] = field(default_factory=list)
    request: TrackedRequest | None = None
    body: bytes = b""
    until: float = 0.0
    outcome: bool = True


@pytest.mark.parametrize("seed", range(60))
def test_mark_is_before_every_unacknowledged_sample(seed: int) -> None:
    """With random shards, lag, failures, retries and a crash, the mark passes no missing sample."""
    mark = Watermark(ENDPOINT)
    mark.start(0.0)
    shards = [Shard() for _ in range(3)]
    choose = random.Random(seed)
    size = choose.choice([2, 5, 50])
    lag = choose.choice([0.0, 0.5, 30.0, 300.0])
    dies_at = choose.choice([20.0, 40.0, 99.0])
    every = [choose.choice([0.3, 1.0, 4.0, 15.0, 40.0]) for _ in shards]
    scraped: set[float] = set()
    delivered: set[float] = set()
    for step in range(600):
        now = step / 10
        for number, shard in enumerate(shards):
            if now < dies_at:
                if (step + number) % round(every[number] * 10) == 0:
                    at = now - lag + number / 1000
                    shard.queue.append((now, at))
                    scraped.add(at)
                _send(mark, shard, now, size, choose.choice([0.0, 0.3, 2.0, 9.0]))
            _answer(mark, shard, now, delivered, is_ok=choose.random() < 0.7)
        found = mark.advance(now)
        missing = scraped - delivered
        if found is not None and missing and now < dies_at + FORGET_S:
            assert found < ms(min(missing)), (now, min(missing))


def _send(mark: Watermark, shard: Shard, now: float, size: int, takes: float) -> None:
    if shard.request:
        return
    if not shard.sent:
        due = shard.queue and now - shard.queue[0][0] >= ENDPOINT.batch_deadline_s
        if len(shard.queue) < size and not due:
            return
        shard.sent, shard.queue = shard.queue[:size], shard.queue[size:]
        shard.body = repr(shard.sent).encode()
    elif now < shard.until:
        return
    shard.request = mark.arrived(shard.body, now, ms(now))
    times = [ms(at) for _, at in shard.sent]
    if not shard.request.is_decoded and takes < 5:
        mark.decoded(shard.request, Span(min(times), max(times)))
    shard.until = now + takes


def _answer(
    mark: Watermark, shard: Shard, now: float, delivered: set[float], *, is_ok: bool
) -> None:
    if not shard.request or now < shard.until:
        return
    if is_ok:
        mark.completed(shard.request, now)
        delivered.update(at for _, at in shard.sent)
        shard.sent = []
    else:
        mark.failed(shard.request, shard.body, now, 0.0)
        shard.until = now + 1.0
    shard.request = None
