"""When a feed is fetched for those who ask: at once after a quiet time, else paced; pure.

A fetch answers all who asked before it began. Promgen sends the tasks that are pending at the end
of *any* request, so also of our own fetch: while many objects are saved, each fetch is followed by
a task, which would be followed by a fetch, for as long as that takes. So fetches keep apart; after
a few, one waits for the end of the burst. A task that comes by itself tells of that end; one that
comes with a fetch is its *echo*, and tells nothing. Where it ends: the end of a long burst that
falls together with a fetch is answered after ``FAR_S``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

APART_S = 2.0  # from the end of a fetch to the next one that is asked for
CLOSE = 3  # so many in a row are as close as that
FAR_S = 10.0  # then they are so far apart, unless the burst ends before
CALM_S = 1.0  # it has ended when nobody has asked for so long
ECHO_S = 0.15  # who asks during a fetch, or so shortly after it, may do so because of it
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a feed's fetches follow each other.

    ``ended_at``: the last one; ``first_at``: the first who asked since it began; ``fresh_at``: the
    last who asked, but for echoes; ``in_a_row``: fetches that followed another closely.
    """

    ended_at: float = _NEVER
    first_at: float | None = None
    fresh_at: float | None = None
    in_a_row: int = 0


def asked(pace: Pace, at: float) -> Pace:
    """Note that somebody asked at this time, after the last fetch had begun."""
    is_echo = at <= pace.ended_at + ECHO_S
    return replace(
        pace,
        first_at=at if pace.first_at is None else pace.first_at,
        fresh_at=pace.fresh_at if is_echo else at,
    )


def fetched(pace: Pace, ended_at: float) -> Pace:
    """Note a fetch that answered all who had asked."""
    return Pace(ended_at, in_a_row=pace.in_a_row + 1 if _is_in_burst(pace) else 0)


def due_at(pace: Pace) -> float | None:
    """Return when to fetch for those who ask, None where nobody does."""
    if pace.first_at is None:
        return None
    if not _is_in_burst(pace):
        return pace.first_at
    earliest = pace.ended_at + APART_S
    latest = earliest if pace.in_a_row < CLOSE else pace.ended_at + FAR_S
    if pace.fresh_at is None:
        return latest
    return min(latest, max(earliest, pace.fresh_at + CALM_S))


def _is_in_burst(pace: Pace) -> bool:
    """Tell whether somebody asks shortly after a fetch."""
    return pace.first_at is not None and pace.first_at < pace.ended_at + APART_S
