"""Makes text from outside safe to show in a log, on a page or on a terminal; pure."""

from __future__ import annotations

LONGEST = 300  # characters


def printable(text: str) -> str:
    """Return the text on one line; each character that cannot be printed is replaced."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def in_short(text: str) -> str:
    """Return the text on one line, printable, with single spaces, and cut at ``LONGEST``."""
    return printable(" ".join(text.split())[:LONGEST])
