"""Decides when to read files that change; pure.

- The first finished change is read at once. Further changes of the same burst are read together.
- A file that is being written is read after it has been closed, or after it has not changed for
  ``WRITING_S``.
- A deleted file or a new folder may be the first half of a change. The second half is awaited for
  ``SETTLE_S``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

QUIET_S = 0.1  # a burst is over after this time without a change
BURST_S = 1.0  # longest time that a change waits during a burst
SETTLE_S = 0.5  # time to wait for the second half of a change
WRITING_S = 60.0  # time to wait for a changed file to be closed


class Change(StrEnum):
    """What happened to a file."""

    FINISHED = "finished"  # closed after writing, or renamed into place: it is complete
    INCOMPLETE = "incomplete"  # deleted or created: another change is likely to follow
    WRITING = "writing"  # changed, and still open


class Settling:
    """The changes since the files were last read. All times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._held_until: dict[str, float] = {}
        self._pending_since: float | None = None
        self._due_at = 0.0
        self._burst_until = float("-inf")

    def note(self, change: Change, path: str, now: float) -> None:
        """Record what happened to a file."""
        match change:
            case Change.FINISHED:
                self._held_until.pop(path, None)
                self._pend(now)
            case Change.INCOMPLETE:
                self._held_until[path] = now + SETTLE_S
                self._pend(now)
            case Change.WRITING:
                self._held_until[path] = now + WRITING_S

    def _pend(self, now: float) -> None:
        """Schedule a reading: at once, or at the end of the burst that the last reading began."""
        if self._pending_since is None:
            self._pending_since = self._due_at = now
        if now < self._burst_until:
            self._burst_until = now + QUIET_S
            self._due_at = min(self._burst_until, self._pending_since + BURST_S)

    def release(self, paths: Iterable[str]) -> None:
        """Stop waiting for files that are no longer followed."""
        for path in paths:
            self._held_until.pop(path, None)

    def next_read_at(self) -> float | None:
        """Return the time at which to read the files; None if nothing has changed."""
        if self._pending_since is None:
            return None
        return max([self._due_at, *self._held_until.values()])

    @property
    def held(self) -> tuple[str, ...]:
        """The files whose change is not finished."""
        return tuple(self._held_until)

    def is_held(self, now: float) -> bool:
        """Return whether a file is being changed; then a periodic reading has to wait too."""
        return any(until > now for until in self._held_until.values())

    def record_read(self, now: float) -> None:
        """Record that the files have been read."""
        self._pending_since = None
        self._burst_until = now + QUIET_S
        self._held_until = {path: until for path, until in self._held_until.items() if until > now}
