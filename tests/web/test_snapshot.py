"""Snapshots in shared memory: a reader gets the newest complete one, and detects stale ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support import wait_until
from tests.web.conftest import FOLLOWER, OUT_OF_SIGHT, following, leading
from tests.web.test_metrics import RICH
from wrapper.base import clock
from wrapper.base.shared_memory import SLOT_BYTES, TooLarge
from wrapper.base.snapshot_channel import (
    SnapshotReader,
    SnapshotWriter,
    is_stale,
    known_leader,
    leader_of,
    why_stale,
)
from wrapper.model.snapshot import Snapshot

# Publishes snapshots of changing length without a pause; their fields all contain the same number.
HAMMER = """
import sys
from dataclasses import replace
from tests.web.conftest import FOLLOWER
from wrapper.base.shared_memory import SharedWriter
from wrapper.base.snapshot_channel import SnapshotWriter

writer = SnapshotWriter()
writer._slot = SharedWriter(int(sys.argv[1]))
number = 0
while True:
    number += 1
    text = str(number) * (number % 977 + 1)
    writer.publish(replace(FOLLOWER, reason=text, holder=text, lease_transitions=number))
"""


@pytest.fixture
def writer() -> Iterator[SnapshotWriter]:
    """Open a snapshot channel for one test."""
    made = SnapshotWriter()
    yield made
    made.close()


@pytest.fixture
def reader(writer: SnapshotWriter) -> SnapshotReader:
    """Return a reader for the writer's snapshots."""
    return SnapshotReader(writer.fileno())


def test_nothing_published_reads_as_none(reader: SnapshotReader) -> None:
    """Before the first snapshot, a read returns None."""
    assert reader.read() is None


def test_a_snapshot_is_read_as_it_was_published(
    writer: SnapshotWriter, reader: SnapshotReader
) -> None:
    """A read returns every field with its value and type."""
    sent = leading(
        "http://127.0.0.1:9090", counters={"a": 1.5}, gate=RICH["gate"], reason="é \n \udc80"
    )
    writer.publish(sent)
    received = reader.read()
    assert received == sent
    assert isinstance(received, Snapshot)
    assert received.role is sent.role


def test_the_newest_snapshot_is_read(writer: SnapshotWriter, reader: SnapshotReader) -> None:
    """A read returns the newest snapshot, whether or not earlier ones were read."""
    for number in range(7):
        writer.publish(replace(FOLLOWER, lease_transitions=number))
        if number % 3 == 0:
            assert _transitions(reader.read()) == number
    assert _transitions(reader.read()) == 6
    assert _transitions(SnapshotReader(writer.fileno()).read()) == 6


def test_an_unchanged_snapshot_is_not_parsed_again(
    writer: SnapshotWriter, reader: SnapshotReader
) -> None:
    """Reads of the same snapshot return the same object."""
    writer.publish(FOLLOWER)
    first = reader.read()
    assert reader.read() is first
    writer.publish(FOLLOWER)
    assert reader.read() is not first


@pytest.mark.parametrize("offset", [0, 8, 16, 20, 40])
def test_a_damaged_snapshot_is_skipped(
    writer: SnapshotWriter, reader: SnapshotReader, offset: int
) -> None:
    """If the newest slot is damaged, the previous snapshot is read."""
    writer.publish(replace(FOLLOWER, lease_transitions=1))
    writer.publish(replace(FOLLOWER, lease_transitions=2))
    os.pwrite(writer.fileno(), b"\xff\xff", offset)
    assert _transitions(reader.read()) == 1


def test_a_snapshot_that_is_too_large_is_refused(
    writer: SnapshotWriter, reader: SnapshotReader
) -> None:
    """A snapshot that is too large raises TooLarge, and the previous one stays."""
    writer.publish(FOLLOWER)
    with pytest.raises(TooLarge):
        writer.publish(replace(FOLLOWER, reason="x" * SLOT_BYTES))
    assert reader.read() == FOLLOWER


def test_reads_are_never_torn(writer: SnapshotWriter, reader: SnapshotReader) -> None:
    """While another process publishes without a pause, each read is complete and not older."""
    fd = writer.fileno()
    command = [sys.executable, "-c", HAMMER, str(fd)]
    with subprocess.Popen(command, pass_fds=(fd,)) as hammer:
        wait_until(reader.read, 15, "a first snapshot")
        seen = list(_read(reader, 20))
        hammer.send_signal(signal.SIGKILL)
    assert seen == sorted(seen)
    assert _transitions(reader.read()) >= seen[-1]


def _read(reader: SnapshotReader, snapshots: int) -> Iterator[int]:
    """Read for at least a second, and until this many different snapshots were read."""
    begun, seen = time.monotonic(), set[int]()
    while len(seen) < snapshots or time.monotonic() < begun + 1:
        assert time.monotonic() < begun + 60, "it publishes no more"
        snapshot = reader.read()
        assert snapshot is not None
        number = _transitions(snapshot)
        assert snapshot.reason == snapshot.holder == str(number) * (number % 977 + 1)
        seen.add(number)
        yield number


def _transitions(snapshot: Snapshot | None) -> int:
    assert snapshot is not None
    assert snapshot.lease_transitions is not None
    return snapshot.lease_transitions


@pytest.mark.parametrize(
    ("age_s", "limit_s", "stale"),
    [(0.0, 5.0, False), (5.0, 5.0, False), (5.1, 5.0, True), (1.0, 0.5, True), (-1.0, 5.0, False)],
)
def test_age_alone_makes_a_snapshot_stale(age_s: float, limit_s: float, stale: bool) -> None:
    """A snapshot is stale if it is older than the limit; the reason gives its age."""
    snapshot = replace(FOLLOWER, stamped_at=100.0)
    assert is_stale(snapshot, 100.0 + age_s, limit_s) is stale
    assert (f"{age_s:.1f} s" in why_stale(snapshot, 100.0 + age_s, limit_s)) is stale


def test_a_missing_snapshot_is_stale() -> None:
    """A missing snapshot counts as stale."""
    assert is_stale(None, 0.0)


@pytest.mark.parametrize(
    ("snapshot", "leader"),
    [
        (leading(), "prometheus-0"),
        (leading(leads_until_at=clock.now() - 1), ""),
        (following(), "prometheus-1"),
        (following(lease_expires_at=None), "prometheus-1"),
        (following(lease_expires_at=clock.now() - 1), ""),
        (FOLLOWER, ""),
    ],
    ids=["self", "self no longer", "another", "no expiry", "expired", "nobody"],
)
def test_only_an_unexpired_lease_names_a_leader(snapshot: Snapshot, leader: str) -> None:
    """The leader is the holder of an unexpired lease, and this replica only while it leads."""
    assert leader_of(snapshot, clock.now()) == leader


@pytest.mark.parametrize(
    ("snapshot", "leader"),
    [
        (leading(), "prometheus-0"),
        (following(lease_problem="no answer"), "prometheus-1"),
        (following(lease_expires_at=clock.now() - 1), ""),
        (OUT_OF_SIGHT, None),
        (replace(FOLLOWER, lease_problem="no answer"), None),
    ],
    ids=["self", "another, for now", "expired", "expired out of sight", "never seen"],
)
def test_without_access_to_the_lease_the_leader_is_unknown(
    snapshot: Snapshot, leader: str | None
) -> None:
    """If the lease cannot be read and has expired, the leader is unknown: it may have renewed."""
    assert known_leader(snapshot, clock.now()) == leader
