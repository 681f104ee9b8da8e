"""With a full disk, no replica leads whose rendering was not written, and none goes on writing."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real.fleet import (
    SPARE_S,
    Fleet,
    await_turns,
    bare_messages,
    leader_by,
    own_lines,
    promotions,
)
from tests.support import let_pass, now, wait_until

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a filesystem of 64 KiB."""
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
    """Fill the filesystem; return the file to delete afterwards."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_promotion_that_cannot_be_written_is_undone(fleet: Fleet, small: Path) -> None:
    """With a full disk, a promotion is undone, logged and retried rarely, until there is space."""
    fleet.start("a").await_leader()
    wait_until(lambda: fleet.log.writes("a"), 10, "the first writes")
    second = fleet.start("b", "--cool-down=1s", output=small / "prometheus.yml")
    wait_until(lambda: leader_by(second) == "a", 15, "the second follows")
    filler = fill(small)
    fleet.replicas[0].term()
    wait_until(lambda: own_lines(second, "error", FULL), 15, "it says why")
    said_at = now()
    let_pass(said_at + 3 - now())
    assert 1 <= promotions(second) <= 3
    assert fleet.log.turns() == ["a"]
    filler.unlink()
    second.await_leader(4 + SPARE_S)
    await_turns(fleet, "a", "b")


def test_a_demotion_that_cannot_be_written_kills_prometheus(fleet: Fleet, small: Path) -> None:
    """With a full disk, SIGTERM kills the leader's Prometheus at once, and the other leads."""
    first = fleet.start("a", output=small / "prometheus.yml")
    first.await_leader()
    second = fleet.start("b")
    wait_until(lambda: leader_by(second) == "a", 15, "the second follows")
    wait_until(lambda: fleet.log.writes("a"), 10, "the first writes")
    fill(small)
    first.term()
    second.await_leader(SPARE_S)
    assert first.await_end() == 128 + signal.SIGKILL
    await_turns(fleet, "a", "b")


def test_an_edit_that_cannot_be_written_is_reported(fleet: Fleet, small: Path) -> None:
    """With a full disk, the leader goes on without an edit; log, API and metrics report it.

    Once there is space, the edit is loaded.
    """
    leader = fleet.start("a", output=small / "prometheus.yml")
    leader.await_leader()

    def config_status() -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{leader.api}/_elector/config", timeout=5).json()
        return answer

    wait_until(lambda: config_status()["is_loaded"], 15, "it is known to be loaded")
    filler = fill(small)
    said = set(bare_messages(leader, "info"))
    leader.config.write_text(leader.config.read_text() + "  global: {query_log_file: ''}\n")
    wait_until(lambda: own_lines(leader, "error", FULL), 15, "the log says why")
    wait_until(lambda: FULL in "".join(config_status()["problems"]), 15, "so does the API")
    assert config_status()["is_valid"]
    assert leader.has_remote_write
    assert len(own_lines(leader, "error", FULL)) == 1
    metrics = requests.get(f"{leader.api}/_elector/metrics", timeout=5).text
    assert "\nprometheus_elector_config_write_failures_total 0.0\n" not in metrics
    filler.unlink()
    wait_until(
        lambda: config_status()["is_loaded"] and not config_status()["problems"],
        15,
        "it is made good",
    )
    assert len(set(bare_messages(leader, "info")) - said) == 1, "the log says that, too"
