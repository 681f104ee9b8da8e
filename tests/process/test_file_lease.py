"""The lock file between real processes: its holder, its holder's death, and damaged files."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import least, refuse_threads, wait_until
from wrapper.election import lock_content
from wrapper.election.file_lease import FileLease, _HolderWait
from wrapper.election.lease_rules import (
    LeaseRequest,
    LeaseTerms,
    leads,
    next_step,
    on_observed,
    on_send,
)
from wrapper.model.lease import (
    LeaseConflict,
    LeaseLock,
    LeaseRecord,
    LeaseUnavailable,
    LeaseView,
    ObservedLease,
)
from wrapper.model.roles import Stance

HOLDER = """
import subprocess, sys, time
from wrapper.election.file_lease import FileLease, _HolderWait
from wrapper.model.lease import LeaseRecord
lease = FileLease(sys.argv[1], "other")
child = subprocess.Popen(["sleep", "60"], pass_fds=[lease.fileno()])
lease.write(LeaseRecord("other", 15.0, "then", "then", 7, "other"), None)
print(child.pid, flush=True)
time.sleep(60)
"""
OURS = LeaseRecord("us", 15.0, "t1", "t1", 0, "mine", "http://127.0.0.1:9090")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a lock file that does not exist, in a folder that does not exist."""
    return tmp_path / "new" / "folder" / "lock"


