"""An error in any thread is logged, liveness fails, and the replica exits in order.

Each error is planted in code that the thread runs anyway, and is raised while all is well.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import celery
import pytest
import requests

from tests import promgen
from tests.promgen import RULES, TARGETS, Promgen, group
from tests.real.brokers import Redis
from tests.real.fleet import lines_of, own_lines
from tests.real.parts import CHECKOUT, Namespace, Program, Prometheus, started
from tests.real.replica import FOLLOWER, LEADER, QUICK, Replica, on_lease
from tests.real.test_pod_label import FLAG, RULE, make_pod
from tests.support import free_port, wait_until
from wrapper.supervision.shutdown import FAILED

LIMIT_S = 30.0
WRITE_URL = "http://127.0.0.1:9/write"
QUEUE = "prometheus001"


def _do_nothing(_replica: Replica) -> None:
    """Do nothing: the thread reaches the planted error without a cause."""


def _edit(replica: Replica) -> None:
    replica.write_config(f"{WRITE_URL}?2")


def _hup(replica: Replica) -> None:
    os.kill(replica.pid, signal.SIGHUP)


def _step_down(replica: Replica) -> None:
    os.kill(replica.pid, signal.SIGUSR1)


def _kill_the_gate(replica: Replica) -> None:
    replica.gate.kill()


class Planted(NamedTuple):
    """An error in a thread: its place, what makes the thread run the code, and flags."""

    thread: str
    place: str
    provoke: Callable[[Replica], None] = _do_nothing
    flags: tuple[str, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


LEADERS = (
    Planted("elector", "wrapper.election.lease_rules:next_step"),
    Planted("watch-prometheus", "wrapper.supervision.prometheus_api:PrometheusApi.probe"),
    Planted("watch-loaded", "wrapper.supervision.prometheus_api:PrometheusApi.evidence", _edit),
    Planted("measure-child", "wrapper.supervision.sensors:usage"),
    Planted("watch-inputs", "wrapper.configuration.debounce:Settling.is_held"),
    Planted("config-view", "wrapper.configuration.config_view:ConfigViewWriter.publish", _edit),
    Planted("writer", "wrapper.base.files:write_if_changed", _edit, ("--demotion-grace=1s",)),
    Planted("keep", "wrapper.configuration.last_good:LastGood.save", _edit),
    Planted("read-pause", "wrapper.election.step_down_pause:read", _step_down),
    Planted(
        "reload",
        "wrapper.supervision.prometheus_api:PrometheusApi.reload",
        _hup,
        ("--demotion-grace=1s",),
        {"reloads_by_http": True},
    ),
)
FEEDS = (
    Planted("feed", "wrapper.targets.fetch_pacing:due_at"),
    Planted("target-queue", "wrapper.targets.target_queue:TargetQueue._tick"),
    Planted("reload", "wrapper.targets.background_task:BackgroundTask._problem"),
    Planted("clean-tombstones", "wrapper.targets.background_task:BackgroundTask._problem"),
)
CHILDREN = (
    Planted(
        "wait-prometheus", "wrapper.startup.launch:ChildExited", flags=("--prometheus-grace=1s",)
    ),
    Planted(
        "wait-web",
        "wrapper.supervision.performer:WebExited",
        flags=("--api-shutdown-grace-delay=1s",),
    ),
)
GATES = (
    Planted("wait-gate", "wrapper.supervision.gate_process:GateReported"),
    Planted("wait-gate", "wrapper.supervision.gate_process:GateExited", _kill_the_gate),
)
TASKS = {
    "reload": "promgen.tasks.reload_prometheus",
    "clean-tombstones": "promgen.tasks.clear_tombstones",
}
ELSEWHERE = {"lease-watch", "labeller"}  # tested on a Lease, or with another leader
_START = re.compile(r'(?:threads\.start|self\._start)\(\s*"([a-z-]+)', re.MULTILINE)


def by_thread(cases: tuple[Planted, ...]) -> pytest.MarkDecorator:
    """Run a test with each of these errors."""
    return pytest.mark.parametrize("planted", cases, ids=[case.thread for case in cases])


class ErrorTrigger:
    """A file whose existence raises the planted error."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "planted"

    def plant(self, replica: Replica, place: str) -> None:
        """Make a replica that is not started run with the planted error."""
        at = replica.argv.index("-m") + 1
        replica.argv[at] = "tests.real.planted"
        replica.argv[1:1] = [f"PLANTED_IN={place}", f"PLANTED_FILE={self.file}"]

    def raise_error(self) -> None:
        """Create the file, so that the error is raised."""
        self.file.touch()


@pytest.fixture
def trigger(tmp_path: Path) -> ErrorTrigger:
    """Give a planted error that is not raised yet."""
    return ErrorTrigger(tmp_path)


Run = Callable[..., Replica]


