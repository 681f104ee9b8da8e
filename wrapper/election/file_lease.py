"""The lease as a lock file on one machine: ``flock`` says who holds it, the content what they say.

The guarantee: the kernel lets one open file description hold the lock, and frees it only when the
last copy of the holder's descriptor is closed. Started with ``fileno()`` among its inherited
descriptors, Prometheus keeps the lock until it is dead too, whatever becomes of its supervisor. So
a lock that nobody holds is a release to be trusted, without waiting for any duration.

Where it ends: one machine, and a local file system (NFS has other rules for ``flock``). Whoever
removes or replaces the file takes the lock away from under its holder: the holder notices at its
next renewal and gives up, but until then a newcomer can hold the new file. Where Prometheus has
inherited the descriptor of the old one, a lock on the new one could be free before Prometheus is
dead: such a replica does not contend again before both have been started anew. Where nobody has
inherited it (as sidecar), the new file is opened. Its lock says nothing of who holds the old one,
and its content may be a copy: until somebody has been seen to hold it, it is read as no lease, so
that the holder who was last seen in the old file is waited out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from wrapper.election.lock_content import content_of, put
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease

# Others hold the lock for an instant to see whether it is free.
_TRIES = 20
_PAUSE_S = 0.001
_LOOK_PERIOD_S = 0.1


class FileLease:
    """A `LeaseLock` in one file: opened (and made) at once, locked by the first write.

    ``is_inherited``: Prometheus gets ``fileno()``. Raise LeaseUnavailable where the file cannot be
    opened, or is not to be trusted.
    """

    def __init__(
        self, path: str | os.PathLike[str], incarnation: str, *, is_inherited: bool = True
    ) -> None:
        self._path = Path(path)
        self._incarnation = incarnation
        self._is_inherited = is_inherited
        self._fd = _open_lock(self._path)
        self._is_held = False
        self._is_trusted = True  # a free lock means that nobody leads
        self._loss_is_untold = False
        self._vigil: _Vigil | None = None
        self._watches: set[threading.Event] = set()

    def fileno(self) -> int:
        """Return the descriptor that carries the lock, for Prometheus to inherit."""
        return self._fd

    def describe(self) -> str:
        """Return ``lock file PATH``."""
        return f"lock file {self._path}"

    def read(self) -> ObservedLease:
        """Return the record, without its holder when nobody holds the lock.

        Once after the file was removed from under its holder, a record of nobody; then
        LeaseUnavailable, or the new file's: no record before its lock has been held.
        """
        if not self._is_in_place():
            if self._has_news_of_loss():
                return ObservedLease(LeaseRecord())
            self._reopen()
        if self._is_held:
            return content_of(self._fd)
        with _guarded(self._path), _opened(self._path) as probe:
            if not os.path.samestat(os.fstat(probe), os.fstat(self._fd)):
                return ObservedLease(None)  # replaced just now
            is_free = _try_lock(probe, fcntl.LOCK_SH)
            self._is_trusted = self._is_trusted or not is_free
            return self._judged(content_of(probe), is_free=is_free)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Take or keep the lock and write the record; without a holder, write it and unlock.

        Raise LeaseConflict where another holds the lock or has written since ``version``.
        """
        if not self._is_in_place():
            raise self._lost()
        with _guarded(self._path):
            if not record.holder:
                return self._release(record)
            return self._hold(record, version)

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report None once the holder has gone, or once something was written to a free lock.

        While we hold the lock ourselves it only waits, until ``close``.
        """
        closed = threading.Event()
        self._watches.add(closed)
        try:
            while not closed.is_set():
                if self._has_changed(seen, closed):
                    on_change(None)
                    return
        finally:
            self._watches.discard(closed)

    def close(self) -> None:
        """End the watches that run in other threads, within half a second."""
        for closed in tuple(self._watches):
            closed.set()

    # --- the lock ---

    def _hold(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Keep the lock, or take it unless the record cannot be written."""
        was_held = self._is_held
        self._take(version)
        try:
            return put(self._fd, record)
        except OSError:
            if not was_held:
                self._unlock()
            raise

    def _take(self, version: str | None) -> None:
        """Hold the lock, knowing what its last holder wrote."""
        if self._is_held:
            return
        if not _lock_soon(self._fd):
            raise LeaseConflict(f"another process holds {self._path}")
        self._is_held = True
        if content_of(self._fd).version != version:
            self._unlock()
            raise LeaseConflict(f"{self._path} has been written since it was read")
        self._is_trusted = True

    def _release(self, record: LeaseRecord) -> ObservedLease:
        """Unlock, whether or not the record could be written: a free lock says enough."""
        if not self._is_held:
            raise LeaseConflict(f"we do not hold {self._path}")
        try:
            return put(self._fd, record)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        self._is_held = False
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _judged(self, seen: ObservedLease, *, is_free: bool) -> ObservedLease:
        """Take the holder's name out of a record whose lock is free, and vouch for that."""
        record = seen.record
        if record is None and seen.version is not None and not is_free:
            raise LeaseUnavailable(f"the record in {self._path} is damaged", "damaged")
        if record is None or not is_free:
            return seen
        if not self._is_trusted:
            return replace(seen, record=None)
        incarnation = record.incarnation or self._incarnation
        return replace(seen, record=replace(record, holder="", incarnation=incarnation))

    # --- a file that was removed ---

    def _is_in_place(self) -> bool:
        """Tell whether the path still leads to the file that we opened."""
        with contextlib.suppress(OSError):
            found = self._path.stat(follow_symlinks=False)
            return os.path.samestat(found, os.fstat(self._fd))
        return False

    def _lost(self) -> LeaseConflict | LeaseUnavailable:
        """Give the old file's lock up; return what a write ends with."""
        if self._is_held:
            self._unlock()
            self._loss_is_untold = True
        elif self._is_inherited:
            return self._removed()
        return LeaseConflict(f"{self._path} was removed or replaced: its lock is worth nothing")

    def _has_news_of_loss(self) -> bool:
        """Tell once that a lock that was held is lost, so that its holder demotes."""
        if self._is_held:
            self._lost()
        is_news, self._loss_is_untold = self._loss_is_untold, False
        return is_news

    def _reopen(self) -> None:
        """Open the file that is there now, or make it; raise LeaseUnavailable."""
        if self._is_inherited:
            raise self._removed()
        fd = _open_lock(self._path)
        os.close(self._fd)
        self._fd = fd
        self._is_trusted = False
        self._vigil = None  # it waits for the holder of the old one

    def _removed(self) -> LeaseUnavailable:
        return LeaseUnavailable(
            f"the lock file {self._path} was removed or replaced, and Prometheus holds the old one:"
            " start this replica again",
            "removed",
            needs_restart=True,
        )

    # --- watching ---

    def _has_changed(self, seen: ObservedLease, closed: threading.Event) -> bool:
        """Wait a little for the holder's end; where there was none, look what stands there now."""
        if seen.record is not None and seen.record.holder and not self._is_held:
            return self._is_holder_gone() or self._names_another(seen.record)
        if closed.wait(_LOOK_PERIOD_S) or self._is_held:
            return False
        with _guarded(self._path), _opened(self._path) as probe:
            return content_of(probe).version != seen.version

    def _is_holder_gone(self) -> bool:
        vigil = self._vigil  # several watches may share it for a while: one that was closed lingers
        if vigil is None:
            vigil = _Vigil(self._path)
            vigil.start()
            self._vigil = vigil
        vigil.join(_LOOK_PERIOD_S)
        if vigil.is_alive():
            return False
        if self._vigil is vigil:
            self._vigil = None
        return True

    def _names_another(self, record: LeaseRecord) -> bool:
        """Tell whether the lock has passed on too quickly for the vigil, which still waits."""
        with _guarded(self._path), _opened(self._path) as probe:
            found = content_of(probe).record
        return found is not None and found.holder not in {"", record.holder}


