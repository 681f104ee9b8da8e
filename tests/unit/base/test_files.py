"""Files: bounded inputs, outputs that are replaced whole or not at all, and the output's lock."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrapper.base.files import (
    InputError,
    OutputInUse,
    OutputLock,
    create_locked,
    identity,
    is_current,
    is_replaceable,
    read_input,
    remove_leftovers,
    write_atomically,
)
from wrapper.base.shown_text import printable

LIMIT = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder, under a umask that allows nothing to others."""
    old = os.umask(0o077)
    yield tmp_path
    os.umask(old)
    tmp_path.chmod(0o700)


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


# --- inputs ---------------------------------------------------------------------------------------


def test_input_is_read_up_to_the_limit(folder: Path) -> None:
    """An input is read unchanged, if it is not larger than the limit."""
    path = folder / "in.yml"
    path.write_bytes(b"x" * LIMIT)
    assert read_input(path, LIMIT) == b"x" * LIMIT


def test_gzip_is_recognised_by_content(folder: Path) -> None:
    """A gzip file is recognised by its first bytes, not its name; it may have several members."""
    path = folder / "in.yml"
    path.write_bytes(gzip.compress(b"a: 1\n") + gzip.compress(b"b: 2\n"))
    assert read_input(path, LIMIT) == b"a: 1\nb: 2\n"
    (folder / "in.gz").write_bytes(b"a: 1\n")
    assert read_input(folder / "in.gz", LIMIT) == b"a: 1\n"


def test_limit_applies_to_unpacked_content(folder: Path) -> None:
    """A small file that unpacks to a large one is refused, as a large one is."""
    packed, plain = folder / "packed", folder / "plain"
    packed.write_bytes(gzip.compress(b"x" * (LIMIT + 1)))
    plain.write_bytes(b"x" * (LIMIT + 1))
    for path in (packed, plain):
        with pytest.raises(InputError, match=f"{path}: more than {LIMIT} bytes; "):
            read_input(path, LIMIT)


def test_device_without_end_is_bounded() -> None:
    """A device without end is read up to the limit only; /dev/null is an empty input."""
    with pytest.raises(InputError, match="/dev/zero: more than 1000 bytes; "):
        read_input(Path("/dev/zero"), LIMIT)
    assert read_input(Path("/dev/null"), LIMIT) == b""


@pytest.mark.parametrize("cut", [-1, 12])
def test_damaged_gzip_is_refused(folder: Path, cut: int) -> None:
    """A truncated or damaged gzip file is an error that names the file."""
    path = folder / "in.yml"
    path.write_bytes(gzip.compress(b"a: 1\n")[:cut] if cut < 0 else b"\x1f\x8b" + b"x" * cut)
    with pytest.raises(InputError, match=r"in\.yml: gzip .*; compress it again"):
        read_input(path, LIMIT)


def test_unreadable_inputs_are_refused_with_a_reason(folder: Path) -> None:
    """Each unreadable input is reported with its path, cause and remedy."""
    (folder / "file").write_bytes(b"")
    os.mkfifo(folder / "pipe")
    expected = {
        folder / "none": "No such file or directory; create it, or correct the path",
        folder: "Is a directory; name a file in it",
        folder / "file" / "x": "Not a directory; correct the path",
        folder / "pipe": "a pipe, which cannot be read again; name a regular file",
    }
    refused = "no file can have this path; remove the characters that no path can have"
    expected |= {folder / "a\0b": refused, folder / "\ud800": refused}
    for path, said in expected.items():
        with pytest.raises(InputError) as raised:
            read_input(path, LIMIT)
        assert str(raised.value) == f"{printable(str(path))}: {said}"
        assert identity(path) is None or path.exists()


