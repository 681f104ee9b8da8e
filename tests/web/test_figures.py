"""The proxy's figures add up over workers, those that have ended included."""

from __future__ import annotations

import pytest

from wrapper.proxy.proxy_counters import DURATION_BUCKETS, CountedRequest, ProxyCounters, Totals


def work(figures: ProxyCounters, slot: int, requests: int) -> None:
    """Count as the worker of a slot does."""
    figures.use(slot)
    for _ in range(requests):
        figures.begin()
        figures.end(200, b"GET", "local", 0.25, 10, 100)


def test_workers_add_up() -> None:
    """Whoever is asked knows what each has counted."""
    figures = ProxyCounters(slots=3)
    work(figures, figures.reserve(), 3)
    work(figures, figures.reserve(), 4)
    buckets = tuple(7 if bound == 0.25 else 0 for bound in (*DURATION_BUCKETS, None))
    requests = {CountedRequest(200, "GET", "local"): 7}
    assert figures.totals() == Totals(0, 70, 700, 1.75, buckets, requests)


def test_a_dead_workers_requests_are_not_in_flight() -> None:
    """What it has counted stays, and its successor goes on in its slot."""
    figures = ProxyCounters(slots=2)
    slot = figures.reserve()
    work(figures, slot, 2)
    figures.begin()
    assert figures.totals().in_flight == 1
    figures.give_up(slot)
    assert figures.totals().in_flight == 0
    assert figures.reserve() == slot
    work(figures, slot, 5)
    assert figures.totals().requests == {CountedRequest(200, "GET", "local"): 7}


def test_each_worker_has_a_slot_of_its_own() -> None:
    """A slot given up is free again; when there are more workers than slots, the last is shared."""
    figures = ProxyCounters(slots=3)
    assert [figures.reserve() for _ in range(4)] == [0, 1, 2, 2]
    figures.give_up(1)
    figures.give_up(2)
    assert [figures.reserve() for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("code", [100, 200, 499, 503, 599])
@pytest.mark.parametrize("target", ["local", "remote", "none"])
@pytest.mark.parametrize(
    ("method", "label"), [(b"PATCH", "PATCH"), (b"GET", "GET"), (b"X", "other")]
)
def test_every_label_has_its_place(code: int, target: str, method: bytes, label: str) -> None:
    """Code, method and target come back as they were counted."""
    figures = ProxyCounters()
    figures.begin()
    figures.end(code, method, target)
    assert figures.totals().requests == {CountedRequest(code, label, target): 1}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, 14), (61.0, 15), (-1.0, 0)]
)
def test_durations_fall_into_buckets(seconds: float, bucket: int) -> None:
    """A bucket's bound belongs to it; what is longer than all bounds is counted too."""
    figures = ProxyCounters()
    figures.begin()
    figures.end(200, b"GET", "local", seconds)
    assert [index for index, count in enumerate(figures.totals().buckets) if count] == [bucket]
