"""Prometheus can show a new configuration while its old queues still send.

If a follower's own remote_write names a CA file that has been deleted, Prometheus' remote storage
refuses the whole configuration: a reload answers 500 and the new configuration is shown, but the
queues of the leader's part still send.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.certificates import Authority
from tests.real.conftest import Start
from tests.real.fleet import is_dead, own_lines, rejections
from tests.real.parts import Namespace, WriteLog, applied_config, started
from tests.real.replica import QUICK, Replica, on_lease
from tests.real.test_refusals import edit, is_valid
from tests.support import now, wait_until

FOLLOWER = """\
follower:
  global: {{scrape_interval: 200ms}}
  rule_files: [{folder}/beat.yml]
  remote_write:
  - url: https://127.0.0.1:1/
    tls_config: {{ca_file: {folder}/ca.pem}}
leader:
  remote_write:
  - url: {url}
    queue_config: {{batch_send_deadline: 100ms}}
"""
BEAT = "groups: [{name: beat, interval: 100ms, rules: [{record: beat, expr: vector(1)}]}]\n"
Make = Callable[[str], Replica]


@pytest.fixture
def authority(tmp_path: Path) -> bytes:
    """Give a CA's certificate."""
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder).file.read_bytes()


@pytest.fixture
def make(
    tmp_path: Path, namespace: Namespace, write_log: WriteLog, authority: bytes
) -> Iterator[Make]:
    """Give a function that starts a replica with a remote_write in both parts."""
    with ExitStack() as stack:

        def make_one(name: str) -> Replica:
            replica = Replica(tmp_path, name, *on_lease(namespace), *QUICK)
            folder = replica.config.parent
            (folder / "ca.pem").write_bytes(authority)
            (folder / "beat.yml").write_text(BEAT)
            replica.config.write_text(FOLLOWER.format(folder=folder, url=write_log.url(name)))
            return stack.enter_context(started(replica))

        yield make_one


def reload_result(replica: Replica) -> str:
    """Return the result of the last reload by Prometheus' metrics."""
    text = requests.get(f"{replica.url}/metrics", timeout=5).text
    name = "prometheus_config_last_reload_successful "
    return next(line.removeprefix(name) for line in text.splitlines() if line.startswith(name))


def test_prometheus_is_killed_if_old_queues_still_send(make: Make, write_log: WriteLog) -> None:
    """When a demoted Prometheus still sends although it shows no leader's part, it is killed."""
    leader = make("a")
    wait_until(lambda: write_log.writes("a"), 20, "the first one leads and writes")
    other = make("b")
    other.await_ready()
    prometheus = leader.child
    (leader.config.parent / "ca.pem").unlink()
    demoted_at = now()
    os.kill(leader.pid, signal.SIGUSR1)
    shown_at = wait_until(
        lambda: write_log.url("a") not in applied_config(leader.url) and now(), 5, "it looks done"
    )
    assert reload_result(leader) == "0"
    wait_until(lambda: write_log.writes("a", since=shown_at), 5, "and still sends")
    wait_until(lambda: write_log.writes("b"), 20, "the other writes")
    assert is_dead(prometheus)
    assert write_log.turns() == ["a", "b"]
    assert write_log.writes("a")[-1].at - demoted_at < 9, "--demotion-grace is 8 s"
    assert leader.await_end() == 128 + signal.SIGKILL, "Prometheus was killed"


def test_an_edit_with_a_missing_ca_file_is_rejected(
    start: Start, write_log: WriteLog, authority: bytes, tmp_path: Path
) -> None:
    """An edit with a missing CA file is rejected, and loaded once the file exists.

    The edit never reaches Prometheus meanwhile, and the leader goes on writing.
    """
    leader = start("a", write_url=write_log.url("a"))
    leader.await_leader()
    prometheus = leader.child.pid
    file = tmp_path / "later.pem"
    tls = f"{{ca_file: {file}}}"
    more = f"  remote_write:\n  - {{url: 'https://127.0.0.1:1/', tls_config: {tls}}}\n"
    edit(leader, "  remote_write:\n", more)
    wait_until(lambda: not is_valid(leader), 15, "it is refused")
    [line] = rejections(leader)
    assert f"{file}: No such file or directory" in line
    assert "remote_write[0].tls_config.ca_file" in line
    edit(leader, "scrape_interval: 1s", "scrape_interval: 2s")
    assert "https://127.0.0.1:1" not in leader.output.read_text()
    file.write_bytes(authority)
    os.kill(leader.pid, signal.SIGHUP)
    wait_until(lambda: is_valid(leader), 15, "it is good now")
    wait_until(lambda: "https://127.0.0.1:1" in applied_config(leader.url), 15, "and in force")
    assert leader.child.pid == prometheus
    since = now()
    wait_until(lambda: write_log.writes("a", since=since), 15, "it writes on")


def test_a_follower_starts_without_a_file_of_the_leaders_part(
    start: Start, tmp_path: Path, authority: bytes
) -> None:
    """A missing CA file of the leader's part causes a warning; the replica leads once it exists."""
    missing = tmp_path / "later.pem"
    replica = start(
        "a",
        "--cool-down=1s",
        write_url=f"https://127.0.0.1:1/\n    tls_config: {{ca_file: {missing}}}",
    )
    replica.await_ready()
    assert len(own_lines(replica, "warn", str(missing))) == 1
    missing.write_bytes(authority)
    replica.await_leader(30)