def test_input_without_permission_is_refused(folder: Path) -> None:
    """A file that the user may not read is refused with the remedy.

    If the test runs as root, another user reads the file.
    """
    path = folder / "in.yml"
    path.write_bytes(b"a: 1\n")
    path.chmod(0)
    program = (
        "import os, pathlib, sys; from wrapper.base.files import read_input\n"
        "os.chdir(sys.argv[1])\n"  # before the right to go there is given up
        "os.getuid() or os.setuid(65534)\n"
        "read_input(pathlib.Path('in.yml'), 9)\n"
    )
    folder.chmod(0o755)
    run = subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, check=False
    )
    assert "InputError: in.yml: Permission denied; let the user id that" in run.stderr


# --- outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_output_has_its_mode_with_any_umask(folder: Path, mode: int) -> None:
    """A new file has its content and mode, and no other file is left."""
    path = folder / "out.yml"
    write_atomically(path, b"a: 1\n", mode)
    assert path.read_bytes() == b"a: 1\n"
    assert path.stat().st_mode & 0o7777 == mode
    assert names(folder) == ["out.yml"]


def test_output_is_replaced_and_not_overwritten(folder: Path) -> None:
    """A process that has opened the old file continues to read the old content."""
    path = folder / "out.yml"
    write_atomically(path, b"old", 0o644)
    with path.open("rb") as old:
        write_atomically(path, b"new", 0o600)
        assert old.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o600


def test_leftover_of_a_killed_run_is_replaced(folder: Path) -> None:
    """A temporary file of an earlier run is replaced; a link in its place is not followed.

    In a container each run has the same process ID.
    """
    victim = folder / "victim"
    victim.write_bytes(b"mine")
    (folder / f".out.yml.tmp-{os.getpid()}").symlink_to(victim)
    write_atomically(folder / "out.yml", b"new", 0o600)
    assert names(folder) == ["out.yml", "victim"]
    assert victim.read_bytes() == b"mine"


def test_unused_leftovers_are_removed(folder: Path) -> None:
    """Temporary files are removed unless a process has locked them.

    The process ID in the name may be one of another container.
    """
    out = folder / "out.yml"
    (folder / ".out.yml.tmp-1").touch()
    (folder / ".out.yml.check-22").touch(mode=0o400)
    others = (".out.yml.tmp-", ".out.yml.tmp-1x", ".out.yml.good-1", ".out_yml.tmp-1", "tmp-1")
    for name in others:
        (folder / name).touch()
    (folder / ".out.yml.tmp-3").mkdir()
    with create_locked(folder / ".out.yml.tmp-4", b"", 0o600):
        remove_leftovers(out)
        assert names(folder) == sorted((*others, ".out.yml.tmp-3", ".out.yml.tmp-4"))
    remove_leftovers(out)
    assert names(folder) == sorted((*others, ".out.yml.tmp-3"))
    remove_leftovers(folder / "absent" / "out.yml")


