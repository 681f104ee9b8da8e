"""When to save the renderings that Prometheus has in force for the next start; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.configuration import Kept

RETRY_S = 60.0  # after a failed write


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is saved, what is being saved, and why the last attempt failed."""

    kept: Kept | None = None
    asked: Kept | None = None
    problem: str = ""
    retry_at: float = 0.0


def asked(keeping: Keeping, kept: Kept) -> Keeping:
    """Note that these are being saved."""
    return replace(keeping, asked=kept)


def answered(kept: Kept, problem: str, now: float) -> Keeping:
    """Fold in the result of the attempt."""
    return Keeping(problem=problem, retry_at=now + RETRY_S) if problem else Keeping(kept=kept)


def is_due(keeping: Keeping, kept: Kept, now: float) -> bool:
    """Tell whether to save these now; one attempt at a time."""
    return keeping.asked is None and kept != keeping.kept and now >= keeping.retry_at
