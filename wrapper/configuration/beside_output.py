"""A rendering on disk for a program to look at, where its relative paths mean what they will.

It lies beside the output, readable by this user alone, and is removed afterwards, also when this
program ends in between (but for a SIGKILL).
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wrapper.base import files

_MODE = 0o600


class Unanswered(Exception):
    """A program has not said whether a rendering is good; the text says why."""


class BesideOutput:
    """One such place, for one content at a time."""

    def __init__(self, output: Path) -> None:
        """Take the file that Prometheus will read."""
        self._output = output
        self._file: Path | None = None
        atexit.register(self.leave_nothing)

    @contextmanager
    def holding(self, content: bytes) -> Iterator[Path]:
        """Have a file hold this content; raise Unanswered."""
        path = self._file = self._folder() / f".{self._output.name}.check-{os.getpid()}"
        try:
            try:
                files.write_atomically(path, content, _MODE)
            except OSError as error:
                raise Unanswered(f"{path} cannot be written: {error.strerror}") from error
            yield path
        finally:
            self.leave_nothing()
            self._file = None

    def _folder(self) -> Path:
        """Return the output's folder; raise Unanswered.

        Where that does not exist yet, no input lies in it, so that no path is relative to it.
        """
        if self._output.parent.is_dir():
            return self._output.parent
        try:
            return Path(tempfile.gettempdir())
        except OSError as error:
            raise Unanswered(f"no folder for temporary files: {error.strerror}") from error

    def leave_nothing(self) -> None:
        """Remove what is there."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
