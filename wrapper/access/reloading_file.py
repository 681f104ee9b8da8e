"""Holds a value that is made from files, and reloads it when one of them has changed.

Guarantee: the value is always complete and valid. If a changed file is invalid, the last valid
value stays in use. This is logged once, and so is the change back to a valid file.

Limitation: the files are checked only when the value is requested, at most every ``LOOK_EVERY_S``
seconds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from wrapper.base import clock, files
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

LOG = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05
LARGEST_FILE = 1 << 20
_SETTLING_NS = 50_000_000  # two changes within this time can have the same timestamp
T = TypeVar("T")


class Reading:
    """Reads files, and records the state of each: its identity, or that it was missing."""

    def __init__(self) -> None:
        self._states: dict[Path, tuple[int, ...] | None] = {}
        self._hash = hashlib.sha256()
        self._has_recent_change = False

    def read(self, path: str) -> bytes:
        """Return a file's content; raise ConfigurationError."""
        file, now_ns = Path(path), clock.wall() * 1e9
        state = files.identity(file)
        self._states[file] = state
        if state is not None and any(abs(now_ns - at) < _SETTLING_NS for at in state[-2:]):
            self._has_recent_change = True
        try:
            content = files.read_input(file, LARGEST_FILE)
        except files.InputError as error:
            raise ConfigurationError([str(error)]) from error
        self._hash.update(b"%d " % len(content) + content)
        return content

    def source(self, path: str) -> Source:
        """Read a configuration file, in which paths are relative to its folder."""
        return Source(path, self.read(path), str(Path(path).parent.absolute()))

    @property
    def digest(self) -> bytes:
        """The hash of all contents that were read."""
        return self._hash.digest()

    def is_current(self) -> bool:
        """Return whether no file has changed since it was read."""
        return not self._has_recent_change and all(
            files.identity(path) == state for path, state in self._states.items()
        )


class ReloadingFile(Generic[T]):
    """Holds the value that ``make`` returns for the current files.

    ``make`` must read all files through its argument. It may raise ConfigurationError, and then so
    does the constructor. While the contents are the same, the value is the same object, so it can
    be compared with ``is``.
    """

    def __init__(self, name: str, make: Callable[[Reading], T]) -> None:
        self._name = name
        self._make = make
        self._reading = Reading()
        self._value = make(self._reading)
        self._digest = self._reading.digest
        self._problem = ""
        self._checked_at = clock.now()

    def current(self) -> T:
        """Return the value, reloaded if a file has changed; thread-safe."""
        now = clock.now()
        if now - self._checked_at >= LOOK_EVERY_S:
            self._checked_at = now
            if not self._reading.is_current():
                self._reload()
        return self._value

    def _reload(self) -> None:
        reading = Reading()
        try:
            value = self._make(reading)
        except ConfigurationError as error:
            self._reading = reading
            self._log_problem("; ".join(error.problems))
            return
        self._reading = reading
        if reading.digest != self._digest:
            self._digest, self._value = reading.digest, value
            LOG.info("changed file loaded", extra={"file": self._name})
        elif self._problem:
            LOG.info("file is valid again", extra={"file": self._name})
        self._problem = ""

    def _log_problem(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            extra = {"file": self._name, "reason": problem}
            LOG.error("changed file is invalid; its last valid state stays in use", extra=extra)
