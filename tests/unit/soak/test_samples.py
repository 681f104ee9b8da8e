"""The soak finds samples that are lost, repeated or out of order, unless a crash explains them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.real.scraped import Scrape
from tests.soak.check_samples import Numbered, again, count_again, lost, unmarked_s
from tests.soak.facts import Away, Fault, Taken, Violation

# Each replica scrapes once a second: a at .0, b at .4; a has the odd numbers.
SCRAPES = {
    by: [Scrape(2 * n + offset, by, 1000 * n + at) for n in range(1, 40)]
    for by, offset, at in (("a", 1, 5), ("b", 2, 405))
}


def sample(by: str, n: int) -> Numbered:
    """Return the sample of a replica's scrape in second n, which arrived a second later."""
    scrape = SCRAPES[by][n - 1]
    return Numbered(scrape.at_ms - 3, scrape.at_ms / 1000 + 1.0, scrape)


def found(
    *samples: Numbered, failed_ms: Sequence[int] = (), aways: Sequence[Away] = ()
) -> list[str]:
    """Return the lost samples; second 0 since boot is 1970."""
    violations = lost("g", samples, SCRAPES, failed_ms=failed_ms, aways=aways, wall_s=0.0)
    return [each.text for each in violations]


def run(by: str, first: int, last: int) -> list[Numbered]:
    """Return the samples of a replica in these seconds."""
    return [sample(by, n) for n in range(first, last + 1)]


def test_samples_of_one_replica_are_complete() -> None:
    """Consecutive samples have no gap, in any order."""
    assert found(*reversed(run("a", 1, 9))) == []


def test_gap_of_one_replica_is_found() -> None:
    """Each missing scrape of the leader is reported."""
    assert found(*run("a", 1, 3), *run("a", 5, 9)) == [
        "1 scrapes of a (numbers 9) are lost between 7 of a at 3002 ms and 11 of a at 5002 ms"
    ]


def test_hand_over_without_a_gap() -> None:
    """After a hand-over, the next replica's first sample may be one scrape later."""
    assert found(*run("a", 1, 3), *run("b", 3, 9)) == []
    assert found(*run("a", 1, 3), *run("b", 4, 9)) == []


def test_gap_at_a_hand_over_is_found() -> None:
    """Two scrapes that neither replica sent are lost."""
    [text] = found(*run("a", 1, 3), *run("b", 5, 9))
    assert text.startswith("2 scrapes of b (numbers 8, 10) are lost")


def test_failed_scrape_is_not_lost() -> None:
    """A scrape that failed, as ``up`` shows, is not lost."""
    samples = [*run("a", 1, 3), *run("a", 5, 9)]
    assert found(*samples, failed_ms=[4100]) == []
    assert found(*samples, failed_ms=[9100]) != []


@pytest.mark.parametrize(
    ("away", "is_excused"),
    [
        (Away("a", 4.5, 9.0), True),  # exited with the samples it held
        (Away("a", 3.0, 4.5), True),  # scraped during its start
        (Away("b", 4.5, 9.0), False),  # another replica
        (Away("a", 1.0, 2.0), False),  # before
        (Away("a", 7.0, 9.0), False),  # after all samples had arrived
    ],
)
def test_samples_that_die_with_a_replica_are_not_lost(away: Away, *, is_excused: bool) -> None:
    """What a replica held at its exit, or scraped during its start, is not lost."""
    assert (found(*run("a", 1, 3), *run("a", 5, 9), aways=[away]) == []) == is_excused


def taken(*times: tuple[int, float]) -> list[Taken]:
    """Return samples of one series: their own times, and the times at which they arrived."""
    return [Taken("s", ms, 1.0, "a", at) for ms, at in times]


def crash(since: float, until: float) -> Fault:
    """Return a fault that may repeat samples."""
    return Fault(1, "g", "kill", ("a",), since, 0.0, is_crash=True, until=until)


def repeated(samples: Sequence[Taken], *crashes: Fault) -> list[Violation]:
    """Return the repeated samples that no fault explains."""
    return list(again("g", samples, crashes, [(0.0, 200.0)], span_s=3.0))


def test_samples_in_order_are_accepted() -> None:
    """Samples with increasing times are accepted, also of two series."""
    samples = taken((1000, 2.0), (2000, 3.0))
    assert repeated([*samples, *(each._replace(series="t") for each in samples)]) == []


@pytest.mark.parametrize("ms", [2000, 1500])
def test_repeated_sample_without_a_crash_is_found(ms: int) -> None:
    """A repeated or older time is found, unless a crash precedes it."""
    samples = taken((1000, 2.0), (2000, 3.0), (ms, 4.0))
    [violation] = repeated(samples)
    assert violation.text.endswith("no crash explains it")
    assert repeated(samples, crash(3.5, 3.6)) == []
    assert repeated(samples, crash(4.5, 4.6)) != []
    assert count_again(samples) == 1


def test_crash_does_not_explain_old_samples() -> None:
    """A repeated sample that is older than any mark may be is found despite a crash."""
    samples = taken((1000, 2.0), (5000, 6.0), (1000, 7.0))
    [violation] = repeated(samples, crash(6.5, 6.6))
    assert violation.text.endswith("the mark's are 3.0 s")


def test_crash_long_ago_explains_nothing() -> None:
    """Samples that are repeated long after a crash are found."""
    assert repeated(taken((1000, 100.0), (1000, 101.0)), crash(6.5, 6.6)) != []


def test_marks_that_do_not_move_allow_more_repetitions() -> None:
    """While no mark moves, more samples may be repeated, but not those from long before."""
    samples = taken((1000, 2.0), (5000, 6.0), (1000, 7.0))
    died = crash(6.5, 6.6)
    assert list(again("g", samples, [died], [(0.0, 5.0)], span_s=3.0)) == []
    assert list(again("g", samples, [died], [(0.0, 6.5)], span_s=3.0)) != []
    assert unmarked_s(7.0, [(0.0, 5.0), (8.0, 9.0)]) == 2.0
    assert unmarked_s(8.5, [(0.0, 5.0), (8.0, 9.0)]) == 0.0
