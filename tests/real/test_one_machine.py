"""Without Kubernetes: replicas on one lock file, no election, and sidecars."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from tests.full_pipe import FullPipe, into
from tests.log_lines import read_log
from tests.real.conftest import Start
from tests.real.fleet import LEASE_S, SPARE_S, lines_of
from tests.real.parts import Program, Prometheus, WriteLog, started
from tests.real.replica import FOLLOWER, LEADER, QUICK, Replica
from tests.support import free_port, now, wait_until
from tests.web.test_worker import LOOKING


@pytest.fixture
def pair(start: Start, write_log: WriteLog) -> tuple[Replica, Replica]:
    """Start a leader, then a follower."""
    flags = ("--api-proxy-enabled",)
    leader = start("a", *flags, write_url=write_log.url("a"))
    leader.await_leader()
    follower = start("b", *flags, write_url=write_log.url("b"))
    follower.await_follower()
    return leader, follower


def current_leader(api: str) -> str:
    """Return the leader's name by a replica's API."""
    answer = requests.get(f"{api}/_elector/leader", timeout=2).json()
    return str(answer.get("current_leader") or "")


def test_two_replicas_on_one_lock_file_elect_one(pair: tuple[Replica, Replica]) -> None:
    """Of two replicas on one lock file one has loaded remote_write, and both know which."""
    leader, follower = pair
    assert leader.has_remote_write
    assert not follower.has_remote_write
    for replica in pair:
        wait_until(lambda r=replica: current_leader(r.api) == "a", 5, "it knows the leader")  # type: ignore[misc]


def test_the_gate_inherits_both_locks(start: Start, write_log: WriteLog, tmp_path: Path) -> None:
    """The gate holds the locks of the lease and of the output, so they are free after its death.

    It may still have a request under way when the supervisor and Prometheus have ended.
    """
    flags = ("--remote-write-gate", f"--remote-write-gate-listen-address=127.0.0.1:{free_port()}")
    leader = start("a", *flags, write_url=write_log.url("a"))
    gate = wait_until(lambda: leader.gate, 10, "its gate runs")
    kept = {os.path.realpath(each) for each in Path(f"/proc/{gate.pid}/fd").iterdir()}
    assert {str(tmp_path / "locks/election.lock"), f"{leader.output}.lock"} <= kept


def test_the_proxy_of_a_follower_answers_from_the_leader(pair: tuple[Replica, Replica]) -> None:
    """A request to the follower's proxy is answered by the leader's Prometheus."""
    _leader, follower = pair
    wait_until(lambda: current_leader(follower.api) == "a", 15, "the follower knows the leader")
    answer = requests.get(f"{follower.api}/api/v1/status/config", timeout=5)
    assert "remote_write" in answer.json()["data"]["yaml"]


def test_a_killed_leader_is_replaced_on_one_machine(pair: tuple[Replica, Replica]) -> None:
    """When the leader is killed, the follower leads as soon as the leader's Prometheus is dead."""
    leader, follower = pair
    leader.kill()
    follower.await_leader(2)


def test_an_ordered_stop_hands_over_and_ends_with_0(pair: tuple[Replica, Replica]) -> None:
    """On SIGTERM the leader hands over and exits with 0, and none of its processes remains."""
    leader, follower = pair
    family = leader.family()
    leader.term()
    follower.await_leader(3)
    assert leader.await_end() == 0
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_stopped_leaders_prometheus_dies_before_another_leads(
    pair: tuple[Replica, Replica],
) -> None:
    """When all of a leader but Prometheus is stopped, Prometheus dies before the other leads."""
    leader, follower = pair
    child = leader.child
    for process in leader.family():
        if process.pid != child.pid:
            process.suspend()
    follower.await_leader(6)
    # Not a wait: the lock is free only once Prometheus is dead.
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def is_alive(api: str) -> bool:
    """Tell whether the liveness probe succeeds."""
    return requests.get(f"{api}/_elector/healthz", timeout=2).ok


