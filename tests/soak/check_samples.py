"""With the gate every scraped sample arrives, once and in order; pure.

A sample of the numbered series identifies its scrape, and so its replica. Sorted by their own
times, no scrape may be missing between two neighbours: none of the second one's replica, except one
at a change of the replica, which may be older than the change. Samples that a Prometheus or a gate
held when it was killed or stopped may be lost: this is documented. Samples that the leader sent
after its last mark arrive twice after a crash, never after an ordered hand-over.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.real.account import TRANSIT_MS
from tests.real.scraped import Scrape
from tests.soak.facts import Away, Fault, Taken, Violation

LOST, ORDER = "no sample is lost", "once and in order"
FAILED_MS = 1500  # the largest difference between a failed scrape's `up` and its request
CRASH_S = 45.0  # the time after a fault in which samples may arrive again


@dataclass(frozen=True, slots=True)
class Numbered:
    """A received sample of the numbered series: its scrape, and the time of its arrival."""

    ms: int
    at: float
    scrape: Scrape


def lost(
    group: str,
    taken: Iterable[Numbered],
    scrapes: Mapping[str, Sequence[Scrape]],
    *,
    failed_ms: Sequence[int],
    aways: Sequence[Away],
    wall_s: float,
) -> Iterator[Violation]:
    """Yield the gaps between neighbours; ``scrapes`` are by replica, in order.

    ``failed_ms`` are the times at which `up` was 0, in order; ``wall_s`` is the time of day at
    second 0 since boot.
    """
    ordered = sorted(taken, key=lambda each: each.ms)
    for one, other in itertools.pairwise(ordered):
        missing = [
            each
            for each in between(one, other, scrapes[other.scrape.by])
            if not _has_failed(each, failed_ms) and not _was_away(each, other.at, aways, wall_s)
        ]
        if len(missing) > (one.scrape.by != other.scrape.by):
            numbers = ", ".join(str(each.number) for each in missing)
            yield Violation(
                LOST,
                group,
                other.at,
                f"{len(missing)} scrapes of {other.scrape.by} (numbers {numbers}) are lost between "
                f"{one.scrape.number} of {one.scrape.by} at {one.ms} ms and {other.scrape.number} "
                f"of {other.scrape.by} at {other.ms} ms",
            )


def between(one: Numbered, other: Numbered, scrapes: Sequence[Scrape]) -> list[Scrape]:
    """Return the scrapes of the second's replica that are newer than the first sample."""
    since = bisect_right(scrapes, one.ms + TRANSIT_MS, key=_at_ms)
    until = bisect_left(scrapes, other.scrape.number, key=_number)
    known = one.scrape.number
    return [each for each in scrapes[since:until] if each.number != known]


def again(
    group: str,
    taken: Sequence[Taken],
    crashes: Sequence[Fault],
    marked: Sequence[tuple[float, float]],
    span_s: float,
) -> Iterator[Violation]:
    """Yield each sample that is not newer than its series; ``taken`` is in the order of arrival.

    ``marked`` are the periods in which a leader's mark certainly moved; ``span_s`` is how far it is
    behind then. Samples that were sent after the last of these may arrive again after a crash.
    """
    newest: dict[str, int] = {}
    for each in taken:
        top = newest.setdefault(each.series, each.ms - 1)
        if each.ms > top:
            newest[each.series] = each.ms
            continue
        is_excused = any(c.since <= each.at <= c.until + CRASH_S for c in crashes)
        behind_s = (top - each.ms) / 1000
        allowed_s = span_s + unmarked_s(each.at, marked)
        if not is_excused or behind_s > allowed_s:
            why = f"the mark's are {allowed_s:.1f} s" if is_excused else "no crash explains it"
            yield Violation(
                ORDER,
                group,
                each.at,
                f"{each.series} of {each.replica} at {each.ms} ms came {behind_s:.1f} s behind "
                f"what the receiver had: {why}",
            )


def unmarked_s(at: float, marked: Sequence[tuple[float, float]]) -> float:
    """Return for how long no mark has moved at this time."""
    return at - max((min(until, at) for since, until in marked if since <= at), default=0.0)


def count_again(taken: Sequence[Taken]) -> int:
    """Return how many samples arrived for a time that the receiver already had."""
    newest: dict[str, int] = {}
    count = 0
    for each in taken:
        top = newest.setdefault(each.series, each.ms - 1)
        count += each.ms <= top
        newest[each.series] = max(top, each.ms)
    return count


def _has_failed(scrape: Scrape, failed_ms: Sequence[int]) -> bool:
    at = bisect_left(failed_ms, scrape.at_ms - FAILED_MS)
    return at < len(failed_ms) and failed_ms[at] <= scrape.at_ms + FAILED_MS


def _was_away(scrape: Scrape, came_at: float, aways: Sequence[Away], wall_s: float) -> bool:
    at = scrape.at_ms / 1000 - wall_s
    return any(
        away.replica == scrape.by and away.since <= came_at and away.until >= at for away in aways
    )


def _at_ms(scrape: Scrape) -> int:
    return scrape.at_ms


def _number(scrape: Scrape) -> int:
    return scrape.number
