"""One replica as users run it: prometheus-elector as the parent process of a real Prometheus."""

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

# Short durations, so that tests of an expired lease take only seconds.
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
    """A prometheus-elector and its Prometheus, each on its own port; ``name`` is its identity.

    ``prometheus`` is the path of a Prometheus other than that of the tests; ``storage`` is
    ``agent`` in agent mode. ``host`` is the address that it listens on; ``network`` is its network
    namespace, if it has its own.
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
        """Write the configuration; its leader's part writes to this URL."""
        text = FOLLOWER.format(address=self.address)
        if write_url:
            text += LEADER.format(url=write_url)
        self.config.write_text(text)

    @property
    def says_it_leads(self) -> bool:
        """Whether its API reports it as the leader."""
        answer = requests.get(f"{self.api}/_elector/leader", timeout=2)
        return answer.status_code == 200 and bool(answer.json()["is_leader"])

    @property
    def has_remote_write(self) -> bool:
        """Whether its Prometheus has loaded a remote_write."""
        return has_loaded_remote_write(self.address)

    @property
    def child(self) -> psutil.Process:
        """Its Prometheus process."""
        return self._descendant(lambda words: any(each.startswith("--storage.") for each in words))

    @property
    def web(self) -> psutil.Process:
        """The parent process of its web server."""
        return self._descendant(
            lambda words: any(each.startswith("wrapper.web.") for each in words)
        )

    @property
    def gate(self) -> psutil.Process:
        """Its gate process."""
        return self._descendant(lambda words: "wrapper.gate.process" in words)

    def add_flags(self, *flags: str) -> None:
        """Add flags, which take effect at its next start."""
        at = self.argv.index("--")
        self.argv[at:at] = flags

    def vanish(self) -> None:
        """Kill all its processes at once, as when its machine fails."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _descendant(self, is_it: Any) -> psutil.Process:
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # some end at once
                if is_it(process.cmdline()):
                    return process
        raise OSError(f"{self.name} has no such child (yet)")

    def await_ready(self, timeout_s: float = 15) -> None:
        """Wait until its API reports that it is ready."""
        url = f"{self.api}/_elector/readyz"
        wait_until(lambda: requests.get(url, timeout=2).ok, timeout_s, f"{self.name} is ready")

    def await_leader(self, timeout_s: float = 15) -> None:
        """Wait until its Prometheus has loaded the leader's configuration."""
        wait_until(
            lambda: self._running() and self.has_remote_write, timeout_s, f"{self.name} leads"
        )

    def await_follower(self, timeout_s: float = 15) -> None:
        """Wait until its Prometheus answers and has loaded the follower's configuration."""
        wait_until(lambda: self._running() and not self.has_remote_write, timeout_s, "it follows")

    def _running(self) -> bool:
        assert self.is_running, f"{self.name} ended:\n{self.tail()}"
        return True

    def await_end(self, timeout_s: float = 15) -> int:
        """Wait until it has ended, and return its exit status."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def family(self) -> list[psutil.Process]:
        """Return the supervisor and all its descendants."""
        supervisor = psutil.Process(self.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def term(self) -> None:
        """Send SIGTERM to the supervisor."""
        os.kill(self.pid, signal.SIGTERM)

    def leavings(self) -> list[str]:
        """Return the processes, open ports and temporary files that remain of it."""
        return [
            *self.running_parts(),
            *(f"file {each}" for each in self.temporary.iterdir()),
            *(f"file {each}" for each in self.output.parent.glob(".*.tmp-*")),
        ]

    def running_parts(self) -> list[str]:
        """Return its processes and open ports, of which a kill may leave none."""
        return [
            *(f"process {each.pid} {_command(each)}" for each in self.processes()),
            *(f"port {port}" for port in self._ports() if is_listening(port, self.host)),
        ]

    def processes(self) -> Iterator[psutil.Process]:
        """Yield its processes, found by a variable that they inherit, whatever their parent."""
        variable = f"TMPDIR={self.temporary}".encode()
        for file in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError, psutil.Error):  # it has ended, or is a zombie
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
    """Tell whether the Prometheus at `address` has loaded a remote_write.

    Tests query this many times a second, so it uses a plain socket: an HTTP library takes several
    times as long. Raises OSError, including TimeoutError.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        connection.sendall(b"GET /api/v1/status/config HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    if not answer.startswith(b"HTTP/1.0 200 "):
        raise OSError(f"Prometheus at {address} answers {answer[:80]!r}")
    return b"\\nremote_write:" in answer


def on_lease(namespace: Namespace, kubeconfig: Path | None = None) -> tuple[str, ...]:
    """Return the flags for an election on a namespace's Lease."""
    return (
        f"--kubeconfig={kubeconfig or namespace.kubeconfig}",
        f"--lease-name={namespace.lease_name}",
        f"--lease-namespace={namespace.name}",
    )