class _Vigil(threading.Thread):
    """A thread that ends when nobody holds the lock; it cannot be told to end earlier."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="lock-vigil", daemon=True)
        self._path = path

    def run(self) -> None:
        """Wait for the lock as one of many, and let go of it at once."""
        with contextlib.suppress(OSError), _opened(self._path) as probe:
            fcntl.flock(probe, fcntl.LOCK_SH)


# --- opening ---


def _open_lock(path: Path) -> int:
    with _guarded(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _trust(path.parent)
        if path.is_symlink():
            raise LeaseUnavailable(f"{path} is a symbolic link: name the file itself", "file")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(path, flags, 0o600)
        try:
            _trust(path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _trust(path: Path) -> None:
    """Raise LeaseUnavailable for what others may have put into a folder that all may write to."""
    own = path.lstat()
    if path.name and path.parent.stat().st_mode & stat.S_IWOTH:
        if stat.S_ISLNK(own.st_mode):
            raise LeaseUnavailable(f"{path} is a symbolic link: use another folder", "file")
        if own.st_uid not in {0, os.geteuid()}:
            raise LeaseUnavailable(f"{path} belongs to another user: use another folder", "file")
    if not (stat.S_ISREG(own.st_mode) or path.is_dir()):
        raise LeaseUnavailable(f"{path} is not a regular file: name another", "file")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Give a descriptor of an open file description of its own, so of its own lock."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"the lock file {path} cannot be used: {error.strerror or error}"
        raise LeaseUnavailable(text, "file") from error


# --- locking ---


def _try_lock(fd: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    return False


def _lock_soon(fd: int) -> bool:
    for _ in range(_TRIES):
        if _try_lock(fd, fcntl.LOCK_EX):
            return True
        time.sleep(_PAUSE_S)
    return False
