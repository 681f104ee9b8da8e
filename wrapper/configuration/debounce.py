"""When to look at files that change: the first finished change at once, a burst's rest together.

Pure. A file that is being written is not looked at before it has been closed, and what may be half
of a change (a file that has gone, a new folder) only when nothing has followed for a while. Where
it ends: a writer that leaves a file open without changing it for longer than ``WRITING_S``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

QUIET_S = 0.1  # a burst is over when nothing has changed for so long
BURST_S = 1.0  # one that goes on is looked at this often
SETTLE_S = 0.5  # what may be half of a change has so long to become a whole one
WRITING_S = 60.0  # what was changed, and not closed since, is left alone for so long


class Change(StrEnum):
    """What happened to a file, as far as it matters to a reader."""

    FINISHED = "finished"  # closed after writing, renamed into place: it is whole
    BEGUN = "begun"  # gone, or created: something is likely to follow
    WRITING = "writing"  # changed, and still open


class Settling:
    """The changes since the last look; all times are on one clock."""

    def __init__(self) -> None:
        self._held_until: dict[str, float] = {}
        self._pending_since: float | None = None
        self._due_at = 0.0
        self._burst_until = float("-inf")

    def note(self, change: Change, path: str, now: float) -> None:
        """Take in what happened to a file."""
        match change:
            case Change.FINISHED:
                self._held_until.pop(path, None)
                self._pend(now)
            case Change.BEGUN:
                self._held_until[path] = now + SETTLE_S
                self._pend(now)
            case Change.WRITING:
                self._held_until[path] = now + WRITING_S

    def _pend(self, now: float) -> None:
        """Ask for a look: at once, or when the burst that the last look has begun is over."""
        if self._pending_since is None:
            self._pending_since = self._due_at = now
        if now < self._burst_until:
            self._burst_until = now + QUIET_S
            self._due_at = min(self._burst_until, self._pending_since + BURST_S)

    def release(self, paths: Iterable[str]) -> None:
        """Wait no more for what does not matter any more."""
        for path in paths:
            self._held_until.pop(path, None)

    def look_at(self) -> float | None:
        """Return when to look, None while there is no reason to."""
        if self._pending_since is None:
            return None
        return max([self._due_at, *self._held_until.values()])

    @property
    def held(self) -> tuple[str, ...]:
        """The files that looks wait for."""
        return tuple(self._held_until)

    def is_held(self, now: float) -> bool:
        """Whether a file is being changed: also a look that has other reasons has to wait."""
        return any(until > now for until in self._held_until.values())

    def looked(self, now: float) -> None:
        """Note that the files have been looked at."""
        self._pending_since = None
        self._burst_until = now + QUIET_S
        self._held_until = {path: until for path, until in self._held_until.items() if until > now}
