"""A long start of Prometheus: the log gives the time, the reason and the progress."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from wrapper.model.events import Event, FenceChecked
from wrapper.options.settings import HealthChecks
from wrapper.supervision import sensors
from wrapper.supervision.prometheus_api import PrometheusApi, read_replay
from wrapper.supervision.sensors import Fence, PrometheusWatch

REFUSALS = 40  # refused readiness probes, whose pauses grow


class Replaying(BaseHTTPRequestHandler):
    """A Prometheus that replays its WAL until it has been asked REFUSALS times."""

    asked = 0

    def do_GET(self) -> None:
        """Answer as Prometheus does."""
        if self.path.endswith("walreplay"):
            self._answer(200, b'{"status":"success","data":{"min":4,"max":9,"current":6}}')
            return
        Replaying.asked += 1
        is_ready = Replaying.asked > REFUSALS
        self._answer(200 if is_ready else 503, b"" if is_ready else b"Service Unavailable\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def replaying() -> Iterator[str]:
    """Run such a Prometheus, and return its URL."""
    Replaying.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Replaying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_waiting_is_logged_repeatedly(
    replaying: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each log line has the time waited, Prometheus' answer, and the progress of its replay."""
    monkeypatch.setattr(sensors, "LOG_WAITING_EVERY_S", 0.05)
    caplog.set_level(logging.INFO)
    events: list[Event] = []
    health_checks = HealthChecks(f"{replaying}/-/ready", 0.05, 10.0, "", 1.0, 1.0)
    watch = PrometheusWatch(PrometheusApi(replaying), health_checks, Fence(None, 0), events.append)
    threading.Thread(target=watch.run, daemon=True).start()
    assert watch.ready.wait(20)
    watch.end()
    lines = [each for each in caplog.records if hasattr(each, "waited_s")]
    assert len(lines) >= 2
    assert vars(lines[0])["wal_replay"] == "segment 3 of 6"
    assert vars(lines[0])["reason"] == f"{replaying}/-/ready answered 503: Service Unavailable"
    assert vars(lines[0])["waited_s"] >= 0


class PassingObstacle(Fence):
    """A fence check that fails twice, as if no descriptor were free."""

    found: ClassVar[list[str]] = []

    def obstacle(self) -> str:
        """Return the next result."""
        return self.found.pop(0)


def test_a_temporary_obstacle_to_fencing_is_checked_again(replaying: str) -> None:
    """An obstacle to fencing is checked again.

    Otherwise it would keep this replica from leading until a restart.
    """
    PassingObstacle.found = ["no descriptor", "no descriptor", ""]
    events: queue.Queue[Event] = queue.Queue()
    url = f"{replaying}/-/ready"
    health_checks = HealthChecks(url, 0.05, 10.0, url, 0.05, 1.0)
    fence = PassingObstacle(1, 1)
    watch = PrometheusWatch(PrometheusApi(replaying), health_checks, fence, events.put)
    threading.Thread(target=watch.run, daemon=True).start()
    happened = [events.get(timeout=20) for _ in range(REFUSALS + 10)]
    watch.end()
    checks = [each.obstacle for each in happened if isinstance(each, FenceChecked)]
    assert checks == ["no descriptor", ""]


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ('{"data":{"min":0,"max":2,"current":0}}', "segment 1 of 3"),
        ('{"data":{"min":0,"max":0,"current":0}}', ""),
        ('{"data":{"min":0,"max":0,"current":-1}}', ""),
        ("not found", ""),
    ],
)
def test_progress_is_empty_without_a_replay(shown: str, told: str) -> None:
    """The progress is empty before the replay has begun, and if Prometheus has no such page."""
    assert read_replay(shown) == told
