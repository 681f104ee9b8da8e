"""A pipe that nobody reads, and that is full: whoever writes to it waits."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Self


class FullPipe:
    """A named pipe."""

    def __init__(self, path: Path) -> None:
        """Make it, and fill it."""
        self.path = path
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        filling = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while os.write(filling, b"x" * 4095 + b"\n"):
                pass
        os.close(filling)

    def empty(self) -> str:
        """Read what lies in it."""
        found = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._end, 1 << 16):
                found += piece
        return found.decode()

    def __enter__(self) -> Self:
        """Hand it out."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it: nobody will read."""
        os.close(self._end)


def into(pipe: FullPipe) -> tuple[str, ...]:
    """Return the command that runs another one with this pipe as standard error."""
    return ("sh", "-c", 'exec "$@" 2>"$0"', str(pipe.path))
