"""The account of a receiver: gaps, lost samples and duplicates, by comparison with all scrapes.

It has no I/O. The samples of the numbered scrapes form *turns*: a turn is an uninterrupted sequence
of scrapes of one replica. Missing scrapes between two successive turns of the same replica are
*lost*. Where one replica follows another, its samples that are not newer than the other's last are
*again*: the receiver already had that time. Its scrapes between the other's last sample and its own
first are lost, except one, which may be from before the hand-over.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.real.scraped import Scrape

Sample = tuple[int, float]  # milliseconds since 1970, value
Series = Mapping[str, Sequence[Sample]]  # by name and labels, oldest first
TRANSIT_MS = 50  # from a sample's timestamp to its scrape's request


@dataclass(frozen=True, slots=True)
class Turn:
    """An uninterrupted sequence of a replica's scrapes, as the receiver has them."""

    by: str
    first_ordinal: int  # the position of its first scrape among the replica's
    stamps: tuple[int, ...]

    @property
    def first(self) -> int:
        """The time of the oldest sample, in milliseconds."""
        return self.stamps[0]

    @property
    def last(self) -> int:
        """The time of the newest sample, in milliseconds."""
        return self.stamps[-1]


@dataclass(frozen=True, slots=True)
class Hole:
    """The largest gap between neighbouring samples, its series, and when it began."""

    seconds: float = 0.0
    series: str = ""
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """What a receiver has of the numbered scrapes, and of all other series."""

    turns: tuple[Turn, ...]
    hole: Hole  # the largest in any series
    hole_in_up_s: float
    twice: int  # samples of which a series has another with the same timestamp
    again: int
    lost: int
    longest_pause_s: Mapping[str, float]  # between a replica's scrapes, in its turns

    @property
    def order(self) -> list[str]:
        """The replicas in the order of their turns; successive turns of one count once."""
        return [name for name, _ in itertools.groupby(turn.by for turn in self.turns)]

    def __str__(self) -> str:
        """Return a summary in one line."""
        return (
            f"turns {' '.join(self.order)}; largest hole {self.hole.seconds:.2f} s in "
            f"{self.hole.series} (in up {self.hole_in_up_s:.2f} s); "
            f"lost {self.lost}, again {self.again}, twice {self.twice}"
        )


def account(series: Series, numbers: str, up: str, scrapes: Sequence[Scrape]) -> Account:
    """Compare the receiver's series with the scrapes; ``numbers`` and ``up`` name two series."""
    ordinals = _ordinals(scrapes)
    turns = list(_turns(series.get(numbers, ()), ordinals))
    follow = list(itertools.pairwise(turns))
    return Account(
        tuple(turns),
        max((hole(name, samples) for name, samples in series.items()), key=_size, default=Hole()),
        hole(up, series.get(up, ())).seconds,
        sum(_twice(samples) for samples in series.values()),
        sum(_again(one, other) for one, other in follow if one.by != other.by),
        sum(_lost(one, other, scrapes) for one, other in follow),
        {name: _pause(name, turns, scrapes) for name in {turn.by for turn in turns}},
    )


def hole(name: str, samples: Sequence[Sample]) -> Hole:
    """Return the largest gap between neighbouring samples of a series."""
    stamps = sorted(at for at, _ in samples)
    holes = [Hole((b - a) / 1000, name, a) for a, b in itertools.pairwise(stamps)]
    return max(holes, key=_size, default=Hole())


def _size(one: Hole) -> float:
    return one.seconds


def _ordinals(scrapes: Sequence[Scrape]) -> dict[int, tuple[str, int]]:
    """Return, by number, the scrape's replica and its position among the replica's scrapes."""
    counts: Counter[str] = Counter()
    found = {}
    for scrape in sorted(scrapes, key=lambda each: each.number):
        counts[scrape.by] += 1
        found[scrape.number] = (scrape.by, counts[scrape.by])
    return found


def _turns(samples: Sequence[Sample], ordinals: Mapping[int, tuple[str, int]]) -> Iterator[Turn]:
    """Yield the turns in the order of their first samples; duplicate scrapes count once."""
    of: dict[str, dict[int, int]] = defaultdict(dict)
    for at, number in samples:
        by, ordinal = ordinals[int(number)]
        of[by][ordinal] = at
    yield from sorted(
        (turn for by, stamps in of.items() for turn in _unbroken(by, stamps)),
        key=lambda turn: turn.first,
    )


def _unbroken(by: str, stamps: Mapping[int, int]) -> Iterator[Turn]:
    """Yield the uninterrupted sequences of one replica's scrapes."""
    rows = itertools.groupby(enumerate(sorted(stamps)), key=lambda pair: pair[1] - pair[0])
    for _, row in rows:
        ordinals = [ordinal for _, ordinal in row]
        yield Turn(by, ordinals[0], tuple(stamps[each] for each in ordinals))


def _twice(samples: Sequence[Sample]) -> int:
    return len(samples) - len({at for at, _ in samples})


def _again(one: Turn, other: Turn) -> int:
    return sum(at <= one.last for at in other.stamps)


def _lost(one: Turn, other: Turn, scrapes: Sequence[Scrape]) -> int:
    """Return how many scrapes between two turns the receiver has in neither."""
    if one.by == other.by:
        return other.first_ordinal - one.first_ordinal - len(one.stamps)
    between = [
        scrape
        for scrape in scrapes
        if scrape.by == other.by and one.last + TRANSIT_MS < scrape.at_ms < other.first
    ]
    return max(len(between) - 1, 0)


def _pause(name: str, turns: Sequence[Turn], scrapes: Sequence[Scrape]) -> float:
    """Return the longest time between two scrapes of a replica in and around its turns."""
    own = sorted(scrape.at_ms for scrape in scrapes if scrape.by == name)
    pauses = [
        (b - a) / 1000
        for a, b in itertools.pairwise(own)
        for turn in turns
        if turn.by == name and b >= turn.first and a <= turn.last
    ]
    return max(pauses, default=0.0)
