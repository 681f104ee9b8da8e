"""Limits the number of values in a JSON text, without parsing it; pure.

A value can have two bytes in the text, and take up to 64 bytes of memory once it is parsed. So a
text within a limit of bytes can take thirty times as much memory.
"""

from __future__ import annotations

MOST_VALUES = 1_000_000
MARKS = (b"[", b"{", b",")  # each JSON value but the first needs one of these


def has_too_many_values(text: bytes) -> bool:
    """Return whether a JSON text may have more than ``MOST_VALUES`` values."""
    return sum(map(text.count, MARKS)) > MOST_VALUES
