"""The commands `status` and `step-down` with real replicas, over the API and by a signal."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bcrypt
import psutil
import pytest
import requests

from tests.real.parts import WriteLog, started
from tests.real.replica import QUICK, Replica
from tests.support import wait_until
from wrapper.commands.remote import supervisor_on
from wrapper.commands.remote_args import CommandFailed
from wrapper.model.roles import Cause

PASSWORD = "wonderland"


class Pair:
    """A leader and a follower that have each other as peers."""

    def __init__(
        self, folder: Path, log: WriteLog, *flags: str, names: tuple[str, str] = ("a", "b")
    ) -> None:
        self._stack = ExitStack()
        lock = f"--lease-lock=file:{folder / 'locks/election.lock'}"
        self.replicas = [
            Replica(folder, name, lock, *QUICK, *flags, write_url=log.url(name)) for name in names
        ]
        peers = f"--peers={','.join(each.api for each in self.replicas)}"
        for each in self.replicas:
            each.argv.insert(each.argv.index("--"), peers)

    def start(self) -> tuple[Replica, Replica]:
        """Start both, the leader first."""
        leader, follower = self.replicas
        self._stack.enter_context(started(leader))
        leader.await_leader()
        self._stack.enter_context(started(follower))
        follower.await_follower()
        for each in self.replicas:
            url = f"{each.api}/_elector/healthz"
            wait_until(lambda u=url: requests.get(u, timeout=5).ok, 20, "its API answers")  # type: ignore[misc]
        return leader, follower

    def close(self) -> None:
        """Stop both."""
        self._stack.close()


@pytest.fixture
def pair(tmp_path: Path, write_log: WriteLog) -> Iterator[tuple[Replica, Replica]]:
    """Give two replicas whose API needs no password."""
    made = Pair(tmp_path, write_log)
    yield made.start()
    made.close()


@pytest.fixture
def protected(tmp_path: Path, write_log: WriteLog) -> Iterator[tuple[Replica, Replica]]:
    """Give two replicas whose API needs a password."""
    web = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    web.write_text(f"basic_auth_users: {{alice: {hashed}}}\n")
    made = Pair(tmp_path, write_log, f"--web-config-file={web}")
    yield made.start()
    made.close()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as users do."""
    return subprocess.run(
        [sys.executable, "-m", "wrapper", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def status(replica: Replica, **asking: Any) -> dict[str, Any]:
    """Return a replica's status."""
    told: dict[str, Any] = requests.get(
        f"{replica.api}/_elector/status", timeout=5, **asking
    ).json()
    return told


def await_follower_ready(leader: Replica, **asking: Any) -> None:
    """Wait until the leader's API shows that the other replica could take over."""

    def is_known() -> bool:
        told = requests.get(f"{leader.api}/_elector/fleet", timeout=5, **asking).json()["replicas"]
        return any(
            each["status"] and each["status"]["leader"] == "a" and each["url"]
            and each["status"]["cause"] == "lost"
            for each in told
        )  # fmt: skip

    wait_until(is_known, 15, "the other one is ready")


def test_status_prints_a_table(pair: tuple[Replica, Replica]) -> None:
    """`status` prints a table with one line per replica, and exits with 0 while one leads."""
    leader, follower = pair
    await_follower_ready(leader)
    done = run("status", follower.api)
    assert done.returncode == 0, done.stderr
    heads, *lines = done.stdout.splitlines()
    assert heads.split() == ["REPLICA", "ROLE", "LEADER", "PROMETHEUS", "CONFIG", "SINCE", "WHY"]
    assert [line.split()[:4] for line in lines] == [
        ["b", "follower", "a", "ready"],
        ["a", "leader", "a", "ready"],
    ]


def test_step_down_with_a_pause_hands_over_and_lasts(pair: tuple[Replica, Replica]) -> None:
    """After step-down --for, the other replica leads.

    The pause lasts also when no replica leads, and after a restart.
    """
    leader, follower = pair
    await_follower_ready(leader)
    done = run("step-down", leader.api, "--for=10m")
    assert done.returncode == 0, done.stderr
    assert {"a", "b"} <= set(done.stdout.split())
    assert status(leader)["paused_until"] is not None
    follower.term()
    follower.await_end()
    wait_until(lambda: status(leader)["leader"] == "", 10, "nobody leads")
    assert status(leader)["cause"] == Cause.STEPPING_DOWN
    leader.term()
    leader.await_end()
    with started(leader):
        wait_until(lambda: status(leader)["paused_until"], 20, "it still keeps out")
        assert not leader.has_remote_write
        assert run("step-down", leader.api, "--for=0s").returncode == 0
        leader.await_leader(20)


def test_a_followers_pause_can_be_changed_and_ended(pair: tuple[Replica, Replica]) -> None:
    """A follower's pause can be shortened and ended; after its end the follower leads.

    `step-down --for=0s` of a leader is refused, and the leader goes on.
    """
    leader, follower = pair
    refused = run("step-down", leader.api, "--for=0s")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr
    assert leader.has_remote_write
    ends = []
    for wanted in ("--for=1h", "--for=10m"):
        done = run("step-down", follower.api, wanted)
        assert done.returncode == 0, done.stderr
        ends.append(status(follower)["paused_until"])
        assert ends[-1][:16] in done.stdout, "it says until when"
    assert ends[0] > ends[1]
    leader.term()
    leader.await_end()
    wait_until(lambda: status(follower)["leader"] == "", 10, "nobody leads")
    assert status(follower)["cause"] == Cause.STEPPING_DOWN
    assert run("step-down", follower.api, "--for=0s").returncode == 0
    follower.await_leader(60)


def test_step_down_is_refused_if_no_replica_could_take_over(pair: tuple[Replica, Replica]) -> None:
    """If no other replica is ready, step-down is refused unless forced.

    For a follower it is refused too.
    """
    leader, follower = pair
    done = run("step-down", follower.api)
    assert (done.returncode, done.stdout) == (2, "")
    assert "b" in done.stderr.split()
    follower.term()
    follower.await_end()
    done = run("step-down", leader.api)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert leader.has_remote_write
    wrong = leader.api.replace("127.0.0.1", "127.0.0.2")
    assert wrong.removeprefix("http://") in run("step-down", wrong, "--force").stderr
    assert leader.has_remote_write
    assert run("step-down", leader.api, "--force").returncode == 1
    assert not leader.has_remote_write


def test_a_step_down_over_a_protected_api(protected: tuple[Replica, Replica]) -> None:
    """With a password in the API's file, step-down works only with that password."""
    leader, follower = protected
    await_follower_ready(leader, auth=("alice", PASSWORD))
    assert run("step-down", leader.api).returncode == 2
    assert leader.has_remote_write
    done = run("step-down", leader.api.replace("://", f"://alice:{PASSWORD}@"), "--for=1h")
    assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
    follower.await_leader(5)
    left_s = status(leader, auth=("alice", PASSWORD))["paused_until"]
    assert left_s > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3000))


def test_the_supervisor_is_found_by_its_whole_address(pair: tuple[Replica, Replica]) -> None:
    """The supervisor is found by address and port: another may use the port on another address."""
    leader, _ = pair
    host, port = leader.api.removeprefix("http://").split(":")
    assert supervisor_on(host, int(port)).pid == psutil.Process(leader.web.pid).ppid()
    assert supervisor_on("localhost", int(port)).pid == psutil.Process(leader.web.pid).ppid()
    with pytest.raises(CommandFailed, match=r"this user listens on 127\.0\.0\.2"):
        supervisor_on("127.0.0.2", int(port))


def test_status_reads_the_password_from_http_config(
    protected: tuple[Replica, Replica], tmp_path: Path
) -> None:
    """`status` uses the password in the file of --http-config, if the URL has none."""
    leader, _ = protected
    file = tmp_path / "http.yml"
    file.write_text(f"basic_auth: {{username: alice, password: {PASSWORD}}}\n")
    assert run("status", leader.api).returncode == 2
    done = run("status", leader.api, f"--http-config={file}")
    assert done.returncode == 0, done.stderr
    done = run("status", leader.api.replace("://", "://alice@"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
