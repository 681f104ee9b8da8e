"""Sizes in bytes, as text for people; pure."""

from __future__ import annotations


def size(count: float) -> str:
    """Return a number of bytes in B, KiB, MiB or GiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 - the step between units
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
