"""Requests to receivers that have not ended: each has a time limit, and all can be cut at once.

The guarantee: what was cut sends nothing more, even if it was still connecting. Where it ends:
bytes that the network has taken already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from greenlet import greenlet


class Cut(BaseException):
    """The request was cut: this gate may send no longer."""


class TookTooLong(BaseException):
    """The request took longer than its limit."""


class UnderWay:
    """The greenlets that wait for receivers."""

    def __init__(self) -> None:
        """Start with none."""
        self._greenlets: set[greenlet] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._greenlets)

    @contextmanager
    def limited(self, limit_s: float) -> Iterator[None]:
        """Count the caller while it waits; raise Cut in it, or TookTooLong after ``limit_s``."""
        current = gevent.getcurrent()
        self._greenlets.add(current)
        try:
            with gevent.Timeout(limit_s, TookTooLong()):
                yield
        finally:
            self._greenlets.discard(current)

    def cut(self) -> None:
        """Have all end as soon as they would wait for the next time; they send nothing more."""
        for each in self._greenlets:
            gevent.get_hub().loop.run_callback(self._cut, each)

    def _cut(self, each: greenlet) -> None:
        """Raise Cut in a greenlet, unless it has ended meanwhile; runs while all wait."""
        if each in self._greenlets:
            each.throw(Cut())