@contextlib.contextmanager
def holding(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a process that holds the lock, and its child that has inherited the descriptor."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        child = int(process.stdout.readline())
        yield process, child
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def holder(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run such a process, and return it and the PID of its child."""
    with holding(path) as both:
        yield both


def is_free(lease: FileLease) -> bool:
    """Return whether the lease names no holder."""
    record = lease.read().record
    return record is not None and not record.holder


def watched(lease: FileLease, seen: ObservedLease) -> tuple[threading.Thread, list[float]]:
    """Watch in a thread; return the thread, and the times of its reports."""
    times: list[float] = []
    thread = threading.Thread(
        target=lease.watch, args=(seen, lambda _: times.append(time.monotonic())), daemon=True
    )
    thread.start()
    return thread, times


def test_file_lease_is_a_lease_lock(path: Path) -> None:
    """The class implements the protocol, and describes its file."""
    lock: LeaseLock = FileLease(path, "mine")
    assert lock.describe() == f"lock file {path}"


def test_a_new_file_is_private_and_has_no_lease(path: Path) -> None:
    """A new file and its folder belong to the owner only, and the file holds no lease."""
    lease = FileLease(path, "mine")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert lease.read() == ObservedLease(None)
    assert not os.get_inheritable(lease.fileno())


def test_all_replicas_read_the_written_record(path: Path) -> None:
    """Holder and others read the complete record; each write gives a new version."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    first = lease.write(OURS, None)
    assert first.record == OURS
    assert lease.read() == first
    assert other.read() == first
    assert lease.write(LeaseRecord("us", 15.0, "t1", "t2"), first.version).version != first.version


def test_a_held_lock_is_a_conflict(path: Path) -> None:
    """While a replica holds the lock, another one's write is a conflict, for any version."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    for version in (None, seen.version):
        with pytest.raises(LeaseConflict, match="another process holds"):
            other.write(LeaseRecord("them"), version)
    assert lease.read() == seen


def test_a_version_that_is_out_of_date_is_a_conflict(path: Path) -> None:
    """A write to a free lock with an old version is a conflict."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    released = lease.write(LeaseRecord(), lease.write(OURS, None).version)
    with pytest.raises(LeaseConflict, match="changed since"):
        other.write(LeaseRecord("them"), None)
    assert other.write(LeaseRecord("them"), released.version).record == LeaseRecord("them")


def test_a_release_frees_the_lock_at_once(path: Path) -> None:
    """A release frees the lock for others; only the holder can release it."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    with pytest.raises(LeaseConflict, match="does not hold"):
        other.write(LeaseRecord(), seen.version)
    released = lease.write(LeaseRecord(transitions=4, incarnation="mine"), seen.version)
    assert other.read() == released
    other.write(LeaseRecord("them"), released.version)


def test_a_writer_waits_for_a_probing_reader(path: Path) -> None:
    """A write waits for a reader that locks the file only to test whether it is free."""
    lease = FileLease(path, "mine")
    probe = os.open(path, os.O_RDONLY)
    fcntl.flock(probe, fcntl.LOCK_SH)
    threading.Timer(0.005, os.close, [probe]).start()
    assert lease.write(OURS, None).record == OURS


def test_the_lock_is_free_only_after_the_childs_death(
    path: Path, holder: tuple[subprocess.Popen[bytes], int]
) -> None:
    """After the holder's death its child keeps the lock; after the child's, the lock is free."""
    process, child = holder
    lease = FileLease(path, "mine")
    process.kill()
    process.wait()
    seen = lease.read()
    assert seen.record is not None
    assert seen.record.holder == "other"
    with pytest.raises(LeaseConflict):
        lease.write(OURS, seen.version)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: is_free(lease), 15, "the lock is free")
    freed = lease.read()
    assert freed == ObservedLease(LeaseRecord("", 15.0, "then", "then", 7, "other"), seen.version)
    assert lease.write(OURS, freed.version).record == OURS


def test_a_watch_reports_the_holders_end_at_once(path: Path) -> None:
    """A watch reports within 0.2 s that the last process with the descriptor has ended."""

    def report_s() -> float:
        with holding(path) as (process, child):
            lease = FileLease(path, "mine")
            thread, times = watched(lease, lease.read())
            process.kill()
            process.wait()
            thread.join(0.3)
            assert thread.is_alive()
            killed_at = time.monotonic()
            os.kill(child, signal.SIGKILL)
            thread.join(15)
            assert len(times) == 1
            return times[0] - killed_at

    assert least(report_s, 0.2) < 0.2


def test_a_watch_of_a_free_lock_reports_a_new_holder(path: Path) -> None:
    """A watch of a free lock waits, and reports once when a replica acquires it."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    thread, times = watched(other, other.read())
    thread.join(0.3)
    assert thread.is_alive()
    lease.write(OURS, None)
    thread.join(15)
    assert len(times) == 1


def test_a_watch_reports_a_change_of_the_record(path: Path) -> None:
    """A watch reports a new record, also if the lock was not free in between."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    thread, times = watched(other, seen)
    thread.join(0.3)
    assert thread.is_alive()
    lease.write(dataclasses.replace(OURS, holder="them", transitions=1), seen.version)
    thread.join(5)
    assert len(times) == 1


@pytest.mark.parametrize("who", ["holder", "other"])
def test_a_watch_can_be_closed(path: Path, who: str) -> None:
    """A watch that is closed by another thread ends without a report, also the holder's."""
    leases = {"holder": FileLease(path, "mine"), "other": FileLease(path, "other")}
    seen = leases["holder"].write(OURS, None)
    thread, times = watched(leases[who], seen)
    thread.join(0.3)
    assert thread.is_alive()
    leases[who].close()
    thread.join(15)
    assert not thread.is_alive()
    assert times == []
    leases[who].close()


def test_closed_watches_share_one_waiting_thread(path: Path) -> None:
    """Closed watches leave one thread, which waits in the kernel and is reused."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    before = threading.active_count()
    for _ in range(5):
        thread, _times = watched(other, seen)
        wait_until(lambda: other._holder_wait, 15, "the watch waits")
        other.close()
        thread.join(15)
    assert threading.active_count() == before + 1
    lease.write(LeaseRecord(), seen.version)
    wait_until(lambda: threading.active_count() == before, 15, "the last one has ended")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_overlapping_watches_all_report(path: Path) -> None:
    """If watches overlap, each one reports the end of the holder."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    watches = [watched(other, seen) for _ in range(20)]
    wait_until(lambda: other._holder_wait, 15, "they wait")
    lease.write(LeaseRecord(), seen.version)
    for thread, _ in watches:
        thread.join(15)
    assert [len(times) for _, times in watches] == [1] * 20


def remove(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def replace(path: Path) -> None:
    """Put another file in its place."""
    put(path, b"")


def copy(path: Path) -> None:
    """Put a copy in its place, as an editor and ``sed -i`` do."""
    put(path, path.read_bytes())


def put(path: Path, content: bytes) -> None:
    """Put a file with this content in its place."""
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("harm", [remove, replace, copy])
def test_a_holder_loses_a_removed_file(path: Path, harm: Callable[[Path], None]) -> None:
    """If its file is removed or replaced, a holder's renewal is a conflict.

    Its next requests need a restart; a new replica can acquire the new file.
    """
    lease = FileLease(path, "mine")
    seen = lease.write(OURS, None)
    harm(path)
    with pytest.raises(LeaseConflict, match="removed or replaced"):
        lease.write(OURS, seen.version)
    lost = lease.read().record
    assert lost is not None
    assert not lost.holder
    for ask in (lease.read, lambda: lease.write(OURS, seen.version)):
        with pytest.raises(LeaseUnavailable, match="restart this replica") as caught:
            ask()
        assert caught.value.needs_restart
    newcomer = FileLease(path, "new")
    version = newcomer.read().version
    assert newcomer.write(LeaseRecord("new"), version).record == LeaseRecord("new")


@pytest.mark.parametrize("harm", [remove, replace, copy])
def test_a_read_also_detects_a_removed_file(path: Path, harm: Callable[[Path], None]) -> None:
    """If the file is removed or replaced, the holder's next read returns a free lease."""
    lease = FileLease(path, "mine")
    lease.write(OURS, None)
    harm(path)
    assert lease.read() == ObservedLease(LeaseRecord())
    with pytest.raises(LeaseUnavailable, match="restart this replica"):
        lease.read()


def test_a_file_that_is_moved_back_needs_no_restart(path: Path) -> None:
    """If the same file is moved away and back, the replica can use it again."""
    lease = FileLease(path, "mine")
    path.rename(path.with_suffix(".away"))
    with pytest.raises(LeaseUnavailable):
        lease.read()
    path.with_suffix(".away").rename(path)
    assert lease.write(OURS, lease.read().version).record == OURS


@pytest.mark.parametrize("harm", [remove, replace, copy])
def test_without_a_child_the_new_file_is_opened(path: Path, harm: Callable[[Path], None]) -> None:
    """If no child has inherited the descriptor, a replaced file needs no restart.

    The holder first loses its lease, and a standby waits as for a deleted lease.
    """
    lease = FileLease(path, "mine", is_inherited=False)
    standby = FileLease(path, "theirs", is_inherited=False)
    seen = lease.write(OURS, None)
    assert standby.read() == seen
    harm(path)
    assert standby.read().record is None
    with pytest.raises(LeaseConflict, match="removed or replaced"):
        lease.write(OURS, seen.version)
    assert lease.read() == ObservedLease(LeaseRecord())
    with pytest.raises(LeaseConflict, match="removed or replaced"):
        lease.write(OURS, None)
    found = lease.read()
    assert found.record is None
    held = lease.write(OURS, found.version)
    assert standby.read() == held
    with pytest.raises(LeaseConflict, match="holds"):
        standby.write(LeaseRecord("them"), held.version)
    lease.write(LeaseRecord(), held.version)
    assert is_free(standby), "a release of the new file's holder needs no wait"


THEIRS = LeaseRecord("them", 15.0, "t0", "t0", 0, "theirs")
OUR_TERMS = LeaseTerms("us", "mine", 15.0, 10.0, 2.0, 13.95)
THEIR_TERMS = LeaseTerms("them", "theirs", 15.0, 10.0, 2.0, 13.95)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(OURS, id="a copy"),
        pytest.param(THEIRS, id="an old one: the standby's own"),
        pytest.param(dataclasses.replace(OURS, holder="", incarnation="mine"), id="a release"),
        pytest.param(dataclasses.replace(OURS, holder="third", duration_s=1.0), id="a third's"),
        pytest.param(LeaseRecord(), id="of before anybody held it"),
    ],
)
def test_a_standby_waits_for_the_holder_of_a_replaced_file(path: Path, found: LeaseRecord) -> None:
    """A standby waits for the old file's lease to expire, for any content of the new file.

    The new file's lock is free, but the old file's may be held.
    """
    lease = FileLease(path, "mine", is_inherited=False)
    standby = FileLease(path, "theirs", is_inherited=False)
    lease.write(OURS, None)
    view = on_observed(LeaseView(), standby.read(), 100.0, THEIR_TERMS)
    with path.with_suffix(".other").open("w+b") as other:
        lock_content.put(other.fileno(), found)
    path.with_suffix(".other").replace(path)
    for at in (101.0, 103.0, 115.9):
        view = on_observed(view, standby.read(), at, THEIR_TERMS)
        assert view.free_at == 116.0
        assert next_step(view, Stance.CONTEND, at, THEIR_TERMS).request is not LeaseRequest.WRITE
    assert next_step(view, Stance.CONTEND, 116.0, THEIR_TERMS).request is LeaseRequest.WRITE
    assert view.seen is not None
    assert standby.write(THEIRS, view.seen.version).record == THEIRS
    assert FileLease(path, "newcomer").read().record == THEIRS, "and holds the new file's lock"


def test_a_file_replaced_during_a_read_has_no_lease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file is replaced between the two checks of a read, the read returns no lease."""
    lease = FileLease(path, "mine", is_inherited=False)
    standby = FileLease(path, "theirs", is_inherited=False)
    lease.write(OURS, None)
    copy(path)
    monkeypatch.setattr(standby, "_is_in_place", lambda: True)
    assert standby.read() == ObservedLease(None)


def test_the_end_of_a_new_files_holder_is_reported(path: Path) -> None:
    """A watch reports the end of the new file's holder, though the old file is still locked."""
    old = FileLease(path, "old")
    standby = FileLease(path, "theirs", is_inherited=False)
    old.write(OURS, None)
    thread, _ = watched(standby, standby.read())
    remove(path)
    standby.read()
    new = FileLease(path, "new")
    record = LeaseRecord("new")
    seen = new.write(record, None)
    standby.close()
    thread.join(5)
    _, times = watched(standby, standby.read())
    new.write(LeaseRecord(), seen.version)
    wait_until(lambda: times, 5, "it is reported")


def test_a_watch_does_not_reuse_a_wait_for_an_old_file(path: Path, tmp_path: Path) -> None:
    """A watch does not reuse the waiting thread of a replaced file."""
    old = FileLease(tmp_path / "old", "old")
    old.write(OURS, None)
    standby = FileLease(path, "theirs", is_inherited=False)
    new = FileLease(path, "new")
    seen = new.write(LeaseRecord("new"), None)
    standby._holder_wait = _HolderWait(tmp_path / "old", -1)
    standby._holder_wait.start()
    _, times = watched(standby, standby.read())
    new.write(LeaseRecord(), seen.version)
    wait_until(lambda: times, 5, "it is reported")


def test_a_reader_waits_for_a_complete_record(path: Path) -> None:
    """A read during a write waits, and returns the complete record."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    whole = path.read_bytes()
    half = len(whole) // 2
    os.pwrite(lease.fileno(), b" " * half, half)
    threading.Timer(0.005, os.pwrite, [lease.fileno(), whole, 0]).start()
    assert other.read() == seen


def test_readers_never_see_a_mix_of_two_records(path: Path) -> None:
    """While long and short records alternate, every read returns one of them."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    records = [
        LeaseRecord("us", 15.0, text, text, len(text), text, f"http://{text}")
        for text in ("t", "t" * 500)
    ]
    version = lease.write(records[0], None).version
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for record in records:
                lease.write(record, version)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        sights = [other.read().record for _ in range(500)]
        wait_until(lambda: other.read().record == records[0], 15, "the short one is seen")
        wait_until(lambda: other.read().record == records[1], 15, "the long one is seen")
    finally:
        done.set()
        thread.join()
    assert all(sight in records for sight in sights)


