"""Limits how often log lines of one kind are written, since clients can cause them; pure.

Of each kind, ``FIRST`` lines may be written at once, and one per ``PERIOD_S`` after that.

Limitation: how many lines were left out is known only when the next one of their kind is written.
"""

from __future__ import annotations

from collections.abc import Hashable

FIRST = 5
PERIOD_S = 60.0


class LineLimit:
    """Counts the lines of each kind. There must be few kinds: they stay in memory."""

    def __init__(self) -> None:
        """Start with none."""
        self._kinds: dict[Hashable, tuple[float, int]] = {}  # when all may be written; left out

    def left_out_before(self, kind: Hashable, now: float) -> int | None:
        """Return how many lines were left out before this one; None if it is left out too."""
        all_at, left_out = self._kinds.get(kind, (now, 0))
        all_at = max(all_at, now)
        if all_at > now + (FIRST - 1) * PERIOD_S:
            self._kinds[kind] = all_at, left_out + 1
            return None
        self._kinds[kind] = all_at + PERIOD_S, 0
        return left_out
