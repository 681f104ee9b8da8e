"""Requests to receivers that are in flight: each has a time limit, and all can be aborted at once.

Guarantee: a request that was aborted sends nothing more, even if it was still connecting.

Limitation: bytes that the network has already accepted cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from greenlet import greenlet


class Aborted(BaseException):
    """The request was aborted, because this gate may no longer send."""


class TookTooLong(BaseException):
    """The request exceeded its time limit."""


class InFlight:
    """The greenlets that wait for receivers."""

    def __init__(self) -> None:
        """Start with none."""
        self._greenlets: set[greenlet] = set()

    def __len__(self) -> int:
        """Return the number of requests in flight."""
        return len(self._greenlets)

    @contextmanager
    def limited(self, limit_s: float) -> Iterator[None]:
        """Count the calling greenlet as in flight inside this context.

        Raise ``TookTooLong`` in it after ``limit_s`` seconds, or ``Aborted`` if it is aborted.
        """
        current = gevent.getcurrent()
        self._greenlets.add(current)
        try:
            with gevent.Timeout(limit_s, TookTooLong()):
                yield
        finally:
            self._greenlets.discard(current)

    def abort(self) -> None:
        """Abort all requests: each ends at its next wait, and sends nothing more."""
        for each in self._greenlets:
            gevent.get_hub().loop.run_callback(self._abort, each)

    def _abort(self, each: greenlet) -> None:
        """Raise ``Aborted`` in a greenlet, unless it has ended in the meantime.

        This runs in the event loop, while all greenlets wait.
        """
        if each in self._greenlets:
            each.throw(Aborted())