def test_a_damaged_file_is_an_error_only_while_held(path: Path) -> None:
    """A damaged file is an error while the lock is held; if it is free, there is no lease."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    path.write_bytes(b"scribble")
    with pytest.raises(LeaseUnavailable, match="is damaged"):
        other.read()
    healed = lease.write(OURS, seen.version)
    assert other.read() == healed
    lease.write(LeaseRecord(), healed.version)
    path.write_bytes(b"scribble")
    damaged = other.read()
    assert damaged.record is None
    assert other.write(LeaseRecord("them"), damaged.version).record == LeaseRecord("them")


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"holder":' * 6_000,
        b"[]",
        b"nothing",
        b"\xff",
        b'{"holder": 7, "duration_s": "x", "transitions": [], "incarnation": {}, "url": 1}',
        b'{"holder": null, "duration_s": 1e999, "transitions": -1, "renew_time": []}',
    ],
)
def test_an_invalid_record_has_no_holder(path: Path, line: bytes) -> None:
    """An invalid record with a valid checksum has no holder, and can be written over."""
    lease = FileLease(path, "mine")
    path.write_bytes(b"%s\n%08x\n" % (line, zlib.crc32(line)))
    seen = lease.read()
    assert seen.record is not None
    assert not seen.record.holder
    assert lease.write(OURS, seen.version).record == OURS


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://127.0.0.1:9090/x", "http://127.0.0.1:9090/x"),
        ("https://[::1]:9090", "https://[::1]:9090"),
        ("http://[", None),
        ("http://h:99999", None),
        ("http://", None),
        ("file:///etc/passwd", None),
        ("http://h/\r\nX: y", None),
        ("http://" + "h" * 600, None),
        ("", None),
        (7, None),
    ],
)
def test_an_invalid_holder_url_is_ignored(path: Path, url: object, kept: str | None) -> None:
    """The holder's URL is read only if it is valid, because requests to the leader go there."""
    holder, other = FileLease(path, "mine"), FileLease(path, "theirs")
    holder.write(OURS, None)
    line = json.dumps({"holder": "us", "url": url}).encode()
    path.write_bytes(b"%s\n%08x\n" % (line, zlib.crc32(line)))
    record = other.read().record
    assert record is not None
    assert (record.holder, record.url) == ("us", kept)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """A symbolic link in place of the lock file is refused, and its target is not created."""
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(LeaseUnavailable, match="symbolic link"):
        FileLease(tmp_path / "lock", "mine")
    assert not (tmp_path / "target").exists()


