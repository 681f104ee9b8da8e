"""Two replicas with real Prometheus on one lock file, and a Prometheus that receives samples.

All files are in one folder, all ports on loopback, and all processes end with the stack that they
are started on. Both replicas scrape the receiver each second with the same external labels, so that
what they send are the same series.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import requests

T = TypeVar("T")

PORTS = 7  # of one fleet
STOP_WITHIN_S = 30.0
CONFIG = """\
follower:
  global:
    scrape_interval: 1s
    external_labels:
      fleet: demo
  scrape_configs:
    - job_name: receiver
      static_configs:
        - targets: ["127.0.0.1:{receiver}"]
leader:
  remote_write:
    - url: http://127.0.0.1:{receiver}/api/v1/write
"""


class Failed(Exception):
    """Something did not happen that should have; the text says what."""


@dataclass
class Replica:
    """One prometheus-elector with its Prometheus."""

    name: str
    prometheus_port: int
    api_port: int
    command: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes]

    def leads(self) -> bool:
        """Tell whether it says that it leads."""
        with contextlib.suppress(requests.RequestException, ValueError):
            return bool(self._get("leader").json().get("is_leader"))
        return False

    def is_running(self) -> bool:
        """Tell whether its process is there."""
        return self.process.poll() is None

    def is_ready(self) -> bool:
        """Tell whether its Prometheus is ready; raise Failed if it has exited."""
        if not self.is_running():
            status = self.process.returncode
            raise Failed(f"replica {self.name} exited with status {status}: see {self.log}")
        with contextlib.suppress(requests.RequestException):
            return self._get("readyz").ok
        return False

    def _get(self, what: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.api_port}/_elector/{what}", timeout=2)


@dataclass
class Fleet:
    """Two replicas and their receiver, on ``PORTS`` ports."""

    name: str
    has_gate: bool
    folder: Path
    ports: list[int]
    stack: contextlib.ExitStack
    replicas: list[Replica] = field(default_factory=list)

    @property
    def receiver(self) -> str:
        """The URL of the receiver."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        """Start the receiver and both replicas."""
        self.folder.mkdir()
        _start(self.stack, self._receiver_command(), self.folder / "receiver.log")
        for name, ports in (("a", self.ports[1:4]), ("b", self.ports[4:7])):
            command = self._command(name, *ports)
            log = self.folder / f"{name}.log"
            process = _start(self.stack, command, log, name)
            self.replicas.append(Replica(name, ports[0], ports[1], command, log, process))

    def restart(self, replica: Replica) -> None:
        """Start a replica again that has exited, on what it has left."""
        replica.process = _start(self.stack, replica.command, replica.log, replica.name)

    def leader(self) -> Replica | None:
        """Return the first replica that says that it leads."""
        return next((each for each in self.replicas if each.is_running() and each.leads()), None)

    def other(self, than: Replica) -> Replica:
        """Return the other replica."""
        return next(each for each in self.replicas if each is not than)

    def has_sample_after(self, moment: float) -> bool:
        """Tell whether the receiver has a sample of ``up`` that is newer."""
        return any(at > moment for times in self._sample_times("up") for at in times[-1:])

    def largest_hole(self, since: float, of: str = "") -> float:
        """Return the largest distance in seconds of two samples that follow each other in a series.

        ``of`` is the name of a metric, "" for all. Samples that were scraped before ``since`` do
        not count, except the last of each series.
        """
        pairs = (pair for times in self._sample_times(of) for pair in itertools.pairwise(times))
        return max((later - one for one, later in pairs if later > since), default=float("inf"))

    def _sample_times(self, metric: str) -> list[list[float]]:
        """Return the timestamps of each series at the receiver, of the last two minutes."""
        with contextlib.suppress(requests.RequestException, ValueError, KeyError):
            query = {"query": f'{metric}{{job="receiver"}}[2m]'}
            answer = requests.get(f"{self.receiver}/api/v1/query", params=query, timeout=10)
            found = answer.json()["data"]["result"]
            return [[float(at) for at, _ in series["values"]] for series in found]
        return []

    def _receiver_command(self) -> tuple[str, ...]:
        config = self.folder / "receiver.yml"
        config.write_text("global: {}\n", encoding="utf-8")
        return (
            _prometheus(),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'receiver'}",
            f"--web.listen-address=127.0.0.1:{self.ports[0]}",
            "--web.enable-remote-write-receiver",
        )

    def _command(self, name: str, port: int, api_port: int, gate_port: int) -> tuple[str, ...]:
        config = self.folder / f"{name}.yml"
        config.write_text(CONFIG.format(receiver=self.ports[0]), encoding="utf-8")
        gate = f"--remote-write-gate-listen-address=127.0.0.1:{gate_port}"
        return (
            *(sys.executable, "-m", "wrapper"),
            f"--config={config}",
            f"--lease-lock=file:{self.folder / 'election.lock'}",
            f"--api-listen-address=127.0.0.1:{api_port}",
            "--api-proxy-enabled",
            "--peers=" + ",".join(f"http://127.0.0.1:{each}" for each in self.ports[2::3]),
            *(("--remote-write-gate", gate) if self.has_gate else ()),
            "--",
            _prometheus(),
            f"--config.file={self.folder / name}.prometheus.yml",
            f"--storage.tsdb.path={self.folder / name}",
            f"--web.listen-address=127.0.0.1:{port}",
        )


def freeze(stack: contextlib.ExitStack, replica: Replica) -> None:
    """Stop all processes of a replica with SIGSTOP; they go on when the stack ends."""
    first = psutil.Process(replica.process.pid)
    for process in (first, *first.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
            stack.callback(_resume, process)


def _resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()


def _prometheus() -> str:
    return os.environ.get("PROMETHEUS", "prometheus")


def _start(
    stack: contextlib.ExitStack, command: tuple[str, ...], log: Path, name: str = ""
) -> subprocess.Popen[bytes]:
    """Start a process that adds its output to a file, to be ended with the stack."""
    environment = {**os.environ, "POD_NAME": f"replica-{name}"} if name else None
    output = stack.enter_context(log.open("ab"))
    process = subprocess.Popen(
        command, stdout=output, stderr=output, env=environment, process_group=0
    )
    stack.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(first: int, count: int) -> list[int]:
    """Return free ports, or those from ``first`` on, each of which has to be free."""
    with contextlib.ExitStack() as stack:
        found = []
        for offset in range(count):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wanted = first + offset if first else 0
            try:
                listener.bind(("127.0.0.1", wanted))
            except (OSError, OverflowError) as error:
                raise Failed(
                    f"port {wanted} cannot be used ({getattr(error, 'strerror', error)}); "
                    "give another with --port, or none to have free ones chosen"
                ) from None
            found.append(listener.getsockname()[1])
        return found


def await_(look: Callable[[], T | None], within_s: float, otherwise: str) -> T:
    """Return what ``look`` returns as soon as it is something; raise Failed when time is up."""
    ends_at = time.monotonic() + within_s
    while time.monotonic() < ends_at:
        if found := look():
            return found
        time.sleep(0.1)
    raise Failed(f"{otherwise} within {within_s:g} s")
