"""When the renderings that Prometheus has in force are kept for the next start; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model import Renderings

RETRY_S = 60.0  # of what could not be written


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is known to be kept, what is on its way there, and why the last attempt failed."""

    kept: Renderings | None = None
    asked: Renderings | None = None
    problem: str = ""
    retry_at: float = 0.0


def asked(keeping: Keeping, renderings: Renderings) -> Keeping:
    """Note that these are to be kept."""
    return replace(keeping, asked=renderings)


def answered(keeping: Keeping, renderings: Renderings, problem: str, now: float) -> Keeping:
    """Note what became of it."""
    if problem:
        return Keeping(problem=problem, retry_at=now + RETRY_S)
    return Keeping(kept=renderings, asked=None if renderings == keeping.asked else keeping.asked)


def is_due(keeping: Keeping, renderings: Renderings, now: float) -> bool:
    """Tell whether these are to be kept now; one attempt at a time."""
    return keeping.asked is None and renderings != keeping.kept and now >= keeping.retry_at