@pytest.mark.parametrize("is_replaced", [False, True])
def test_after_the_lock_file_is_lost_replicas_need_a_restart(
    pair: tuple[Replica, Replica], tmp_path: Path, write_log: WriteLog, *, is_replaced: bool
) -> None:
    """When the lock file is lost, the leader demotes and both replicas fail liveness.

    Both report why. After a restart of each, one leads. Neither may lead before: its Prometheus has
    not inherited the lock of the new file.
    """
    leader, _ = pair
    wait_until(lambda: write_log.writes("a"), 10, "it writes")
    file = tmp_path / "locks/election.lock"
    if is_replaced:
        file.with_suffix(".new").touch()
        file.with_suffix(".new").replace(file)
    else:
        file.unlink()
    leader.await_follower()
    for replica in pair:
        wait_until(lambda r=replica: not is_alive(r.api), 10, "its liveness fails")  # type: ignore[misc]
        status = requests.get(f"{replica.api}/_elector/status", timeout=2).json()
        assert status["needs_restart"]
        assert str(file) in status["reason"]
        [line] = [x for x in read_log(replica.log.read_text()) if x.level == "error"]
        assert line.has(str(file))
        assert not replica.has_remote_write
    for replica in pair:
        replica.term()
        assert replica.await_end() == 0
        replica.start()
    wait_until(lambda: any(r.has_remote_write for r in pair), 15, "one leads")
    wait_until(lambda: all(is_alive(r.api) for r in pair), 15, "both are alive")
    assert len(write_log.turns()) <= 2


def test_the_exit_status_of_prometheus_is_passed_on(start: Start) -> None:
    """When Prometheus is killed, the wrapper exits with 137 and none of its processes remains."""
    replica = start("a")
    replica.await_follower()
    wait_until(lambda: replica.web, 15, "the web server runs")
    family = replica.family()
    replica.child.kill()
    assert replica.await_end() == 128 + signal.SIGKILL
    wait_until(
        lambda: not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE],
        3,
        "all processes have gone",
    )


def test_a_dead_web_server_is_restarted(start: Start) -> None:
    """When the web server is killed, Prometheus runs on, and the API answers again."""
    replica = start("a")
    replica.await_follower()
    wait_until(lambda: requests.get(f"{replica.api}/_elector/healthz", timeout=1).ok, 10, "API")
    child = replica.child
    replica.web.kill()
    wait_until(lambda: requests.get(f"{replica.api}/_elector/healthz", timeout=1).ok, 10, "again")
    assert child.is_running()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_web_worker_whose_watch_fails_is_replaced(tmp_path: Path, workers: int) -> None:
    """A failed web worker is replaced, by the supervisor or by the arbiter; Prometheus runs on.

    The supervisor restarts a single worker, the arbiter one of several.
    """
    when = tmp_path / "now"
    code = LOOKING.format(now=str(when), deed="raise ValueError('planted')")
    (tmp_path / "sitecustomize.py").write_text(code)
    words = ("--lease-lock=none", "--role=leader", f"--api-workers={workers}")
    replica = Replica(tmp_path, "a", *words, environment={"PYTHONPATH": str(tmp_path)})
    with started(replica):
        replica.await_ready()
        child, web = replica.child, replica.web
        when.touch()
        wait_until(lambda: "ValueError: planted" in replica.tail(), 15, "the failure is logged")
        metrics = f"{replica.api}/_elector/metrics"
        restarts = f"prometheus_elector_web_restarts_total {float(workers == 1)}"
        wait_until(lambda: restarts in requests.get(metrics, timeout=2).text, 15, "it answers")
        assert web.is_running() is (workers > 1)
        assert child.is_running()
        exits = lines_of(replica, 'msg="web server exited"')
        assert ["status=1" in line for line in exits] == [True] * (workers == 1)


def test_a_prometheus_that_hangs_loses_the_lease_and_is_killed(
    start: Start, write_log: WriteLog
) -> None:
    """When the leader's Prometheus hangs, it is killed after the grace, and the other leads."""
    health = ("--healthcheck-period=200ms", "--healthcheck-timeout=200ms", "--demotion-grace=1s")
    leader = start("a", *health, write_url=write_log.url("a"))
    leader.await_leader()
    follower = start("b", write_url=write_log.url("b"))
    follower.await_follower()
    leader.child.suspend()
    follower.await_leader(10)
    assert leader.await_end() == 128 + signal.SIGKILL


