"""The disk is full when a rendering has to be written: no leader by it, and no writer after it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.fleet import SPARE_S, Fleet, await_turns, lines_of
from tests.support import let_pass, now, wait_until


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a filesystem of a few pages."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount: list[str | Path] = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=64k",
        "prometheus-elector-test",
        folder,
    ]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room in it; return what to delete to mend it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_promotion_that_cannot_be_written_is_given_back(fleet: Fleet, small: Path) -> None:
    """It never leads, says why, tries less and less often, and leads once there is room."""
    fleet.start("a").await_leader()
    wait_until(lambda: fleet.log.writes("a"), 10, "the first writes")
    second = fleet.start("b", "--cool-down=1s", output=small / "prometheus.yml")
    wait_until(lambda: "a holds the lease" in second.tail(), 15, "the second follows")
    filler = fill(small)
    fleet.replicas[0].term()
    wait_until(lambda: lines_of(second, "cannot be written"), 5, "it says why")
    said_at = now()
    let_pass(said_at + 3 - now())
    assert len(lines_of(second, 'msg="role changed" role=leader')) <= 3
    assert fleet.log.turns() == ["a"]
    filler.unlink()
    second.await_leader(4 + SPARE_S)
    await_turns(fleet, "a", "b")


def test_a_demotion_that_cannot_be_written_kills_prometheus(fleet: Fleet, small: Path) -> None:
    """Asked to stop with a full disk: Prometheus is killed at once, and the other leads."""
    first = fleet.start("a", output=small / "prometheus.yml")
    first.await_leader()
    second = fleet.start("b")
    wait_until(lambda: "a holds the lease" in second.tail(), 15, "the second follows")
    wait_until(lambda: fleet.log.writes("a"), 10, "the first writes")
    fill(small)
    first.term()
    second.await_leader(SPARE_S)
    assert first.await_end() == 128 + signal.SIGKILL
    await_turns(fleet, "a", "b")
