"""The pause before a retry; pure."""

from __future__ import annotations


def backoff_s(failures: int, first_s: float, most_s: float) -> float:
    """Return the pause after this many failures: it doubles from ``first_s`` up to ``most_s``."""
    return min(first_s * 2.0 ** min(max(failures - 1, 0), 30), most_s)
