"""The proxy's counters are the sum over all workers, also over those that have ended."""

from __future__ import annotations

import pytest

from wrapper.proxy.proxy_counters import DURATION_BUCKETS, CountedRequest, ProxyCounters, Totals


def work(counters: ProxyCounters, slot: int, requests: int) -> None:
    """Count requests as the worker of a slot does."""
    counters.use(slot)
    for _ in range(requests):
        counters.begin()
        counters.end(200, b"GET", "local", 0.25, 10, 100)


def test_workers_add_up() -> None:
    """The totals are the sums of all workers."""
    counters = ProxyCounters(slots=3)
    work(counters, counters.reserve(), 3)
    work(counters, counters.reserve(), 4)
    buckets = tuple(7 if bound == 0.25 else 0 for bound in (*DURATION_BUCKETS, None))
    requests = {CountedRequest(200, "GET", "local"): 7}
    assert counters.totals() == Totals(0, 70, 700, 1.75, buckets, requests)


def test_a_dead_workers_requests_are_not_in_flight() -> None:
    """When a worker dies, its counts stay, and its requests are no longer in flight.

    Its successor uses the same slot.
    """
    counters = ProxyCounters(slots=2)
    slot = counters.reserve()
    work(counters, slot, 2)
    counters.begin()
    assert counters.totals().in_flight == 1
    counters.give_up(slot)
    assert counters.totals().in_flight == 0
    assert counters.reserve() == slot
    work(counters, slot, 5)
    assert counters.totals().requests == {CountedRequest(200, "GET", "local"): 7}


def test_each_worker_has_a_slot_of_its_own() -> None:
    """Each worker gets a free slot; if there are more workers, they share the last one."""
    counters = ProxyCounters(slots=3)
    assert [counters.reserve() for _ in range(4)] == [0, 1, 2, 2]
    counters.give_up(1)
    counters.give_up(2)
    assert [counters.reserve() for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("code", [100, 200, 499, 503, 599])
@pytest.mark.parametrize("target", ["local", "remote", "none"])
@pytest.mark.parametrize(
    ("method", "label"), [(b"PATCH", "PATCH"), (b"GET", "GET"), (b"X", "other")]
)
def test_every_combination_of_labels_is_counted(
    code: int, target: str, method: bytes, label: str
) -> None:
    """Each combination of code, method and target is counted under its labels."""
    counters = ProxyCounters()
    counters.begin()
    counters.end(code, method, target)
    assert counters.totals().requests == {CountedRequest(code, label, target): 1}


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, 14), (61.0, 15), (-1.0, 0)]
)
def test_durations_fall_into_buckets(seconds: float, bucket: int) -> None:
    """A duration is counted in the first bucket whose bound is not less, or in the last one."""
    counters = ProxyCounters()
    counters.begin()
    counters.end(200, b"GET", "local", seconds)
    assert [index for index, count in enumerate(counters.totals().buckets) if count] == [bucket]
