"""The real web process with snapshots from the test, and an upstream that can misbehave."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
import requests

from tests.support import free_port, wait_until
from wrapper.base import clock
from wrapper.base.snapshot_channel import SnapshotWriter
from wrapper.model.roles import Role
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions

FOLLOWER = Snapshot(
    stamped_at=0.0,
    identity="prometheus-0",
    role=Role.FOLLOWER,
    reason="another replica leads",
    election="lease monitoring/prometheus",
    is_ready=True,
    is_healthy=True,
    is_stopping=False,
    leads_until_at=None,
    lease_expires_at=None,
    holder="",
    holder_url="",
    lease_transitions=0,
    lease_problem="",
    last_transition_time=0.0,
    prometheus_url="",
    child_pid=None,
    child_start_time=None,
    configuration_is_valid=True,
    configuration_problem="",
    configuration_time=0.0,
    follower_fingerprint="f" * 64,
    leader_fingerprint="1" * 64,
    wanted_fingerprint="f" * 64,
    written_role="follower",
    written_fingerprint="",
    loaded_fingerprint="",
    pod_is_labelled=None,
    may_write=False,
    counters={},
    usage={},
)


# Longer than a run of all tests, because some snapshots are made when the tests are collected.
LEASE_LEFT_S = 3600.0


def leading(url: str = "", **changes: Any) -> Snapshot:
    """Return the snapshot of a leader whose own Prometheus answers at ``url``."""
    until_at = clock.now() + LEASE_LEFT_S
    leader = {"role": Role.LEADER, "leads_until_at": until_at, "holder": "prometheus-0"}
    own: dict[str, Any] = {"child_pid": 1, "prometheus_url": url} if url else {}
    return replace(FOLLOWER, **{**leader, **own, **changes})


def following(url: str = "", **changes: Any) -> Snapshot:
    """Return the snapshot of a follower; the leader's Prometheus answers at ``url``."""
    changes = {"lease_expires_at": clock.now() + LEASE_LEFT_S, **changes}
    return replace(FOLLOWER, **{"holder": "prometheus-1", "holder_url": url, **changes})


OUT_OF_SIGHT = following(lease_expires_at=0.0, lease_problem="no answer")


class Web:
    """A web process, started as the supervisor starts it."""

    def __init__(
        self,
        *,
        asking: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        run_by: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        """Start it, with ``run_by`` before its command; ``asking``: arguments of all requests."""
        self._writer = SnapshotWriter()
        self.asking = asking or {}
        port = free_port()
        self.url = f"{'https' if 'verify' in self.asking else 'http'}://127.0.0.1:{port}"
        self.address = ("127.0.0.1", port)
        options = {"proxy_enabled": True, "host": "127.0.0.1", "port": port, **options}
        self.options = WebOptions(snapshot_fd=self._writer.fileno(), **options)
        self.process = subprocess.Popen(
            [*run_by, *self.options.command()],
            pass_fds=(self._writer.fileno(),),
            process_group=0,
            env=os.environ | (environment or {}),
            stderr=subprocess.PIPE,
        )
        self._log: list[bytes] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        wait_until(lambda: self.get("/_elector/healthz").status_code, 15, "the web process answers")

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that answer requests: this process, or its children."""
        process = psutil.Process(self.process.pid)
        return process.children() if self.options.workers > 1 else [process]

    def tell(self, snapshot: Snapshot, age_s: float = 0.0) -> None:
        """Publish a snapshot that stays fresh for an hour, or is ``age_s`` old."""
        ahead_s = 0.0 if age_s else 3600.0
        self._writer.publish(replace(snapshot, stamped_at=clock.now() + ahead_s - age_s))

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Send a GET request, or one with ``method``."""
        method = arguments.pop("method", "GET")
        arguments = {"timeout": 60, **self.asking, **arguments}
        return requests.request(method, self.url + path, **arguments)

    def raw(self, data: bytes) -> bytes:
        """Send these bytes, and return everything that is received until the connection ends."""
        with socket.create_connection(self.address, timeout=20) as client:
            client.sendall(data)
            return read_all(client)

    def metric(self, line: str) -> float | None:
        """Return the value of a line of the metrics, or None if there is no such line."""
        lines = self.get("/_elector/metrics").text.splitlines()
        values = [each.rpartition(" ")[2] for each in lines if each.rpartition(" ")[0] == line]
        return float(values[0]) if values else None

    def stop(self) -> str:
        """End the process with SIGTERM, and return its log."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        self._reader.join(20)
        self._writer.close()
        return b"".join(self._log).decode()

    def _read_log(self) -> None:
        """Read the log continuously: a process that writes to a full pipe would wait."""
        assert self.process.stderr is not None
        with self.process.stderr as log:
            self._log.extend(log)


def read_all(client: socket.socket) -> bytes:
    """Return everything that is received until the other side closes or resets."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def answers(data: bytes) -> int:
    """Return the number of HTTP answers in these bytes."""
    return len(re.findall(rb"HTTP/1\.1 [1-5][0-9]{2} ", data))


class Upstream:
    """An HTTP server that records its requests, and answers as the test sets."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.answer: Callable[[socket.socket, bytes], None] = say(b"hello")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            self.heads.append(head)
            self.answer(client, rest)

    @property
    def request_line(self) -> str:
        """The first line of the last request."""
        return self.heads[-1].split(b"\r\n")[0].decode("latin-1")

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header of the last request, names in lower case."""
        lines = self.heads[-1].decode("latin-1").split("\r\n")[1:]
        return [
            (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in lines)
        ]

    def close(self) -> None:
        """Refuse connections from now on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def say(body: bytes = b"", head: bytes = b"") -> Callable[[socket.socket, bytes], None]:
    """Return a function that answers with this header, or with 200 and a length, and this body."""
    head = head or b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body)

    def answer(client: socket.socket, _rest: bytes) -> None:
        client.sendall(head + b"\r\n\r\n" + body)

    return answer


@pytest.fixture(scope="session")
def shared_web() -> Iterator[Web]:
    """Run one web process for many tests, and check that its log has no traceback."""
    web = Web(connect_timeout_s=0.5, idle_timeout_s=2.0, runtime_metrics=True)
    yield web
    said = web.stop()
    assert "Traceback" not in said, said


@pytest.fixture
def web(shared_web: Web) -> Web:
    """Return a web process with a proxy, whose snapshot names no leader."""
    shared_web.tell(FOLLOWER)
    return shared_web


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Run an upstream in place of Prometheus."""
    server = Upstream()
    yield server
    with contextlib.suppress(OSError):
        server.close()
