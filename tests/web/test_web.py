"""The Flask app in the real web process: its answers for a snapshot, and its process."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support import free_port, let_pass, wait_until
from tests.web.conftest import FOLLOWER, OUT_OF_SIGHT, Upstream, Web, following, leading, say
from wrapper.base.log_form import Form
from wrapper.base.snapshot_channel import SnapshotWriter, why_stale
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions


@pytest.mark.parametrize(
    ("snapshot", "content"),
    [
        (leading(), {"is_leader": True, "current_leader": "prometheus-0"}),
        (following(), {"is_leader": False, "current_leader": "prometheus-1"}),
        (FOLLOWER, {"is_leader": False, "current_leader": ""}),
        (OUT_OF_SIGHT, {"is_leader": False, "current_leader": None}),
    ],
    ids=["leader", "follower", "nobody leads", "out of sight"],
)
def test_leader_names_the_leader(web: Web, snapshot: Snapshot, content: dict[str, Any]) -> None:
    """/_elector/leader returns whether this replica leads, and the name of the leader."""
    web.tell(snapshot)
    answer = web.get("/_elector/leader")
    assert (answer.status_code, answer.json()) == (200, content)


def test_liveness_fails_if_a_restart_is_needed(web: Web) -> None:
    """If only a restart helps, liveness fails.

    The reason is in the status, which may require a password, and not in the answer.
    """
    web.tell(following(lease_problem="the lock file /x was removed"))
    assert web.get("/_elector/healthz").ok
    web.tell(following(lease_problem="the lock file /x was removed", needs_restart=True))
    answer = web.get("/_elector/healthz")
    assert answer.status_code == 503
    assert "/_elector/status" in answer.json()["error"]
    assert "/x" not in answer.text
    status = web.get("/_elector/status").json()
    assert (status["needs_restart"], status["lease"]["problem"][-7:]) == (True, "removed")
    assert 'id="needs-restart"' in web.get("/_elector/").text


def test_a_lease_that_cannot_be_watched_has_a_problem(web: Web) -> None:
    """If the lease cannot be watched, that is its problem; the leader is still known."""
    web.tell(following(holder="", lease_expires_at=0.0, watch_problem="p may not watch"))
    status = web.get("/_elector/status").json()
    assert (status["lease"]["problem"], status["leader"]) == ("p may not watch", "")
    assert "p may not watch" in web.get("/_elector/").text
    web.tell(following(lease_problem="no answer", watch_problem="p may not watch"))
    assert web.get("/_elector/status").json()["lease"]["problem"] == "no answer"


def test_liveness_fails_after_a_thread_has_ended(web: Web) -> None:
    """If a thread of the supervisor has ended, liveness fails with the reason."""
    web.tell(following(failure="the thread writer has ended"))
    answer = web.get("/_elector/healthz")
    assert answer.status_code == 503
    assert answer.json()["error"].endswith(": the thread writer has ended")
    assert web.get("/_elector/status").json()["problem"] == "the thread writer has ended"


@pytest.mark.parametrize(
    ("changes", "content"),
    [
        (
            {"loaded_fingerprint": "f" * 64},
            {"is_valid": True, "problems": [], "loaded": "f" * 64, "is_loaded": True},
        ),
        (
            {
                "configuration_is_valid": False,
                "configuration_problem": "a.yml:1:2: one; two\na.yml:3:4: three",
                "loaded_fingerprint": "1" * 64,
            },
            {
                "is_valid": False,
                "problems": ["a.yml:1:2: one; two", "a.yml:3:4: three"],
                "loaded": "1" * 64,
                "is_loaded": False,
            },
        ),
        ({}, {"is_valid": True, "problems": [], "loaded": "", "is_loaded": False}),
    ],
    ids=["loaded", "bad", "not known to be loaded"],
)
def test_config_describes_the_configuration(
    web: Web, changes: dict[str, Any], content: dict[str, Any]
) -> None:
    """/_elector/config returns validity, problems, time, and the loaded rendering."""
    web.tell(replace(FOLLOWER, configuration_time=1_700_000_000.7, **changes))
    answer = web.get("/_elector/config")
    renderings = {"follower": "f" * 64, "leader": "1" * 64}
    always = {"since": "2023-11-14T22:13:20+00:00", "renderings": renderings, "wanted": "f" * 64}
    assert (answer.status_code, answer.json()) == (200, {**always, **content})


def test_config_is_404_without_a_rendering(web: Web) -> None:
    """If Prometheus reads its own file, /_elector/config is a 404."""
    web.tell(replace(FOLLOWER, written_role=""))
    answer = web.get("/_elector/config")
    assert (answer.status_code, answer.json()["errorType"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["leader", "config", "healthz", "readyz"])
def test_a_stale_snapshot_is_unavailable(web: Web, path: str) -> None:
    """With a stale snapshot, every path of the state is a 503 with the reason."""
    web.tell(leading(), age_s=60.0)
    answer = web.get(f"/_elector/{path}")
    assert answer.status_code == 503
    assert answer.json()["errorType"] == "unavailable"
    assert "state 60." in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "healthy", "ready"),
    [
        ({}, 200, 200),
        ({"is_ready": False}, 200, 503),
        ({"is_healthy": False}, 200, 200),
        ({"leads_until_at": None}, 200, 200),
    ],
    ids=["well", "replaying its WAL", "unhealthy", "not leading"],
)
def test_readiness_is_prometheus_readiness(
    web: Web, changes: dict[str, Any], healthy: int, ready: int
) -> None:
    """Readiness requires Prometheus to be ready; liveness only the supervisor.

    Leadership affects neither.
    """
    web.tell(leading(**changes))
    assert web.get("/_elector/healthz").status_code == healthy
    assert web.get("/_elector/readyz").status_code == ready


def test_metrics_are_served_in_the_format_asked_for(web: Web) -> None:
    """/_elector/metrics answers with text, or with OpenMetrics if the client accepts it."""
    assert web.get("/_elector/metrics").headers["Content-Type"].startswith("text/plain")
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = web.get("/_elector/metrics", headers=accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert "process_resident_memory_bytes" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/_elector/nothing",
        "/%5felector/nothing",
        "//_elector//nothing",
        "/x/../_elector/nothing",
        "/_elector/%2e%2e/_elector/nothing?a=b",
    ],
)
def test_unknown_own_paths_are_never_forwarded(web: Web, upstream: Upstream, path: str) -> None:
    """An unknown path under /_elector/, in any notation, is a 404 and is not forwarded."""
    web.tell(leading(upstream.url))
    head, _, body = web.raw(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert json.loads(body)["errorType"] == "not_found"
    assert upstream.heads == []


@pytest.mark.parametrize(("path", "code"), [("/_elector", 308), ("/_elector/", 200)])
def test_the_status_page_is_never_forwarded(
    web: Web, upstream: Upstream, path: str, code: int
) -> None:
    """The path of the status page is never forwarded, with or without its slash."""
    web.tell(leading(upstream.url))
    assert web.get(path, allow_redirects=False).status_code == code
    assert upstream.heads == []


def test_a_wrong_method_is_405_with_the_allowed_ones(web: Web) -> None:
    """A wrong method is a 405 that lists the allowed methods."""
    answer = web.get("/_elector/leader", method="POST")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.json()["status"] == "error"


def test_status_is_never_cached(web: Web) -> None:
    """Answers about the state must not be cached."""
    assert web.get("/_elector/leader").headers["Cache-Control"] == "no-store"


# --- the process ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silent_web() -> Any:
    """Run a web process without a proxy and without a snapshot."""
    web = Web(proxy_enabled=False)
    yield web
    web.stop()


def test_liveness_fails_before_the_first_snapshot(silent_web: Web) -> None:
    """Before the first snapshot, liveness fails with the reason."""
    answer = silent_web.get("/_elector/healthz")
    assert answer.status_code == 503
    assert answer.json()["error"] == why_stale(None, 0.0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_without_the_proxy_other_paths_get_a_hint(silent_web: Web, method: str) -> None:
    """Without the proxy, other paths are a 404 that names the flag."""
    answer = silent_web.get("/api/v1/query", method=method)
    assert answer.status_code == 404
    assert ("--api-proxy-enabled" in answer.text) is (method != "HEAD")


def test_a_port_in_use_is_one_line_and_status_2() -> None:
    """If the port is in use, the process logs one line and exits with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _start_in_vain(host="127.0.0.1", port=port)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert f"--api-listen-address=127.0.0.1:{port}: the port is in use; Prometheus and the " in line
    assert "election go on" in line
    assert "no API (probes, status, metrics) and no proxy" in line
    assert "stop the other program, or choose another address or port" in line