def test_a_linked_folder_in_a_public_folder_is_refused(tmp_path: Path) -> None:
    """A symbolic link is refused as the lock's folder if everyone may write beside it."""
    common, theirs = tmp_path / "common", tmp_path / "theirs"
    theirs.mkdir()
    common.mkdir()
    (common / "folder").symlink_to(theirs)
    FileLease(common / "folder" / "lock", "mine")
    common.chmod(0o1777)
    with pytest.raises(LeaseUnavailable, match="symbolic link"):
        FileLease(common / "folder" / "lock", "mine")


def test_a_foreign_file_in_a_public_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that all may write to, another user's lock file is refused, but not our own."""
    tmp_path.chmod(0o777)
    (tmp_path / "lock").touch()
    if os.geteuid() == 0:
        os.chown(tmp_path / "lock", 12345, 12345)
    else:  # without the right to change the owner, the test pretends to be another user
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(LeaseUnavailable, match="belongs to another user"):
        FileLease(tmp_path / "lock", "mine")
    monkeypatch.undo()
    FileLease(tmp_path / "own", "mine")
    assert FileLease(tmp_path / "own", "again").read() == ObservedLease(None), "our own is accepted"


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    """A FIFO, a folder, and a folder that cannot be created are refused, without waiting."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LeaseUnavailable, match="not a regular file"):
        FileLease(tmp_path / "pipe", "mine")
    with pytest.raises(LeaseUnavailable, match="Is a directory"):
        FileLease(tmp_path, "mine")
    with pytest.raises(LeaseUnavailable, match=r"cannot be used: (Not a|File)"):
        FileLease(tmp_path / "pipe" / "lock", "mine")


def test_a_refused_file_is_closed(path: Path) -> None:
    """If a lock file is refused, it is closed again, since it may be read any number of times."""
    lease = FileLease(path, "mine", is_inherited=False)
    path.unlink()
    os.mkfifo(path)
    before = [*map(str, Path("/proc/self/fd").iterdir())]
    for _ in range(3):
        with pytest.raises(LeaseUnavailable, match="not a regular file"):
            lease.read()
    assert [*map(str, Path("/proc/self/fd").iterdir())] == before


def test_a_full_disk_is_an_error_and_frees_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full, a write is an error, and neither a release nor a try keeps the lock."""
    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    for record in (OURS, LeaseRecord()):
        with pytest.raises(LeaseUnavailable, match="No space left"):
            lease.write(record, seen.version)
    with pytest.raises(LeaseUnavailable, match="No space left"):
        other.write(OURS, other.read().version)
    monkeypatch.undo()
    assert is_free(lease)
    assert is_free(other)


