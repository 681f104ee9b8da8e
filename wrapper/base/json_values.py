"""How many values a JSON text may have, found without parsing it; pure.

A value takes up to 64 bytes when parsed, and may have two when written: a text that is within a
limit of bytes can take thirty times as many.
"""

from __future__ import annotations

MOST_VALUES = 1_000_000
MARKS = (b"[", b"{", b",")  # each JSON value but the first needs one of these


def has_too_many_values(text: bytes) -> bool:
    """Tell whether a JSON text may have more than ``MOST_VALUES`` values."""
    return sum(map(text.count, MARKS)) > MOST_VALUES
