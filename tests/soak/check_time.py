"""A writer in time: gaps between writes are due to faults, and are bounded; pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from tests.soak.facts import Fault, Violation

CHECK = "a writer in time"


def silences(
    group: str,
    writes: Sequence[float],
    faults: Sequence[Fault],
    *,
    steady_s: float,
    now: float,
    late_s: float = 0.0,
) -> Iterator[Violation]:
    """Yield each gap between writes that no fault explains; ``writes`` are times, in order.

    Without a fault, a write follows another within ``steady_s``. A fault that affects writers
    allows a gap from its beginning until ``excused_until``.
    """
    excuses = sorted((fault.since, fault.excused_until) for fault in faults if fault.excused_until)
    for last, following in itertools.pairwise([*writes, now]):
        allowed = allowed_until(last + steady_s + late_s, excuses, steady_s) + late_s
        if following > allowed:
            text = f"no write was taken after {last:.1f}; the next one had to come by {allowed:.1f}"
            yield Violation(CHECK, group, last, text)


def allowed_until(allowed: float, excuses: Sequence[tuple[float, float]], steady_s: float) -> float:
    """Return the time of the next required write; ``allowed`` without any excuse."""
    last = allowed - steady_s
    for since, until in excuses:
        if since <= allowed and until >= last:
            allowed = max(allowed, until)
    return allowed


def silence_after(writes: Sequence[float], at: float) -> float | None:
    """Return the seconds from a time until the next write was accepted, or None."""
    return next((write - at for write in writes if write > at), None)