def test_an_address_of_another_machine_is_refused() -> None:
    """If the address is not local, the process logs one line and exits with status 2."""
    ended = _start_in_vain(host="192.0.2.1", port=free_port())
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "--api-listen-address=192.0.2.1:" in line


def _start_in_vain(**options: Any) -> subprocess.CompletedProcess[str]:
    writer = SnapshotWriter()
    try:
        fd = writer.fileno()
        command = WebOptions(snapshot_fd=fd, **options).command()
        return subprocess.run(
            command, pass_fds=(fd,), capture_output=True, text=True, timeout=15, check=False
        )
    finally:
        writer.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_all_processes(workers: int) -> None:
    """SIGTERM ends all processes with status 0, and without error messages."""
    web = Web(workers=workers)
    family = web.workers
    said = web.stop()
    assert web.process.returncode == 0
    assert [line for line in said.splitlines() if "listening" not in line] == []
    assert not any(each.is_running() for each in family)


def test_sigterm_ends_a_starting_process() -> None:
    """SIGTERM also ends a process whose worker has just been forked."""
    for _ in range(5):
        web = _Starting(workers=2)
        wait_until(psutil.Process(web.pid).children, 10, "a worker", poll_s=0)
        web.terminate()
        assert web.wait(timeout=5) == 0


