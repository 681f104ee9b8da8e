"""The file of a feed: replaces it atomically, and restores the last good rules.

Until Prometheus is known to have loaded new rules, the file is *unsettled*, and the last good rules
are kept beside it (``.NAME.good``). So a start can restore them (``unsettled_in``). A lock on that
copy shows that a running program uses it.

Guarantee: a reader sees either the old or the new content, never a part of it, even after a kill at
any moment.

Limitation: other programs may write the file too.
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


def copy_of(path: Path) -> Path:
    """Return the path of the copy of a file's last good rules."""
    return path.parent / f".{path.name}{_GOOD}"


class FeedFile:
    """The file of one feed. It must have only one writer in this program."""

    def __init__(self, path: str, kind: FileKind, largest: int) -> None:
        """Take the file's path and kind. A file of more than ``largest`` bytes is not read."""
        self.path = Path(path)
        self._kind = kind
        self._largest = largest
        self._good = copy_of(self.path)
        self._left_as: tuple[int, ...] | None = None
        self._claim: int | None = None

    def content(self) -> Content | None:
        """Return the file's content; None if it cannot be read or is not well-formed."""
        try:
            return read_answer(self._kind, files.read_input(self.path, self._largest))
        except (files.InputError, Unacceptable):
            return None

    def remove_leftovers(self) -> None:
        """Remove what killed processes have left of their writes."""
        files.remove_leftovers(self.path)
        files.remove_leftovers(self._good)

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return files.identity(self.path) is not None

    def is_as_left(self) -> bool:
        """Return whether the file is unchanged since it was last written here, or found current."""
        return self._left_as is not None and files.identity(self.path) == self._left_as

    def is_current(self, data: bytes, mode: int) -> bool:
        """Return whether the file has this content and these permissions already."""
        is_current = files.is_current(self.path, data, mode)
        if is_current:
            self._left_as = files.identity(self.path)
        return is_current

    def write_if_changed(self, data: bytes, mode: int) -> bool:
        """Write the content unless it is current; return whether it was written; raise Failed."""
        if self.is_current(data, mode):
            return False
        self.replace(data, mode)
        return True

    def replace(self, data: bytes, mode: int) -> None:
        """Replace the file atomically; raise Failed."""
        with self._raising_failed():
            files.write_atomically(self.path, data, mode)
        self._left_as = files.identity(self.path)

    @contextmanager
    def _raising_failed(self) -> Iterator[None]:
        """Raise an OSError as Failed."""
        try:
            yield
        except OSError as error:
            raise Failed("write", f"{self.path}: {error.strerror or error}") from error

    # --- rules, until Prometheus is known to have loaded them ---

    @property
    def is_unsettled(self) -> bool:
        """Whether it is not known that Prometheus has loaded the file's rules."""
        return self._good.exists()

    def keep_last_good(self, mode: int) -> None:
        """Copy the last good rules to a file beside this one, and lock the copy; raise Failed."""
        with self._raising_failed():
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

    def mark_loaded(self) -> None:
        """Delete the copy, because the file's rules are loaded."""
        with suppress(FileNotFoundError):
            self._good.unlink()
        self._let_go()

    def restore(self) -> None:
        """Restore the last good rules from the copy, and remove the copy; raise OSError."""
        self._good.replace(self.path)
        self._left_as = None
        self._let_go()

    def restore_keeping_copy(self, mode: int) -> None:
        """Restore the last good rules, but keep the copy: Prometheus has not loaded them yet."""
        if self.is_unsettled:
            self.write_if_changed(self._good.read_bytes(), mode)

    def _let_go(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def unsettled_in(folder: Path) -> Iterator[FeedFile]:
    """Yield the files whose newest rules were never confirmed, also files that a task created.

    Files that a running program has locked are skipped.
    """
    for good in _copies_in(folder):
        path = folder / good.name[1:].removesuffix(_GOOD)
        if not has_known_ending(str(path)):
            continue
        claim = None
        try:
            claim = _locked(good)
        except BlockingIOError:
            continue
        except OSError:
            pass  # no problem: restoring renames the copy, without opening it
        yield FeedFile(str(path), FileKind.RULES, LARGEST_RULES)
        if claim is not None:
            os.close(claim)


def _copies_in(folder: Path) -> list[Path]:
    """Return the copies of last good rules in a folder; none if it cannot be listed."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names suffice
    except OSError:
        return []
    return [folder / name for name in names if name.startswith(".") and name.endswith(_GOOD)]


def _locked(path: Path) -> int | None:
    """Return a descriptor that locks the file; None if its filesystem has no such locks.

    Raises BlockingIOError if another process holds the lock, OSError if it cannot be opened.
    """
    claim = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # on NFS, this lock needs O_RDWR
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise
    except OSError:
        os.close(claim)
        return None
    return claim
