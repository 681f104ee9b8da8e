"""The file that a feed becomes: replaced whole, and the last good one put back where need be.

The guarantee: whoever reads it sees what was there or what came, never a part, also after a kill at
any moment. New rules stand beside the last good ones (``.NAME.good``) until Prometheus is known to
have them in force: so that a start finds what works (``recover``). Where it ends: someone else who
writes the file.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from wrapper import files
from wrapper.targets.feed import Kind
from wrapper.targets.feed_answer import Content, Unacceptable, read_answer

NO_RULES = b"groups: []\n"


class FeedFile:
    """One such file, with one writer."""

    def __init__(self, path: str, kind: Kind, largest: int) -> None:
        """Take its path and what it holds; a larger one is not looked into."""
        self.path = Path(path)
        self._kind = kind
        self._largest = largest
        self._good = self.path.parent / f".{self.path.name}.good"
        self._left_as: tuple[int, ...] | None = None

    def recover(self) -> bool:
        """Put the last good rules back where newer ones were never confirmed; tell whether.

        Raises OSError. It is for the time before Prometheus reads the file.
        """
        is_unsettled = self.is_unsettled
        if is_unsettled:
            self.put_back()
        return is_unsettled

    def content(self) -> Content | None:
        """Return what it holds, None where that is nothing of use."""
        try:
            return read_answer(self._kind, files.read_input(self.path, self._largest))
        except (files.InputError, Unacceptable):
            return None

    def is_as_left(self) -> bool:
        """Tell whether nobody has touched it since it was last written, or found current."""
        return self._left_as is not None and files.identity(self.path) == self._left_as

    def is_current(self, data: bytes, mode: int) -> bool:
        """Tell whether it is exactly this already."""
        is_current = files.is_current(self.path, data, mode)
        if is_current:
            self._left_as = files.identity(self.path)
        return is_current

    def replace(self, data: bytes, mode: int) -> None:
        """Put this in its place; raise OSError."""
        files.write_atomically(self.path, data, mode)
        self._left_as = files.identity(self.path)

    # --- rules, until Prometheus has them in force ---

    @property
    def is_unsettled(self) -> bool:
        """Whether what it holds is not known to be in force."""
        return self._good.exists()

    def keep(self, mode: int) -> None:
        """Keep what it holds, the last good, beside it; raise OSError."""
        if self.is_unsettled:
            return
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = NO_RULES
        files.write_atomically(self._good, data, mode)

    def settle(self) -> None:
        """Note that what it holds is in force."""
        with suppress(FileNotFoundError):
            self._good.unlink()

    def put_back(self) -> None:
        """Put the last good in its place again; raise OSError."""
        self._good.replace(self.path)
        self._left_as = None