def test_sigterm_finishes_an_answer_in_progress(upstream: Upstream) -> None:
    """After SIGTERM, an answer that has begun is completed."""
    web = Web()
    web.tell(leading(upstream.url))

    def slow(client: socket.socket, _rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        web.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _accepts(web), 15, "the listener is closed")
        client.sendall(b"67890")

    upstream.answer = slow
    assert web.get("/").text == "1234567890"
    web.stop()


def _accepts(web: Web) -> bool:
    with socket.socket() as client:
        return client.connect_ex(web.address) == 0


def test_workers_die_with_their_parent() -> None:
    """If the arbiter is killed, its workers are killed too, even stopped ones."""
    web = Web(workers=4)
    wait_until(lambda: sum(map(_has_started, web.workers)) == 4, 15, "all workers have started")
    workers = web.workers
    for worker in workers:
        worker.suspend()
    web.process.kill()
    wait_until(lambda: not any(map(_lives, workers)), 15, "the workers are gone")
    web.process.wait(timeout=5)


def _has_started(worker: psutil.Process) -> bool:
    """Return whether a worker handles SIGTERM, which means that it will die with its parent."""
    lines = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii").splitlines()
    masks = {name: int(value, 16) for name, _, value in (line.partition(":") for line in lines)
             if name in {"SigCgt", "SigBlk"}}  # fmt: skip
    return bool(masks["SigCgt"] & ~masks["SigBlk"] & 1 << (signal.SIGTERM - 1))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_dead_worker_is_replaced() -> None:
    """With several workers, gunicorn replaces a dead one, which reads the same snapshots."""
    web = Web(workers=2)
    web.tell(leading())
    for worker in web.workers:
        worker.kill()
    wait_until(lambda: web.get("/_elector/leader").ok, 10, "the next worker answers")
    web.stop()


def test_a_lone_worker_is_the_process_itself() -> None:
    """With one worker there is no arbiter process, which would take memory."""
    web = Web()
    assert psutil.Process(web.process.pid).children() == []
    web.stop()


WITH_SHORT_HEARTBEAT = """\
import sys
from wrapper.web import app, server, worker
server.HEARTBEAT_S = 2
worker.CHECK_PERIOD_S = 0.5
sys.exit(app.main(sys.argv[1:]))
"""