def test_a_watch_without_a_thread_has_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, a watch is an error; the elector starts another one later."""
    lease = FileLease(path, "1")
    seen = ObservedLease(LeaseRecord("other", 15.0, "t", "t", 0), "1")
    refuse_threads(monkeypatch)
    with pytest.raises(LeaseUnavailable, match="no thread can be started"):
        lease.watch(seen, lambda _: None)


def test_a_failing_disk_is_an_error_and_frees_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If reads fail, a holder can still release; a failed try to acquire frees the lock."""

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    lease, other = FileLease(path, "mine"), FileLease(path, "other")
    seen = lease.write(OURS, None)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", fail)
        with pytest.raises(LeaseUnavailable, match="cannot be used: Input/output error"):
            lease.read()
    released = lease.write(LeaseRecord(), seen.version)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pread", fail)
        with pytest.raises(LeaseUnavailable, match="cannot be used: Input/output error"):
            lease.write(OURS, released.version)
    assert other.write(OURS, released.version).record == OURS


def test_a_record_of_a_failed_write_gives_no_lease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a failed write does not make the replica leader.

    This also holds while another replica has locked the file and has not yet written.
    """

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    lease = FileLease(path, "mine")
    view = on_send(LeaseView(), OURS, 100.0)
    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", fail)
        with pytest.raises(LeaseUnavailable, match="Input/output error"):
            lease.write(OURS, None)
    with path.open("rb") as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        assert lock_content.content_of(another.fileno()).record == OURS
        assert not leads(on_observed(view, lease.read(), 101.0, OUR_TERMS), OUR_TERMS, 101.0)
    other = FileLease(path, "theirs")
    theirs = dataclasses.replace(OURS, incarnation="theirs")
    other.write(theirs, other.read().version)
    assert lease.read().record == theirs