def test_a_changed_configuration_is_loaded_and_a_bad_one_is_not(start: Start) -> None:
    """An edit is loaded; an invalid one changes nothing and is reported, until it is corrected."""
    replica = start("a", "--rehash-period=200ms")
    replica.await_follower()
    good = replica.config.read_text()
    replica.config.write_text(good.replace("scrape_interval: 1s", "scrape_interval: 7s"))
    config = f"{replica.url}/api/v1/status/config"
    wait_until(lambda: "scrape_interval: 7s" in requests.get(config, timeout=2).text, 15, "loaded")
    replica.config.write_text("follower: [\n")
    metrics = f"{replica.api}/_elector/metrics"
    invalid = "prometheus_elector_config_valid 0.0"
    wait_until(lambda: invalid in requests.get(metrics, timeout=2).text, 15, "invalid is said")
    assert "scrape_interval: 7s" in requests.get(config, timeout=2).text
    assert "scrape_interval: 7s" in replica.output.read_text()
    replica.config.write_text(good.replace("scrape_interval: 1s", "scrape_interval: 9s"))
    wait_until(lambda: "scrape_interval: 9s" in requests.get(config, timeout=2).text, 15, "mended")


def test_without_an_election_the_role_is_the_given_one(tmp_path: Path, write_log: WriteLog) -> None:
    """With --lease-lock=none --role=leader, the replica leads without an election."""
    flags = ("--lease-lock=none", "--role=leader")
    replica = Replica(tmp_path, "a", *flags, write_url=write_log.url("a"))
    with started(replica):
        replica.await_leader()
        wait_until(lambda: replica.says_it_leads, 15, "it says so")
        replica.term()
        assert replica.await_end() == 0


