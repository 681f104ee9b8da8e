"""The file that a feed becomes: replaced whole, and the last good one put back where need be.

The guarantee: whoever reads it sees what was there or what came, never a part, also after a kill at
any moment. New rules stand beside the last good ones (``.NAME.good``) until Prometheus is known to
have them in force: so that a start finds what works (``unsettled_in``); a lock on those says that
somebody is about it. Where it ends: someone else who writes the file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wrapper.base import files
from wrapper.model.fetched_file import FileKind, has_known_ending
from wrapper.targets.answer_check import LARGEST_RULES, Content, Unacceptable, read_answer

NO_RULES = b"groups: []\n"
_GOOD = ".good"


class Failed(Exception):
    """The file could not be brought to what it should be; ``reason`` is a word for metrics."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FeedFile:
    """One such file, with one writer."""

    def __init__(self, path: str, kind: FileKind, largest: int) -> None:
        """Take its path and what it holds; a larger one is not looked into."""
        self.path = Path(path)
        self._kind = kind
        self._largest = largest
        self._good = self.path.parent / f".{self.path.name}{_GOOD}"
        self._left_as: tuple[int, ...] | None = None
        self._claim: int | None = None

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

    def bring(self, data: bytes, mode: int) -> bool:
        """Have it hold this; tell whether that took writing; raise Failed."""
        if self.is_current(data, mode):
            return False
        self.replace(data, mode)
        return True

    def replace(self, data: bytes, mode: int) -> None:
        """Put this in its place; raise Failed."""
        with self._told():
            files.write_atomically(self.path, data, mode)
        self._left_as = files.identity(self.path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which file it is that cannot be written."""
        try:
            yield
        except OSError as error:
            raise Failed("write", f"{self.path}: {error.strerror or error}") from error

    # --- rules, until Prometheus has them in force ---

    @property
    def is_unsettled(self) -> bool:
        """Whether what it holds is not known to be in force."""
        return self._good.exists()

    def keep(self, mode: int) -> None:
        """Keep what it holds, the last good, beside it, and hold that; raise Failed."""
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
        """Note that what it holds is in force."""
        with suppress(FileNotFoundError):
            self._good.unlink()
        self._let_go()

    def put_back(self) -> None:
        """Put the last good in its place again; raise OSError."""
        self._good.replace(self.path)
        self._left_as = None
        self._let_go()

    def make_way(self, mode: int) -> None:
        """Have it hold the last good, which stays beside it: Prometheus has yet to load that."""
        if self.is_unsettled:
            self.bring(self._good.read_bytes(), mode)

    def _let_go(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def unsettled_in(folder: Path) -> Iterator[FeedFile]:
    """Yield the files whose newest rules were never confirmed, also those that a task had made.

    Those that a running program is about are not among them.
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
            pass  # whoever cannot open it may still put it back
        yield FeedFile(str(path), FileKind.RULES, LARGEST_RULES)
        if claim is not None:
            os.close(claim)


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds a file, None where its filesystem knows no such locks.

    Raises BlockingIOError where somebody else holds it, OSError where it cannot be opened.
    """
    claim = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # NFS gives a writer's lock to writers only
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise
    except OSError:
        os.close(claim)
        return None
    return claim
