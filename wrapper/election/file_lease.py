"""The lease as a lock file on one machine: ``flock`` decides who holds it, the file has the record.

Guarantee: the kernel lets one open file description hold the lock, and frees it when the last copy
of the holder's descriptor is closed. Prometheus inherits the descriptor ``fileno()``. So it keeps
the lock until it is dead too, even if its supervisor dies first. A free lock therefore means that
the lease was released, and no candidate has to wait for its duration.

Limitations: it works on one machine, and on a local file system (``flock`` differs on NFS). If
somebody removes or replaces the file, the holder notices that at its next renewal, and gives up the
lease. Until then, another replica can lock the new file. After that:

- If Prometheus has inherited the old file's descriptor, the lock on a new file could be free while
  Prometheus still runs. Such a replica contends again only after it and Prometheus have been
  restarted.
- In a sidecar, Prometheus has not inherited it, and the new file is opened. Its lock does not show
  who holds the old file, and its content may be a copy. Until a holder of the new lock has been
  seen, the file is read as "no lease", so that the holder last seen in the old file still counts.
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

from wrapper.base import threads
from wrapper.election.lock_content import content_of, put
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease

# Other replicas hold the lock briefly to test whether it is free, so it is tried several times.
_TRIES = 20
_PAUSE_S = 0.001
_LOOK_PERIOD_S = 0.1


class FileLease:
    """A `LeaseLock` in one file: opened or created immediately, locked by the first write.

    ``is_inherited`` is whether Prometheus inherits ``fileno()``. Raise LeaseUnavailable if the file
    cannot be opened, or if another user may have put it there.
    """

    def __init__(
        self, path: str | os.PathLike[str], incarnation: str, *, is_inherited: bool = True
    ) -> None:
        self._path = Path(path)
        self._incarnation = incarnation
        self._is_inherited = is_inherited
        self._fd = _open_lock(self._path)
        self._is_held = False
        self._written_as: tuple[str, str | None] | None = None  # holder and incarnation
        self._is_trusted = True  # a free lock means that nobody leads
        self._is_loss_unreported = False
        self._holder_wait: _HolderWait | None = None
        self._watches: set[threading.Event] = set()

    def fileno(self) -> int:
        """Return the descriptor that carries the lock, for Prometheus to inherit."""
        return self._fd

    def describe(self) -> str:
        """Return ``lock file PATH``."""
        return f"lock file {self._path}"

    def read(self) -> ObservedLease:
        """Return the record; its holder is empty if the lock is free.

        If the file was removed while we held its lock, return an empty record once. After that,
        raise LeaseUnavailable or, in a sidecar, read the new file.
        """
        if not self._is_in_place():
            if self._report_loss_once():
                return ObservedLease(LeaseRecord())
            self._reopen()
        if self._is_held:
            with _oserror_as_unavailable(self._path):
                return content_of(self._fd)
        with _oserror_as_unavailable(self._path), _opened(self._path) as probe:
            if not os.path.samestat(os.fstat(probe), os.fstat(self._fd)):
                return ObservedLease(None)  # replaced just now
            is_free = _try_lock(probe, fcntl.LOCK_SH)
            self._is_trusted = self._is_trusted or not is_free
            return self._with_lock_state(content_of(probe), is_free=is_free)

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Take or keep the lock and write the record; if it has no holder, write it and unlock.

        Raise LeaseConflict if another process holds the lock, or has written since ``version``.
        """
        if not self._is_in_place():
            raise self._give_up_removed()
        with _oserror_as_unavailable(self._path):
            if not record.holder:
                return self._release(record)
            return self._hold(record, version)

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report None once the holder is gone, or once the record of a free lock has changed.

        While we hold the lock ourselves, nothing is reported.
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
        """End the watches in other threads, within half a second."""
        for closed in tuple(self._watches):
            closed.set()

    # --- the lock ---

    def _hold(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Take or keep the lock and write; if that fails, free a lock that was just taken."""
        was_held = self._is_held
        try:
            self._take(version)
            self._written_as = (record.holder, record.incarnation)
            return put(self._fd, record)
        except OSError:
            if not was_held:
                self._unlock()
            raise

    def _take(self, version: str | None) -> None:
        """Take the lock, if the record still has this version."""
        if self._is_held:
            return
        if not _lock_soon(self._fd):
            raise LeaseConflict(f"another process holds {self._path}")
        self._is_held = True
        if content_of(self._fd).version != version:
            self._unlock()
            raise LeaseConflict(f"{self._path} has changed since it was read")
        self._is_trusted = True

    def _release(self, record: LeaseRecord) -> ObservedLease:
        """Write the record and unlock; unlock also if the write fails: a free lock is a release."""
        if not self._is_held:
            raise LeaseConflict(f"this replica does not hold {self._path}")
        try:
            return put(self._fd, record)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        self._is_held = False
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _with_lock_state(self, seen: ObservedLease, *, is_free: bool) -> ObservedLease:
        """Return the record; if its lock is free, as a release: no holder, and an incarnation."""
        record = seen.record
        if record is None and seen.version is not None and not is_free:
            raise LeaseUnavailable(f"the record in {self._path} is damaged", "damaged")
        # A write that failed can leave our record; the process that now has the lock has not
        # written yet.
        is_left = record is not None and (record.holder, record.incarnation) == self._written_as
        if record is None or not (is_free or is_left):
            return seen
        if not self._is_trusted:
            return replace(seen, record=None)
        incarnation = record.incarnation or self._incarnation
        return replace(seen, record=replace(record, holder="", incarnation=incarnation))

    # --- a removed file ---

    def _is_in_place(self) -> bool:
        """Return whether the path still names the file that we opened."""
        with contextlib.suppress(OSError):
            found = self._path.stat(follow_symlinks=False)
            return os.path.samestat(found, os.fstat(self._fd))
        return False

    def _give_up_removed(self) -> LeaseConflict | LeaseUnavailable:
        """Give up the lock of the removed file; return the error for a write."""
        if self._is_held:
            self._unlock()
            self._is_loss_unreported = True
        elif self._is_inherited:
            return self._needs_restart()
        return LeaseConflict(
            f"{self._path} was removed or replaced: the lock on the old file no longer protects it"
        )

    def _report_loss_once(self) -> bool:
        """Return True once if a held lock was lost, so that this replica demotes."""
        if self._is_held:
            self._give_up_removed()
        is_unreported, self._is_loss_unreported = self._is_loss_unreported, False
        return is_unreported

    def _reopen(self) -> None:
        """Open the new file, or create it; raise LeaseUnavailable."""
        if self._is_inherited:
            raise self._needs_restart()
        fd = _open_lock(self._path)
        os.close(self._fd)
        self._fd = fd
        self._is_trusted = False

    def _needs_restart(self) -> LeaseUnavailable:
        return LeaseUnavailable(
            f"the lock file {self._path} was removed or replaced, and Prometheus holds the old one:"
            " restart this replica",
            "removed",
            needs_restart=True,
        )

    # --- watching ---

    def _has_changed(self, seen: ObservedLease, closed: threading.Event) -> bool:
        """Wait briefly for the holder to end; if the lock was free, compare the record."""
        if seen.record is not None and seen.record.holder and not self._is_held:
            return self._is_holder_gone() or self._names_another(seen.record)
        if closed.wait(_LOOK_PERIOD_S) or self._is_held:
            return False
        with _oserror_as_unavailable(self._path), _opened(self._path) as probe:
            return content_of(probe).version != seen.version

    def _is_holder_gone(self) -> bool:
        """Wait briefly for the holder's lock.

        All watches share one waiting thread, because it cannot be ended.
        """
        wait, fd = self._holder_wait, self._fd
        if wait is None or wait.fd != fd:  # the old thread waits for a file that was replaced
            wait = _HolderWait(self._path, fd)
            with _oserror_as_unavailable(self._path):
                threads.start(wait)
            self._holder_wait = wait
        wait.join(_LOOK_PERIOD_S)
        if wait.is_alive():
            return False
        if self._holder_wait is wait:
            self._holder_wait = None
        return True

    def _names_another(self, record: LeaseRecord) -> bool:
        """Return whether the record names another holder.

        A lock can change its holder without being seen free.
        """
        with _oserror_as_unavailable(self._path), _opened(self._path) as probe:
            found = content_of(probe).record
        return found is not None and found.holder not in {"", record.holder}


class _HolderWait(threading.Thread):
    """A thread that ends when the lock is free; it cannot be ended earlier.

    ``fd`` is the descriptor that the lease had then. After the file is replaced, the lease has
    another.
    """

    def __init__(self, path: Path, fd: int) -> None:
        super().__init__(name="lock-wait", daemon=True)
        self._path = path
        self.fd = fd

    def run(self) -> None:
        """Take a shared lock, which many may wait for, and free it at once."""
        with contextlib.suppress(OSError), _opened(self._path) as probe:
            fcntl.flock(probe, fcntl.LOCK_SH)


# --- opening ---


def _open_lock(path: Path) -> int:
    with _oserror_as_unavailable(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(path.parent)
        if path.is_symlink():
            raise LeaseUnavailable(f"{path} is a symbolic link: name the file itself", "file")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(path, flags, 0o600)
        try:
            _check_owner(path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _check_owner(path: Path) -> None:
    """Raise LeaseUnavailable if another user may have put the path there, or it is no regular file.

    A link, or a file of another user, is refused in a folder that everyone may write to.
    """
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
    """Open the file again: a lock belongs to an open file description."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _oserror_as_unavailable(path: Path) -> Iterator[None]:
    """Raise LeaseUnavailable in place of an OSError."""
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