def test_init_writes_the_follower_rendering_and_exits(tmp_path: Path) -> None:
    """With --init, the follower's rendering is written with mode 0644, and the program exits."""
    config, output = tmp_path / "elector.yml", tmp_path / "prometheus.yml"
    config.write_text(FOLLOWER.format(address="h:1") + LEADER.format(url="http://r"))
    command = [sys.executable, "-m", "wrapper", "--init", f"--config={config}"]
    done = subprocess.run([*command, f"--output={output}"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "remote_write" not in output.read_text()
    assert output.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("has_reader", [True, False], ids=["", "nobody reads its log"])
def test_a_sidecar_loads_configurations_over_http(
    tmp_path: Path, write_log: WriteLog, *, has_reader: bool
) -> None:
    """A sidecar loads the leader's configuration by HTTP, and the follower's on SIGTERM.

    This also holds when nobody reads its log.
    """
    server = Prometheus(tmp_path / "prometheus", "{}", "--web.enable-lifecycle")
    with started(server), FullPipe(tmp_path / "log") as pipe:
        config = tmp_path / "elector.yml"
        config.write_text(
            FOLLOWER.format(address=server.address) + LEADER.format(url=write_log.url("a"))
        )
        command = [*(() if has_reader else into(pipe)), sys.executable, "-m", "wrapper"]
        command += [f"--config={config}"]
        command += [f"--output={server.config_file}", f"--notify-http-url={server.url}/-/reload"]
        command += [f"--readiness-http-url={server.url}/-/ready", *QUICK]
        command += [f"--lease-lock=file:{tmp_path / 'election.lock'}"]
        command += [f"--api-listen-address=127.0.0.1:{free_port()}"]
        with started(Program("sidecar", command, tmp_path)) as sidecar:
            wait_until(lambda: "remote_write:" in server.applied_config(), 10, "it leads")
            os.kill(sidecar.pid, signal.SIGTERM)
            assert sidecar.process is not None
            assert sidecar.process.wait(10) == 0
        assert "remote_write:" not in server.applied_config()


@dataclass(frozen=True)
class Sidecar:
    """A sidecar, and the Prometheus that it controls."""

    program: Program
    server: Prometheus
    api: str

    @property
    def leads(self) -> bool:
        """Whether its Prometheus has loaded a remote_write."""
        return "remote_write:" in self.server.applied_config()


@pytest.fixture
def sidecars(tmp_path: Path, write_log: WriteLog) -> Iterator[tuple[Sidecar, ...]]:
    """Start two sidecars on one lock file; the first leads."""
    made: list[Sidecar] = []
    with ExitStack() as stack:
        for name in ("a", "b"):
            words = ("{}", "--web.enable-lifecycle")
            server = stack.enter_context(started(Prometheus(tmp_path / name, *words)))
            config, port = tmp_path / f"{name}.yml", free_port()
            leader = LEADER.format(url=write_log.url(name))
            config.write_text(FOLLOWER.format(address=server.address) + leader)
            command = [sys.executable, "-m", "wrapper", f"--config={config}", *QUICK]
            command += [f"--lease-lock=file:{tmp_path / 'election.lock'}"]
            command += [f"--notify-http-url={server.url}/-/reload"]
            command += [f"--output={server.config_file}", f"--api-listen-address=127.0.0.1:{port}"]
            program = stack.enter_context(started(Program(name, command, tmp_path)))
            made.append(Sidecar(program, server, f"http://127.0.0.1:{port}"))
            wait_until(lambda: made[0].leads, 10, "a leads")
        wait_until(lambda: all(is_alive(each.api) for each in made), 10, "both answer")
        yield tuple(made)


def test_sidecars_use_a_new_lock_file_without_a_restart(
    sidecars: tuple[Sidecar, ...], tmp_path: Path
) -> None:
    """When the lock file is deleted, the leading sidecar leads again with a new one.

    No process has inherited the old file, so no restart is needed. A hand-over works with the new
    one.
    """
    a, b = sidecars
    lock = tmp_path / "election.lock"
    lock.unlink()
    wait_until(lambda: lock.exists() and lock.stat().st_size, 10, "somebody holds the new one")
    wait_until(lambda: a.leads, 10, "a leads again")
    assert not b.leads
    assert all(is_alive(each.api) for each in sidecars)
    os.kill(a.program.pid, signal.SIGTERM)
    wait_until(lambda: b.leads, 10, "b leads")


def test_a_copied_lock_file_does_not_cut_the_lease_short(
    sidecars: tuple[Sidecar, ...], tmp_path: Path
) -> None:
    """When a copy replaces the lock file of a stopped leader, the other waits for the expiry."""
    a, b = sidecars
    lock = tmp_path / "election.lock"
    wait_until(lambda: current_leader(b.api), 10, "b knows the leader")
    os.kill(a.program.pid, signal.SIGSTOP)
    try:
        copy = Path(shutil.copy(lock, lock.with_suffix(".copy")))
        replaced_at = now()
        copy.replace(lock)
        wait_until(lambda: b.leads, LEASE_S + SPARE_S, "b leads")
        assert now() > replaced_at + LEASE_S, "not before the lease has run out"
    finally:
        os.kill(a.program.pid, signal.SIGCONT)
    wait_until(lambda: not a.leads, 10, "a gives up")
    assert b.leads


def in_pid_namespace(replica: Replica) -> None:
    """Have a replica start as PID 1 of its own PID namespace."""
    at = replica.argv.index(sys.executable)
    replica.argv[at:at] = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]


def test_as_pid_1_the_program_exits_in_order(tmp_path: Path) -> None:
    """As PID 1 of a PID namespace, the program exits with 0 on SIGTERM."""
    replica = Replica(tmp_path, "a", *QUICK, f"--lease-lock=file:{tmp_path / 'l'}")
    in_pid_namespace(replica)
    with started(replica):
        replica.await_follower()
        replica.await_ready()
        os.kill(psutil.Process(replica.pid).children()[0].pid, signal.SIGTERM)
        assert replica.await_end() == 0


def test_the_dead_mans_switch_works_under_pid_1(tmp_path: Path, write_log: WriteLog) -> None:
    """A supervisor that is stopped under PID 1 is killed in time, and PID 1 exits with 137."""
    flags = (*QUICK, f"--lease-lock=file:{tmp_path / 'l'}")
    replica = Replica(tmp_path, "a", *flags, write_url=write_log.url("a"))
    in_pid_namespace(replica)
    with started(replica):
        replica.await_leader()
        init = psutil.Process(replica.pid).children()[0]
        supervisor = init.children()[0]
        stopped_at = now()
        supervisor.suspend()
        assert replica.await_end() == 128 + signal.SIGKILL
        assert now() < stopped_at + LEASE_S + SPARE_S, "by the kernel's timer"
        assert not write_log.writes(since=stopped_at + LEASE_S)
