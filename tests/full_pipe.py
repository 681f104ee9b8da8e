"""A pipe that is full and is not read: a program that writes to it waits."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Self


class FullPipe:
    """A named pipe."""

    def __init__(self, path: Path) -> None:
        """Make the pipe, and fill it."""
        self.path = path
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        filling = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while os.write(filling, b"x" * 4095 + b"\n"):
                pass
        os.close(filling)

    def empty(self) -> str:
        """Read the content of the pipe."""
        found = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._end, 1 << 16):
                found += piece
        return found.decode()

    def __enter__(self) -> Self:
        """Return the pipe."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the reading end."""
        os.close(self._end)


def into(pipe: FullPipe) -> tuple[str, ...]:
    """Return a command that runs another one with this pipe as standard error."""
    return ("sh", "-c", 'exec "$@" 2>"$0"', str(pipe.path))