def test_file_that_is_being_written_is_not_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary file in use, e.g. by another replica on the same volume, is not removed."""
    path, sync, removals = folder / "out.yml", os.fsync, list[int]()

    def removed(descriptor: int) -> None:
        remove_leftovers(path)
        removals.append(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", removed)
    write_atomically(path, b"new", 0o600)
    assert removals
    assert path.read_bytes() == b"new"


def test_failed_rename_leaves_no_trace(folder: Path) -> None:
    """If the rename fails, the temporary file is removed."""
    path = folder / "out.yml"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(path, b"new", 0o600)
    assert names(folder) == ["out.yml"]


def test_full_disk_keeps_the_old_file(folder: Path) -> None:
    """If a write fails half-way, the old file stays.

    A limit on file sizes replaces the full disk.
    """
    path = folder / "out.yml"
    write_atomically(path, b"old", 0o600)
    program = (
        "import pathlib, resource, signal, sys; from wrapper.base.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x' * 100_000, 0o600)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "File too large" in run.stderr
    assert path.read_bytes() == b"old"
    assert names(folder) == ["out.yml"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/dev/fd/1", "/dev/none", "/proc/x"])
def test_device_is_not_replaceable(path: str) -> None:
    """A device or a link to one is not replaceable: a rename would replace it for all programs."""
    assert not is_replaceable(Path(path))


def test_only_a_regular_file_is_replaceable(folder: Path) -> None:
    """Only a regular file, or one that does not exist yet, is replaceable."""
    (folder / "file").touch()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "to-file").symlink_to("file")
    (folder / "to-device").symlink_to("/dev/null")
    (folder / "to-nothing").symlink_to("none")
    names = ["file", "folder", "pipe", "to-file", "to-device", "to-nothing", "none"]
    replaceable = [name for name in names if is_replaceable(folder / name)]
    assert replaceable == ["file", "to-file", "to-nothing", "none"]
    assert is_replaceable(Path("/dev/shm/none"))


def test_path_behind_a_circle_of_links_is_replaceable(folder: Path) -> None:
    """A circle of links is no device; creating the file reports the actual problem."""
    (folder / "circle").symlink_to("circle")
    assert is_replaceable(folder / "circle" / "file")


def test_file_with_equal_bytes_and_mode_is_current(folder: Path) -> None:
    """A file is current only if it has the same bytes and the same mode."""
    path = folder / "out.yml"
    assert not is_current(path, b"", 0o600)
    write_atomically(path, b"abc", 0o600)
    assert is_current(path, b"abc", 0o600)
    assert not is_current(path, b"abd", 0o600)
    assert not is_current(path, b"abcd", 0o600)
    assert not is_current(path, b"abc", 0o644)
    assert not is_current(folder, b"abc", 0o600)


# --- the lock -------------------------------------------------------------------------------------


def test_second_holder_of_the_lock_is_refused(folder: Path) -> None:
    """A second holder of an output's lock is refused with its name; the lock's file stays."""
    os.umask(0)
    path = folder / "out.yml"
    with OutputLock(path), pytest.raises(OutputInUse, match=f"^{path}: another .*--output"):
        OutputLock(path)
    assert names(folder) == ["out.yml.lock"]
    assert (folder / "out.yml.lock").stat().st_mode & 0o7777 == 0o600
    with OutputLock(path) as lock:
        lock.close()
        OutputLock(path).close()


def test_lock_waits_for_its_holder(folder: Path) -> None:
    """With a wait, the lock is acquired as soon as it is free, and refused at the deadline."""
    path = folder / "out.yml"
    first = OutputLock(path)
    started = time.monotonic()
    with pytest.raises(OutputInUse):
        OutputLock(path, wait_s=0.1)
    assert time.monotonic() - started >= 0.1
    timer = threading.Timer(0.1, first.close)
    timer.start()
    OutputLock(path, wait_s=60).close()
    timer.join()
    assert time.monotonic() - started < 30, "not at the deadline only"


def test_child_that_inherits_the_lock_holds_it(folder: Path) -> None:
    """The lock is free when the last process with its descriptor has exited."""
    path = folder / "out.yml"
    with OutputLock(path) as lock:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    with pytest.raises(OutputInUse):
        OutputLock(path)
    child.communicate()
    OutputLock(path).close()


def test_other_child_does_not_hold_the_lock(folder: Path) -> None:
    """A child that was not given the descriptor does not hold the lock."""
    path = folder / "out.yml"
    with OutputLock(path):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    OutputLock(path).close()
    child.communicate()


def test_lock_file_that_is_a_link_is_refused(folder: Path) -> None:
    """A link in place of the lock's file is refused: it could lead two processes to two locks."""
    (folder / "out.yml.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        OutputLock(folder / "out.yml")
    assert names(folder) == ["out.yml.lock"]


def test_terminal_is_no_input() -> None:
    """A device without content is refused rather than waited for."""
    with pytest.raises(InputError, match=r"/dev/ptmx: a terminal or device without content; "):
        read_input(Path("/dev/ptmx"), LIMIT)