def test_a_single_worker_that_hangs_is_killed() -> None:
    """A single worker that hangs is killed by a kernel alarm, since there is no arbiter."""
    web = _Starting(code=WITH_SHORT_HEARTBEAT)
    try:
        wait_until(lambda: _answers(web.port), 10, "it answers")
        let_pass(3)
        assert web.poll() is None  # while it works, it is not killed
        web.send_signal(signal.SIGSTOP)
        let_pass(3)
        web.send_signal(signal.SIGCONT)
        assert web.wait(timeout=5) == -signal.SIGALRM
    finally:
        web.kill()
        web.wait()


class _Starting(subprocess.Popen[bytes]):
    """A web process whose start is not awaited."""

    def __init__(
        self, environment: Mapping[str, str] | None = None, *, workers: int = 1, code: str = ""
    ) -> None:
        """Start it; with ``code``, run that instead, with its options as the first argument."""
        writer = SnapshotWriter()
        fd = writer.fileno()
        self.port = free_port()
        options = WebOptions(snapshot_fd=fd, host="127.0.0.1", port=self.port, workers=workers)
        command = options.command()
        if code:
            command = (sys.executable, "-P", "-c", code, command[-1])
        super().__init__(command, pass_fds=(fd,), env={**os.environ, **(environment or {})})
        writer.close()

    def __exit__(self, *_: object) -> None:
        self.terminate()
        assert self.wait(timeout=10) == 0


def test_no_files_are_written(tmp_path: Path) -> None:
    """The process writes no files to its home, temporary or runtime folder."""
    folders = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
    for each in folders.values():
        each.mkdir()
    with _Starting({name: str(path) for name, path in folders.items()}) as web:
        wait_until(lambda: _answers(web.port), 10, "it answers")
        assert [path for path in tmp_path.rglob("*") if path.parent != tmp_path] == []


def _answers(port: int) -> bool:
    url = f"http://127.0.0.1:{port}/_elector/metrics"
    return requests.get(url, timeout=1).ok


def test_all_addresses_include_both_families() -> None:
    """With an empty host, the process listens on IPv4, and on IPv6 if available."""
    web = Web(host="")
    families = [("127.0.0.1", web.address[1])]
    if socket.has_dualstack_ipv6():
        families.append(("::1", web.address[1]))
    for address in families:
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"GET /_elector/healthz HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.0 503")
    web.stop()


def test_several_workers_answer_alike() -> None:
    """With several workers, all answer with the same snapshot."""
    web = Web(workers=2)
    web.tell(following())
    answers = [web.get("/_elector/leader").json()["current_leader"] for _ in range(20)]
    assert set(answers) == {"prometheus-1"}
    web.stop()


def test_optional_libraries_are_not_imported() -> None:
    """YAML, bcrypt and gunicorn are imported only if they are needed."""
    words = "import sys, wrapper.web.app; print(*{'yaml', 'bcrypt', 'gunicorn'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-P", "-c", words], text=True) == "\n"


def test_options_survive_their_command() -> None:
    """The options that the command contains are read back unchanged."""
    form = Form.GO_KIT_JSON
    options = WebOptions(snapshot_fd=7, host="::1", port=1, service_name="é", log_form=form)
    assert WebOptions.from_json(options.command()[-1]) == options
    assert options.command()[:4] == (sys.executable, "-P", "-m", "wrapper.web.app")


def test_silent_clients_do_not_delay_others(web: Web) -> None:
    """200 silent connections delay no request, and stay connected."""
    silent = [socket.create_connection(web.address) for _ in range(200)]
    try:
        assert web.get("/_elector/metrics").ok
        assert not select.select(silent, [], [], 0)[0], "none of them has been sent away"
    finally:
        for each in silent:
            each.close()


def test_each_request_reads_the_snapshot(web: Web, upstream: Upstream) -> None:
    """Each request reads the newest snapshot."""
    upstream.answer = say(b"local")
    web.tell(leading(upstream.url))
    assert web.get("/").text == "local"
    web.tell(replace(FOLLOWER))
    assert web.get("/").status_code == 503