@pytest.fixture
def run(tmp_path: Path, trigger: ErrorTrigger) -> Iterator[Run]:
    """Give a function that starts a replica with a planted error, on the test's lock file."""
    with ExitStack() as stack:

        def run_one(name: str, planted: Planted | None, *flags: str, **options: Any) -> Replica:
            lock = f"--lease-lock=file:{tmp_path / 'locks/election.lock'}"
            more: tuple[str, ...] = ()
            if planted is not None:
                options, more = planted.options | options, planted.flags
            words = (lock, *QUICK, "--rehash-period=200ms", *more, *flags)
            replica = Replica(tmp_path, name, *words, write_url=WRITE_URL, **options)
            if planted is not None:
                trigger.plant(replica, planted.place)
            return stack.enter_context(started(replica))

        yield run_one


def failure(replica: Replica) -> str:
    """Return why liveness fails, "" while it succeeds."""
    answer = requests.get(f"{replica.api}/_elector/healthz", timeout=5)
    return "" if answer.ok else str(answer.json()["error"])


def assert_exits_in_order(replica: Replica, thread: str, *, is_reported: bool = True) -> None:
    """Check that the error is logged, liveness fails, and the replica exits in order."""
    if is_reported:
        told = wait_until(lambda: failure(replica), LIMIT_S, f"{replica.name} fails")
        assert f"thread {thread} " in told
        assert "(RuntimeError" in told
    assert replica.await_end(LIMIT_S) == FAILED
    line = own_lines(replica, "error", f'msg="thread {thread} ')[0]
    assert line.has("in planted", "RuntimeError: planted")
    assert replica.leavings() == []


@by_thread(LEADERS)
def test_a_leader_whose_thread_fails_exits_in_order(
    run: Run, trigger: ErrorTrigger, planted: Planted
) -> None:
    """When a leader's thread fails, the leader becomes follower and exits; nothing remains."""
    replica = run("a", planted)
    replica.await_leader()
    replica.await_ready()
    kept = replica.output.with_name(f".{replica.output.name}.good-leader")
    wait_until(kept.exists, LIMIT_S, "what it has in force is kept")
    trigger.raise_error()
    planted.provoke(replica)
    assert_exits_in_order(replica, planted.thread)
    assert " role=follower " in lines_of(replica, 'msg="role changed"')[-1]


@by_thread(CHILDREN)
def test_a_replica_that_cannot_wait_for_a_child_exits(
    run: Run, trigger: ErrorTrigger, planted: Planted
) -> None:
    """When the thread that waits for a child process fails, the replica exits."""
    replica = run("a", planted)
    replica.await_leader()
    replica.await_ready()
    trigger.raise_error()
    is_web = planted.thread == "wait-web"
    (replica.web if is_web else replica.child).kill()
    assert_exits_in_order(replica, planted.thread, is_reported=not is_web)


@by_thread(GATES)
def test_a_replica_that_cannot_watch_its_gate_exits(
    run: Run, trigger: ErrorTrigger, planted: Planted
) -> None:
    """When the thread that waits for the gate fails, the replica exits.

    An unobserved gate may pass requests on, so the lease is released only after the gate's end.
    """
    address = f"--remote-write-gate-listen-address=127.0.0.1:{free_port()}"
    replica = run("a", planted, "--remote-write-gate", address, "--demotion-grace=2s")
    replica.await_ready()
    wait_until(lambda: lines_of(replica, 'msg="gate opened"'), LIMIT_S, "its gate is open")
    trigger.raise_error()
    planted.provoke(replica)
    assert_exits_in_order(replica, planted.thread)


def test_a_follower_whose_watch_fails_exits(run: Run, trigger: ErrorTrigger) -> None:
    """When a follower's watch of the lease fails, the follower exits, and the leader stays."""
    leader = run("a", None)
    leader.await_leader()
    watch = "wrapper.election.file_lease:FileLease._names_another"
    follower = run("b", Planted("lease-watch", watch))
    follower.await_ready()
    trigger.raise_error()
    assert_exits_in_order(follower, "lease-watch", is_reported=False)  # it has nothing to hand over
    assert leader.says_it_leads


