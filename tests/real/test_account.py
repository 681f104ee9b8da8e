"""The account finds gaps, lost samples and duplicates at a receiver."""

from __future__ import annotations

from tests.real.account import Account, account
from tests.real.scraped import Scrape

# a scrapes at 1000, 2000, …, b half a second later; each has twelve scrapes.
SCRAPES = [
    Scrape(2 * n - (by == "a"), by, 1000 * n + 500 * (by == "b"))
    for n in range(1, 13)
    for by in "ab"
]


def account_with(*numbers: int, up: tuple[int, ...] = ()) -> Account:
    """Return the account of a receiver that has the samples of these scrapes."""
    stamps = {scrape.number: scrape.at_ms for scrape in SCRAPES}
    samples = [(stamps[number], float(number)) for number in numbers]
    return account({"n": samples, "up": [(at, 1.0) for at in up]}, "n", "up", SCRAPES)


def test_a_hand_over_without_a_loss() -> None:
    """When b's first sample is one of the next two after a's last, none is lost."""
    for first_of_b in (8, 10):
        found = account_with(1, 3, 5, 7, *range(first_of_b, 25, 2))
        assert (found.order, found.lost, found.again, found.twice) == (["a", "b"], 0, 0, 0)
    assert found.hole.seconds == 1.5
    assert found.hole.after_ms == 4000


def test_a_hole_at_a_hand_over() -> None:
    """When b's first two samples after a's last are missing, one counts as lost."""
    found = account_with(1, 3, 5, 7, *range(12, 25, 2))
    assert (found.order, found.lost, found.hole.seconds) == (["a", "b"], 1, 2.5)


def test_a_hole_of_one_replica() -> None:
    """When two samples between others of the same replica are missing, both are lost."""
    found = account_with(1, 3, 9, 11)
    assert (found.order, found.lost, found.hole.seconds) == (["a"], 2, 3.0)


def test_samples_for_a_time_that_is_known() -> None:
    """Two samples of b that are older than a's last sample count as `again`."""
    found = account_with(1, 3, 4, 5, 6, 7, *range(8, 25, 2))
    assert (found.lost, found.again, found.twice) == (0, 2, 0)


def test_a_sample_twice() -> None:
    """Two samples with the same timestamp in any series count as `twice`."""
    found = account_with(1, 3, 5, up=(1000, 2000, 2000, 3000))
    assert (found.twice, found.hole_in_up_s) == (1, 1.0)
    assert account_with(1, 3, 3, 5).twice == 1


def test_the_hole_of_the_worst_series() -> None:
    """The largest gap of all series is reported, with its series."""
    found = account_with(1, 3, 5, up=(1000, 4500))
    assert (found.hole.seconds, found.hole.series) == (3.5, "up")
