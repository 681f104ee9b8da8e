"""Provides a temporary file with a rendering, for a program that checks it.

The file is in the output's folder, so that relative paths have the same meaning as in the output.
Only this user can read it. It is removed after the check, also if this process exits earlier. If it
is killed, the next start with this output removes the file.
"""

from __future__ import annotations

import atexit
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wrapper.base import files

_MODE = 0o600


_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class NoVerdict(Exception):
    """A program gave no verdict on a rendering; the text says why."""


class TemporaryRendering:
    """The temporary file beside one output. It has one content at a time."""

    def __init__(self, output: Path) -> None:
        """Take the path of the file that Prometheus will read."""
        self._output = output
        self._file: Path | None = None
        atexit.register(self.remove)

    @contextmanager
    def written(self, content: bytes) -> Iterator[Path]:
        """Provide a file with this content; raise NoVerdict if it cannot be written."""
        path = files.temporary_beside(self._folder() / self._output.name, "check")
        self._file = path
        try:
            with ExitStack() as stack:
                try:
                    path.unlink(missing_ok=True)
                    stack.enter_context(files.create_locked(path, content, _MODE))
                except OSError as error:
                    raise NoVerdict(_unwritable(path, error)) from error
                yield path
        finally:
            self.remove()
            self._file = None

    def _folder(self) -> Path:
        """Return the output's folder, or else the system's for temporary files; raise NoVerdict.

        If the output's folder does not exist yet, no input is in it and no path is relative to it.
        """
        if os.path.isdir(self._output.parent):  # noqa: PTH112 - raises no error
            return self._output.parent
        try:
            return Path(tempfile.gettempdir())
        except OSError as error:
            raise NoVerdict(f"no folder for temporary files: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the temporary file, if there is one."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> str:
    """Return why a file cannot be written; the cure, unless there is no space for it."""
    text = f"{path} cannot be written: {error.strerror}"
    if error.errno in _NO_SPACE:
        return text
    return f"{text}; name a file in a folder where it can be with --output"