@by_thread(FEEDS)
def test_a_replica_whose_feed_threads_fail_exits(
    run: Run, trigger: ErrorTrigger, planted: Planted, tmp_path: Path
) -> None:
    """When a thread of feeds or of Promgen's tasks fails, the replica exits."""
    server = Promgen()
    server.bodies = {TARGETS: promgen.targets(group("127.0.0.1:1")), RULES: promgen.rules()}
    files = tmp_path / "files"
    files.mkdir()
    with started(Redis(tmp_path / "redis")) as redis:
        replica = run(
            "a",
            planted,
            f"--targets-url={server.url}{TARGETS}={files}/t.json",
            "--targets-interval=200ms",
            f"--targets-queue={QUEUE}",
            environment={"ELECTOR_TARGETS_BROKER": redis.url},
        )
        replica.await_leader()
        replica.await_ready()
        wait_until(lambda: lines_of(replica, "listening to Promgen"), LIMIT_S, "it listens")
        trigger.raise_error()
        if planted.thread in TASKS:
            with celery.Celery("promgen", broker=redis.url) as app:
                app.send_task(TASKS[planted.thread], queue=QUEUE)
        assert_exits_in_order(replica, planted.thread)
    server.close()


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    """Give a namespace whose service account may patch the pods a and b."""
    return make_namespace(more_rules=[RULE])


@pytest.mark.parametrize(
    ("thread", "place"),
    [
        ("labeller", "wrapper.election.pod_patch:Pod.set_label"),
        ("elector", "wrapper.election.lease_rules:next_step"),
    ],
)
def test_a_failed_election_thread_cannot_release_the_lease(
    namespace: Namespace, trigger: ErrorTrigger, tmp_path: Path, thread: str, place: str
) -> None:
    """When the election's thread fails, the Lease stays held until it expires.

    When the thread of the pod's label fails, the Lease is released.
    """
    uid = make_pod(namespace, "a")
    replica = Replica(
        tmp_path,
        "a",
        *on_lease(namespace),
        *QUICK,
        FLAG,
        write_url=WRITE_URL,
        environment={"POD_NAMESPACE": namespace.name, "POD_UID": uid},
    )
    trigger.plant(replica, place)
    with started(replica):
        replica.await_leader()
        replica.await_ready()
        wait_until(lambda: lines_of(replica, "pod has the leader label"), LIMIT_S, "label")
        trigger.raise_error()
        if thread == "labeller":
            _step_down(replica)
        assert_exits_in_order(replica, thread)
    lease = namespace.lease()
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ("a" if thread == "elector" else "")


def test_a_sidecar_whose_thread_fails_demotes_and_exits(
    trigger: ErrorTrigger, tmp_path: Path
) -> None:
    """When a sidecar's thread fails, it demotes its Prometheus, which runs on, and exits."""
    with started(Prometheus(tmp_path / "prometheus", "{}", "--web.enable-lifecycle")) as server:
        config = tmp_path / "elector.yml"
        config.write_text(FOLLOWER.format(address=server.address) + LEADER.format(url=WRITE_URL))
        command = ["env", "PLANTED_IN=wrapper.election.lease_rules:next_step"]
        command += [f"PLANTED_FILE={trigger.file}", sys.executable, "-m", "tests.real.planted"]
        command += [f"--config={config}", f"--output={server.config_file}", *QUICK]
        command += [f"--notify-http-url={server.url}/-/reload"]
        command += [f"--lease-lock=file:{tmp_path / 'election.lock'}"]
        command += [f"--api-listen-address=127.0.0.1:{free_port()}"]
        with started(Program("sidecar", command, tmp_path)) as sidecar:
            wait_until(lambda: "remote_write:" in server.applied_config(), LIMIT_S, "it leads")
            trigger.raise_error()
            assert sidecar.process is not None
            assert sidecar.process.wait(LIMIT_S) == FAILED
        assert "remote_write:" not in server.applied_config()


def test_the_table_has_all_threads() -> None:
    """The tests cover every thread that is started, and no module starts threads otherwise."""
    sources = {path: path.read_text() for path in (CHECKOUT / "wrapper").rglob("*.py")}
    named = {name for text in sources.values() for name in _START.findall(text)}
    cases = {case.thread for case in (*LEADERS, *FEEDS, *CHILDREN, *GATES)}
    assert named | set(TASKS) == cases | ELSEWHERE
    others = {path.stem for path, text in sources.items() if "threading.Thread" in text}
    assert others == {"file_lease", "thread_group", "threads", "with_timeout"}


def test_its_threads_share_one_arena(start: Callable[..., Replica]) -> None:
    """No thread has its own malloc arena, which would keep memory of a large configuration."""
    replica = start("a")
    replica.await_ready()
    assert len(list(Path(f"/proc/{replica.pid}/task").iterdir())) > 5
    assert not arenas_of_threads(replica.pid)


def arenas_of_threads(pid: int) -> list[str]:
    """Return the addresses of a process' glibc arenas other than the main one.

    Each reserves 64 MiB at a multiple of 64 MiB, of which only the beginning is writable.
    """
    size = 64 << 20
    lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    found = []
    for (used, rights, *_), (reserved, more_rights, *_) in pairwise(lines):
        start, end = int(used.split("-")[0], 16), int(reserved.split("-")[1], 16)
        is_pair = (rights, more_rights) == ("rw-p", "---p")
        if is_pair and start % size == 0 and end - start == size:
            found.append(used)
    return found
