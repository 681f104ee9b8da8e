"""The file of a feed: replaced atomically, and restored if need be.

The guarantee: a reader sees the old or the new content, never a part, also after a kill at any
moment. Until Prometheus is known to have loaded new rules, the last good ones are kept beside them
(``.NAME.good``), so that a start can restore them (``unsettled_in``). A lock on that copy says that
a running program uses it. Other writers of the file are not kept out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wrapper.base import files
from wrapper.model.fetched_file import FileKind, has_known_ending
from wrapper.targets.answer_check import (
    LARGEST_RULES,
    Content,
    FeedError,
    Unacceptable,
    read_answer,
)

NO_RULES = b"groups: []\n"
_GOOD = ".good"


class Failed(FeedError):
    """The file could not be updated."""


class FeedFile:
    """One file, with one writer."""

    def __init__(self, path: str, kind: FileKind, largest: int) -> None:
        """Take its path and kind; a file of more than ``largest`` bytes is not read."""
        self.path = Path(path)
        self._kind = kind
        self._largest = largest
        self._good = self.path.parent / f".{self.path.name}{_GOOD}"
        self._left_as: tuple[int, ...] | None = None
        self._claim: int | None = None

    def content(self) -> Content | None:
        """Return what it holds, None if that cannot be read or is not well-formed."""
        try:
            return read_answer(self._kind, files.read_input(self.path, self._largest))
        except (files.InputError, Unacceptable):
            return None

    def is_as_left(self) -> bool:
        """Tell whether it is untouched since it was last written, or found current."""
        return self._left_as is not None and files.identity(self.path) == self._left_as

    def is_current(self, data: bytes, mode: int) -> bool:
        """Tell whether it has this content and these permissions already."""
        is_current = files.is_current(self.path, data, mode)
        if is_current:
            self._left_as = files.identity(self.path)
        return is_current

    def bring(self, data: bytes, mode: int) -> bool:
        """Write the content unless it is current; tell whether it was written; raise Failed."""
        if self.is_current(data, mode):
            return False
        self.replace(data, mode)
        return True

    def replace(self, data: bytes, mode: int) -> None:
        """Replace the file atomically; raise Failed."""
        with self._told():
            files.write_atomically(self.path, data, mode)
        self._left_as = files.identity(self.path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise an OSError as Failed."""
        try:
            yield
        except OSError as error:
            raise Failed("write", f"{self.path}: {error.strerror or error}") from error

    # --- rules, until Prometheus is known to have loaded them ---

    @property
    def is_unsettled(self) -> bool:
        """Whether its rules are not known to be loaded."""
        return self._good.exists()

    def keep(self, mode: int) -> None:
        """Copy its last good rules to a file beside it, and lock the copy; raise Failed."""
        with self._told():
            if not self.is_unsettled:
                files.write_atomically(self._good, self._held(), mode)
            if self._claim is None:
                with suppress(BlockingIOError):
                    self._claim = _locked(self._good)

    def _held(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return NO_RULES

    def settle(self) -> None:
        """Note that its rules are loaded."""
        with suppress(FileNotFoundError):
            self._good.unlink()
        self._let_go()

    def put_back(self) -> None:
        """Restore the last good rules; raise OSError."""
        self._good.replace(self.path)
        self._left_as = None
        self._let_go()

    def make_way(self, mode: int) -> None:
        """Restore the last good rules, and keep the copy: Prometheus has yet to load them."""
        if self.is_unsettled:
            self.bring(self._good.read_bytes(), mode)

    def _let_go(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def unsettled_in(folder: Path) -> Iterator[FeedFile]:
    """Yield the files whose newest rules were never confirmed, also those that a task created.

    Files that a running program has locked are left out.
    """
    for good in sorted(folder.glob(f".*{_GOOD}")):
        path = folder / good.name[1:].removesuffix(_GOOD)
        if not has_known_ending(str(path)):
            continue
        claim = None
        try:
            claim = _locked(good)
        except BlockingIOError:
            continue
        except OSError:
            pass  # restoring renames the copy, which needs no right to open it
        yield FeedFile(str(path), FileKind.RULES, LARGEST_RULES)
        if claim is not None:
            os.close(claim)


def _locked(path: Path) -> int | None:
    """Return a descriptor that locks the file, None if its filesystem has no such locks.

    Raises BlockingIOError if another process holds the lock, OSError if it cannot be opened.
    """
    claim = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # NFS locks exclusively for writers only
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise
    except OSError:
        os.close(claim)
        return None
    return claim
