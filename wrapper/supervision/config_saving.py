"""Decides when to save the renderings in force for the next start; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.configuration import SavedRenderings

RETRY_S = 60.0  # after a failed write


@dataclass(frozen=True, slots=True)
class Saving:
    """The state of saving.

    - ``saved``: the renderings that are saved; None if none are, or the last attempt failed.
    - ``being_saved``: the renderings that are being saved; None if no attempt is pending.
    - ``problem``: why the last attempt failed, "" if it succeeded.
    - ``retry_at``: the next attempt is not made before this time.
    """

    saved: SavedRenderings | None = None
    being_saved: SavedRenderings | None = None
    problem: str = ""
    retry_at: float = 0.0


def started(saving: Saving, renderings: SavedRenderings) -> Saving:
    """Return the state after an attempt to save these renderings has been started."""
    return replace(saving, being_saved=renderings)


def ended(renderings: SavedRenderings, problem: str, now: float) -> Saving:
    """Return the state after the result of an attempt; ``problem`` is "" after a success."""
    return Saving(problem=problem, retry_at=now + RETRY_S) if problem else Saving(saved=renderings)


def is_due(saving: Saving, renderings: SavedRenderings, now: float) -> bool:
    """Return whether to save these renderings now; only one attempt is pending at a time."""
    return saving.being_saved is None and renderings != saving.saved and now >= saving.retry_at
