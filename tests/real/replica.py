"""One replica as users run it: prometheus-elector as the parent of a real Prometheus."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.real.parts import Namespace, Program, program
from tests.support import free_port, is_listening, wait_until

# Short durations, so that tests of expiry take seconds.
QUICK = ("--lease-duration=3s", "--lease-renew-deadline=2s", "--lease-retry-period=500ms")

FOLLOWER = """\
follower:
  global:
    scrape_interval: 1s
  scrape_configs:
  - job_name: self
    static_configs:
    - targets: ['{address}']
"""
LEADER = """\
leader:
  remote_write:
  - url: {url}
    queue_config: {{batch_send_deadline: 200ms}}
"""


class Replica(Program):
    """A wrapper and its Prometheus, each on a port of its own; ``name`` is its identity.

    ``prometheus`` is another binary than the tests' own; ``storage`` is ``agent`` in agent mode.
    ``host`` is where it listens, ``network`` its network namespace if it has one of its own.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *flags: str,
        write_url: str | None = None,
        child_flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
        reloads_by_http: bool = False,
        prometheus: str = "",
        storage: str = "tsdb",
        host: str = "127.0.0.1",
        network: Path | None = None,
    ) -> None:
        folder = folder / name
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.host = host
        self.address = f"{host}:{free_port()}"
        self.url = f"http://{self.address}"
        self.api = f"http://{host}:{(port := free_port())}"
        self.config = folder / "elector.yml"
        self.output = output or folder / "prometheus.yml"
        self.write_config(write_url)
        variables = {"POD_NAME": name, "TMPDIR": str(self.temporary), **(environment or {})}
        argv = ["nsenter", f"--net={network}"] if network else []
        argv += ["env", *(f"{key}={value}" for key, value in variables.items())]
        argv += [sys.executable, "-m", "wrapper"]
        argv += [f"--config={self.config}", f"--api-listen-address={host}:{port}", *flags]
        if reloads_by_http:
            argv += [f"--notify-http-url={self.url}/-/reload"]
            child_flags = (*child_flags, "--web.enable-lifecycle")
        argv += ["--", prometheus or program("prometheus"), f"--config.file={self.output}"]
        argv += [f"--storage.{storage}.path={folder / 'data'}"]
        argv += [f"--web.listen-address={self.address}"]
        super().__init__(name, [*argv, *child_flags], folder)

    def write_config(self, write_url: str | None) -> None:
        """Write the elector's configuration, with a leader that writes to this URL."""
        text = FOLLOWER.format(address=self.address)
        if write_url:
            text += LEADER.format(url=write_url)
        self.config.write_text(text)

    @property
    def says_it_leads(self) -> bool:
        """Whether its API says that it is the leader."""
        answer = requests.get(f"{self.api}/_elector/leader", timeout=2)
        return answer.status_code == 200 and bool(answer.json()["is_leader"])

    @property
    def has_remote_write(self) -> bool:
        """Whether its Prometheus has a remote_write in force."""
        return has_loaded_remote_write(self.address)

    @property
    def child(self) -> psutil.Process:
        """Its Prometheus."""
        return self._descendant(lambda words: any(each.startswith("--storage.") for each in words))

    @property
    def web(self) -> psutil.Process:
        """Its web server's parent process."""
        return self._descendant(
            lambda words: any(each.startswith("wrapper.web.") for each in words)
        )

    @property
    def gate(self) -> psutil.Process:
        """Its gate, before the receivers of remote_write."""
        return self._descendant(lambda words: "wrapper.gate.process" in words)

    def add_flags(self, *flags: str) -> None:
        """Start it with these flags too, from the next start on."""
        at = self.argv.index("--")
        self.argv[at:at] = flags

    def vanish(self) -> None:
        """Kill all of it at once: the machine has gone."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _descendant(self, is_it: Any) -> psutil.Process:
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # some live for a moment only
                if is_it(process.cmdline()):
                    return process
        raise OSError(f"{self.name} has no such child (yet)")

    def await_ready(self, timeout_s: float = 15) -> None:
        """Wait until its API says that it is ready."""
        url = f"{self.api}/_elector/readyz"
        wait_until(lambda: requests.get(url, timeout=2).ok, timeout_s, f"{self.name} is ready")

    def await_leader(self, timeout_s: float = 15) -> None:
        """Wait until its Prometheus has the leader's configuration in force."""
        wait_until(
            lambda: self._running() and self.has_remote_write, timeout_s, f"{self.name} leads"
        )

    def await_follower(self, timeout_s: float = 15) -> None:
        """Wait until its Prometheus answers, and has the follower's configuration in force."""
        wait_until(lambda: self._running() and not self.has_remote_write, timeout_s, "it follows")

    def _running(self) -> bool:
        assert self.is_running, f"{self.name} ended:\n{self.tail()}"
        return True

    def await_end(self, timeout_s: float = 15) -> int:
        """Wait until it has ended and return its exit status."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def family(self) -> list[psutil.Process]:
        """Return the supervisor and all its descendants."""
        supervisor = psutil.Process(self.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def term(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    def leavings(self) -> list[str]:
        """Return what is left of it: processes, ports, temporary files; nothing once it ended."""
        return [
            *self.running_parts(),
            *(f"file {each}" for each in self.temporary.iterdir()),
            *(f"file {each}" for each in self.output.parent.glob(".*.tmp-*")),
        ]

    def running_parts(self) -> list[str]:
        """Return its processes and ports that are left: all that a kill may not leave behind."""
        return [
            *(f"process {each.pid} {_command(each)}" for each in self.processes()),
            *(f"port {port}" for port in self._ports() if is_listening(port, self.host)),
        ]

    def processes(self) -> Iterator[psutil.Process]:
        """Find its processes by the environment that they inherit, whoever their parent is."""
        variable = f"TMPDIR={self.temporary}".encode()
        for file in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError, psutil.Error):  # ended, or a zombie
                if variable in file.read_bytes().split(b"\0"):
                    yield psutil.Process(int(file.parent.name))

    def _ports(self) -> tuple[int, int]:
        return int(self.url.rpartition(":")[2]), int(self.api.rpartition(":")[2])


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "(ending)"


def has_loaded_remote_write(address: str, timeout_s: float = 5) -> bool:
    """Tell whether the Prometheus at `address` has a remote_write in force.

    Tests ask this many times a second, so they ask without a library, which takes several times as
    long. Raises OSError, among them TimeoutError.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        connection.sendall(b"GET /api/v1/status/config HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    if not answer.startswith(b"HTTP/1.0 200 "):
        raise OSError(f"Prometheus at {address} answers {answer[:80]!r}")
    return b"\\nremote_write:" in answer


def on_lease(namespace: Namespace, kubeconfig: Path | None = None) -> tuple[str, ...]:
    """Return the flags that elect on a namespace's Lease."""
    return (
        f"--kubeconfig={kubeconfig or namespace.kubeconfig}",
        f"--lease-name={namespace.lease_name}",
        f"--lease-namespace={namespace.name}",
    )
