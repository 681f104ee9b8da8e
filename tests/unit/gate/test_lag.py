"""The age of late samples that a hand-over waits for."""

from __future__ import annotations

import pytest

from wrapper.gate.lag import MOST_S, SEEN_S, Lag

USUAL_S = 6.0


def longest(*seen: tuple[float, float], now: float) -> float:
    """Return the age that counts after these observations: (time, age)."""
    found = Lag()
    for at, age_s in seen:
        found.saw(at, age_s, USUAL_S)
    return found.longest_age_s(now, USUAL_S)


def test_age_counts_when_it_is_observed_again() -> None:
    """An age counts when it is observed again later.

    A slow scrape is slow each time; a machine that pauses makes many requests late once.
    """
    assert longest(now=0) == USUAL_S
    assert longest((10, 9), now=10) == USUAL_S
    assert longest((10, 9), (10.1, 8), (15.9, 9), now=16) == USUAL_S
    assert longest((10, 8), (10.1, 9), (16, 9), now=16) == 9
    assert longest((10, 9), (25, 8), (40, 7), now=40) == 8


@pytest.mark.parametrize(("age_s", "wanted"), [(6, 6), (6.1, 6.1), (11, 11), (11.1, 6), (3600, 6)])
def test_only_ages_within_the_limit_count(age_s: float, wanted: float) -> None:
    """An age within the usual wait in a shard, or beyond the limit, does not count.

    A target may always set the same timestamp.
    """
    assert MOST_S == 5
    assert longest((10, age_s), (25, age_s), now=25) == wanted


def test_age_expires() -> None:
    """An age counts for two scrapes of a minute, and not longer."""
    seen = ((10, 9), (70, 8))
    assert longest(*seen, now=10 + SEEN_S - 1) == 8
    assert longest(*seen, now=10 + SEEN_S) == USUAL_S


def test_number_of_stored_ages_is_limited() -> None:
    """If Prometheus always lags, at most 100 ages are stored, and the lag is still known."""
    lag = Lag()
    for at in range(0, 10_000, 6):
        lag.saw(at, 9, USUAL_S)
    assert len(lag._seen) == 100
    assert lag.longest_age_s(10_000, USUAL_S) == 9
