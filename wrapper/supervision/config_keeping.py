"""Decides when to save the renderings in force for the next start; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.configuration import Kept

RETRY_S = 60.0  # after a failed write


@dataclass(frozen=True, slots=True)
class Keeping:
    """The state of saving.

    - ``kept``: the renderings that are saved; None if none are, or the last attempt failed.
    - ``asked``: the renderings that are being saved; None if no attempt is pending.
    - ``problem``: why the last attempt failed, "" if it succeeded.
    - ``retry_at``: the next attempt is not made before this time.
    """

    kept: Kept | None = None
    asked: Kept | None = None
    problem: str = ""
    retry_at: float = 0.0


def asked(keeping: Keeping, kept: Kept) -> Keeping:
    """Return the state after an attempt to save these renderings has been started."""
    return replace(keeping, asked=kept)


def answered(kept: Kept, problem: str, now: float) -> Keeping:
    """Return the state after the result of an attempt; ``problem`` is "" after a success."""
    return Keeping(problem=problem, retry_at=now + RETRY_S) if problem else Keeping(kept=kept)


def is_due(keeping: Keeping, kept: Kept, now: float) -> bool:
    """Return whether to save these renderings now; only one attempt is pending at a time."""
    return keeping.asked is None and kept != keeping.kept and now >= keeping.retry_at
