"""When a requested fetch is due: at once after a quiet time, later during a burst; pure.

A fetch answers all requests that came before it began. Promgen sends pending tasks at the end of
*any* request, including our own fetch. So while many objects are being saved, each fetch would
cause a task, and each task a fetch. Therefore requested fetches are at least ``APART_S`` apart;
after ``CLOSE`` such fetches, the next one waits for the end of the burst: ``CALM_S`` without a
request. A request during a fetch, or shortly after it, is that fetch's *echo*, and does not prolong
the burst. The limit: if a long burst ends together with a fetch, its last request is answered only
after ``FAR_S``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

APART_S = 2.0  # from the end of a fetch to the next one that is asked for
CLOSE = 3  # fetches in a row that are APART_S apart
FAR_S = 10.0  # between further fetches, unless the burst ends before
CALM_S = 1.0  # without a request, after which the burst has ended
ECHO_S = 0.15  # after a fetch, in which a request may be caused by that fetch
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Pace:
    """A feed's last fetch, and the requests since.

    ``ended_at``: end of the last fetch; ``first_at``: first request since it began; ``fresh_at``:
    last request that is not an echo; ``in_a_row``: fetches of the present burst.
    """

    ended_at: float = _NEVER
    first_at: float | None = None
    fresh_at: float | None = None
    in_a_row: int = 0


def asked(pace: Pace, at: float) -> Pace:
    """Note a request at this time, after the last fetch had begun."""
    is_echo = at <= pace.ended_at + ECHO_S
    return replace(
        pace,
        first_at=at if pace.first_at is None else pace.first_at,
        fresh_at=pace.fresh_at if is_echo else at,
    )


def fetched(pace: Pace, ended_at: float) -> Pace:
    """Note the end of a fetch that answered all requests."""
    return Pace(ended_at, in_a_row=pace.in_a_row + 1 if _is_in_burst(pace) else 0)


def due_at(pace: Pace) -> float | None:
    """Return when to fetch on request, None without a request."""
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
    """Tell whether a request came shortly after the last fetch."""
    return pace.first_at is not None and pace.first_at < pace.ended_at + APART_S
