"""Decides when a requested fetch is due: at once after a quiet time, later during a burst; pure.

A fetch answers all requests that came before it began.

Promgen sends pending tasks at the end of *any* HTTP request, including our own fetch. So while many
objects are being saved in Promgen, each fetch would cause a task, and each task a fetch. Therefore:

- Requested fetches are at least ``APART_S`` apart.
- After ``CLOSE`` such fetches in a row, the next one waits for the end of the burst: ``CALM_S``
  without a request. It waits at most ``FAR_S``.
- A request during a fetch, or within ``ECHO_S`` after it, is that fetch's *echo*. An echo does not
  prolong the burst.

Limitation: if a long burst ends together with a fetch, its last request is answered only after
``FAR_S``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

APART_S = 2.0  # from the end of a fetch to the next requested one
CLOSE = 3  # fetches in a row that may be APART_S apart
FAR_S = 10.0  # longest time from a fetch to the next one in a long burst
CALM_S = 1.0  # a burst has ended after this time without a request
ECHO_S = 0.15  # a request within this time after a fetch may be its effect
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class FetchPace:
    """A feed's last fetch, and the requests since it began.

    - ``ended_at``: the end of the last fetch;
    - ``first_at``: the first request since the last fetch began; None without a request;
    - ``fresh_at``: the last request that is no echo;
    - ``in_a_row``: the number of fetches in the current burst.
    """

    ended_at: float = _NEVER
    first_at: float | None = None
    fresh_at: float | None = None
    in_a_row: int = 0


def asked(pace: FetchPace, at: float) -> FetchPace:
    """Return the pace after a request at this time, which is after the last fetch began."""
    is_echo = at <= pace.ended_at + ECHO_S
    return replace(
        pace,
        first_at=at if pace.first_at is None else pace.first_at,
        fresh_at=pace.fresh_at if is_echo else at,
    )


def fetched(pace: FetchPace, ended_at: float) -> FetchPace:
    """Return the pace after the end of a fetch that answered all requests."""
    return FetchPace(ended_at, in_a_row=pace.in_a_row + 1 if _is_in_burst(pace) else 0)


def due_at(pace: FetchPace) -> float | None:
    """Return the time at which a requested fetch is due; None without a request."""
    if pace.first_at is None:
        return None
    if not _is_in_burst(pace):
        return pace.first_at
    earliest = pace.ended_at + APART_S
    latest = earliest if pace.in_a_row < CLOSE else pace.ended_at + FAR_S
    if pace.fresh_at is None:
        return latest
    return min(latest, max(earliest, pace.fresh_at + CALM_S))


def _is_in_burst(pace: FetchPace) -> bool:
    """Return whether a request came shortly after the last fetch."""
    return pace.first_at is not None and pace.first_at < pace.ended_at + APART_S
