"""Choices for a strategy that builds bytes: Hypothesis draws one string, which determines them.

Hypothesis needs 100 µs for each value that it draws itself, and finds the shortest such string.
"""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class Choices:
    """The choices, one for each byte; after the last byte, always the first option."""

    def __init__(self, source: bytes) -> None:
        self._source = iter(source)

    def number(self, most: int) -> int:
        """Choose one of 0 to ``most``, up to 255."""
        return next(self._source, 0) * (most + 1) >> 8

    def of(self, values: tuple[T, ...]) -> T:
        """Choose one of these values."""
        return values[self.number(len(values) - 1)]

    def mostly(self, values: tuple[T, ...], percent: int = 80) -> T:
        """Choose the first value in this percentage of cases, else one of all values."""
        return values[0] if self.number(99) < percent else self.of(values)
