"""Reads inputs up to a limit, replaces outputs atomically, and locks an output.

Guarantee: a reader of an output sees either the old content or the new, never a part of it. A
failed write leaves the old file unchanged.

Limitations: local filesystems only. A file that is itself a mount point cannot be replaced by a
rename (``EBUSY``).

Watching files is in ``configuration``.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import os
import re
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from wrapper.base import clock
from wrapper.base.shown_text import printable

_GZIP_MAGIC = b"\x1f\x8b"
_LOCK_RETRY_S = 0.02
_CURES = {
    errno.ENOENT: "create it, or correct the path",
    errno.ENOTDIR: "correct the path",
    errno.EACCES: "let the user id that this process runs as read it",
    errno.EPERM: "let the user id that this process runs as read it",
    errno.EISDIR: "name a file in it",
    errno.ELOOP: "correct the symbolic link",
    errno.EINVAL: "remove the characters that no path can have",
}


class InputError(Exception):
    """An input cannot be read. The text is one line: ``PATH: cause; cure``."""


class OutputInUse(Exception):
    """Another process holds the lock of this output. The text has the cure."""

    def __init__(self, output: Path) -> None:
        super().__init__(
            f"{output}: another prometheus-elector writes it; stop that one, or name another "
            "file with --output"
        )


def read_input(path: Path, limit: int) -> bytes:
    """Return a file's content, decompressed if it is gzip.

    Raises InputError if it cannot be read, or has more than ``limit`` bytes, compressed or not.
    """
    try:
        content = _content(path, limit)
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    return _unpacked(content, path, limit) if content.startswith(_GZIP_MAGIC) else content


def _unreadable(path: Path, error: OSError) -> str:
    cure = _CURES.get(error.errno or 0, "check the file and its filesystem")
    return f"{printable(str(path))}: {error.strerror or error}; {cure}"


def _content(path: Path, limit: int) -> bytes:
    with open_to_read(path) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{path}: a pipe, which cannot be read again; name a regular file")
        content = file.read(limit + 1)
        if content is None:
            raise InputError(f"{path}: a terminal or device without content; name a regular file")
        return _bounded(content, path, limit)


def open_to_read(path: str | Path) -> IO[bytes]:
    """Open a file without blocking; raise OSError, also for a path that no file can have."""
    try:
        return open(path, "rb", opener=open_without_waiting)
    except ValueError as error:  # the path has a NUL byte, or half of a surrogate pair
        raise OSError(errno.EINVAL, "no file can have this path") from error


def open_without_waiting(path: str, flags: int) -> int:
    """Open a path without waiting for the other end of a named pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unpacked(content: bytes, path: Path, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _bounded(file.read(limit + 1), path, limit)
    except (OSError, EOFError, zlib.error) as error:
        text = f"{path}: gzip that cannot be decompressed ({error}); compress it again"
        raise InputError(text) from error


def _bounded(content: bytes, path: Path, limit: int) -> bytes:
    if len(content) > limit:
        raise InputError(f"{path}: more than {limit} bytes; check that it is the right file")
    return content


def listed(path: Path) -> tuple[Path, ...]:
    """Return a folder's YAML files sorted by name, or the file itself; none if it does not exist.

    Hidden files (a ConfigMap's ``..data``, an editor's ``.#x.yml``) are ignored. Raises InputError
    if a folder cannot be listed, or symbolic links form a loop.
    """
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return (path,)
        names = sorted(name for name in os.listdir(path) if is_fragment(name))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    return tuple(path / name for name in names)


def is_fragment(name: str) -> bool:
    """Return whether a file with this name is read if it is in a folder of inputs."""
    return name.endswith((".yml", ".yaml")) and not name.startswith(".")


def resolve_folder(path: Path) -> Path:
    """Return a file's path with its folder's symbolic links resolved, but not the file's own."""
    # Path.resolve raises RuntimeError for links that lead in a circle, before Python 3.13.
    return Path(os.path.realpath(path.parent)) / path.name


def identity(path: Path) -> tuple[int, ...] | None:
    """Return a value that changes whenever the file changes; None if there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError for a path that no file can have
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def is_current(path: Path, content: bytes, mode: int) -> bool:
    """Return whether a file has exactly this content and these permission bits."""
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mode & 0o7777) != (len(content), mode):
                return False
            return file.read() == content
    except OSError:
        return False


def write_if_changed(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically, unless it has this content and these permission bits already.

    Raises OSError.
    """
    if not is_current(path, content, mode):
        write_atomically(path, content, mode)


def write_atomically(path: Path, content: bytes, mode: int, owner: int | None = None) -> None:
    """Replace or create a file, with these permission bits regardless of the umask.

    ``owner`` is the user id of the new file; None for that of this process. A symbolic link is
    replaced, not followed. Raises OSError; the old file is then unchanged.
    """
    with (
        _temporary_beside(path) as temporary,
        create_locked(temporary, content, mode, owner) as descriptor,
    ):
        os.fsync(descriptor)
        temporary.rename(path)
    with suppress(OSError):  # the new file is in place; only a power cut could undo that
        _sync_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of this file that killed processes have left.

    A file that a running process uses is locked (``create_locked``). Its process ID would not show
    that: on a shared volume, it may be one of another container.
    """
    is_temporary = re.compile(rf"\.{re.escape(path.name)}\.(tmp|check)-[0-9]+").fullmatch
    with suppress(OSError):
        for name in filter(is_temporary, os.listdir(path.parent)):  # noqa: PTH208 - names suffice
            _remove_unlocked(path.parent / name)


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


def temporary_beside(path: Path, kind: str = "tmp") -> Path:
    """Return this process' name for a temporary file beside a file; ``kind``: tmp or check."""
    return path.parent / f".{path.name}.{kind}-{os.getpid()}"


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """Provide a name for a new file beside a file, and remove the new file after an error."""
    temporary = temporary_beside(path)
    temporary.unlink(missing_ok=True)  # left by an earlier run with the same process id
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def create_locked(path: Path, content: bytes, mode: int, owner: int | None = None) -> Iterator[int]:
    """Create a file, and keep it open and locked, so that ``remove_leftovers`` spares it.

    Provide its descriptor. At no moment has it more permissions than ``mode``. Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 & mode)
    try:
        with suppress(OSError):  # not all filesystems have locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if owner is not None and owner != os.geteuid():
            os.fchown(descriptor, owner, -1)
        os.fchmod(descriptor, mode)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: Path) -> bool:
    """Return whether a path exists and can be reached.

    Unlike ``Path.exists``, it raises no error if a folder on the way cannot be entered.
    """
    return os.path.exists(path)  # noqa: PTH110 - see above


def folder_problem(folder: Path) -> str:
    """Return why this process cannot create files in a folder, with the cure; "" if it can."""
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except PermissionError:
        return f"user {os.getuid()} cannot enter the folders above {folder}; name another folder"
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        return f"its folder {folder} does not exist; create it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"user {os.getuid()} cannot write in {folder}; name a folder where it can"
    return ""


def is_replaceable(path: Path) -> bool:
    """Return whether a path is that of a regular file or of none, so that a rename may replace it.

    A rename would replace a device like /dev/null, or a link to one like /dev/stdout, for the whole
    machine.
    """
    folder = resolve_folder(path).parent
    if folder == Path("/dev") or Path("/proc") in (folder, *folder.parents):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def make_own_folder(folder: Path) -> None:
    """Create a folder with mode 0700 if it does not exist, and its parents with the usual mode.

    Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


class OutputLock:
    """The lock that permits to write an output, held from construction until ``close``.

    It is a ``flock`` on ``OUTPUT.lock``. That file is never removed: otherwise, two processes could
    lock two files of the same name. A child that inherits ``fileno`` holds the lock too, until it
    exits. The constructor raises OutputInUse if another process holds the lock for longer than
    ``wait_s``, and OSError if the lock file cannot be opened.
    """

    def __init__(self, output: Path, wait_s: float = 0.0) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(f"{output}.lock", flags, 0o600)
        if not self._is_locked_by(clock.now() + wait_s):
            self.close()
            raise OutputInUse(output)

    def _is_locked_by(self, deadline_at: float) -> bool:
        """Try to lock until the deadline, at least once; return whether that succeeded."""
        while not self._try_lock():
            left_s = deadline_at - clock.now()
            if left_s <= 0:
                return False
            time.sleep(min(_LOCK_RETRY_S, left_s))
        return True

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def fileno(self) -> int:
        """Return the descriptor, for a child to inherit."""
        return self._descriptor

    def close(self) -> None:
        """Release the lock, as far as this process holds it. A second call has no effect."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
