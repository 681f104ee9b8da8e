"""A network for pods on this machine: a bridge, an address for each pod, names, the API server.

Each pod has its own network namespace, so that all can listen on the same ports, as in a cluster.
Names are resolved by one hosts file: pods by their headless service, Services of one pod, and the
API server. Needs root.
"""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.real.parts import ApiServer, Program

API_NAME = "kubernetes.default.svc"  # in the certificate that kube-apiserver makes for itself
API_PORT = 443


class Network:
    """The bridge and everything attached to it; programs started in it end with it."""

    def __init__(self, folder: Path, server: ApiServer) -> None:
        self.folder = folder / "network"
        self.server = server
        self.hosts = self.folder / "hosts"
        self.programs: list[Program] = []
        self._tag, self._subnet = make_bridge()
        self._addresses: dict[str, str] = {}
        self._relay = Relay(f"{self._subnet}.1", API_PORT, urlsplit(server.url).port or 0)

    def __enter__(self) -> Self:
        """Attach this machine and the API server to the bridge."""
        self.folder.mkdir(parents=True)
        self.hosts.write_text(f"127.0.0.1 localhost\n{self._subnet}.1 {API_NAME}\n")
        ip("addr", "add", f"{self._subnet}.1/24", "dev", self._tag)
        ip("link", "set", self._tag, "up")
        self._relay.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the programs, and remove the network."""
        for program in self.programs:
            program.kill()
        self._relay.close()
        for number, _ in enumerate(self._addresses):
            ip("link", "del", f"{self._tag}v{number}")
            ip("netns", "del", f"{self._tag}n{number}")
        ip("link", "del", self._tag)

    def namespace_of(self, pod: str) -> Path:
        """Return a pod's network namespace; create it at the first call."""
        self.address(pod)
        number = list(self._addresses).index(pod)
        return Path(f"/run/netns/{self._tag}n{number}")

    def address(self, pod: str, *names: str) -> str:
        """Return a pod's address, which never changes; add these names for it."""
        if pod not in self._addresses:
            self._attach(pod, len(self._addresses))
        if names:
            with self.hosts.open("a") as hosts:
                hosts.write(f"{self._addresses[pod]} {' '.join(names)}\n")
        return self._addresses[pod]

    def _attach(self, pod: str, number: int) -> None:
        inside, outside = f"{self._tag}n{number}", f"{self._tag}v{number}"
        address = self._addresses[pod] = f"{self._subnet}.{10 + number}"
        ip("netns", "add", inside)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", inside)
        ip("link", "set", outside, "master", self._tag, "up")
        ip("-n", inside, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            ip("-n", inside, "link", "set", link, "up")


class Relay:
    """Passes connections to one address on to the loopback port of the API server."""

    def __init__(self, host: str, port: int, to_port: int) -> None:
        self._address, self._to = (host, port), ("127.0.0.1", to_port)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._ends: list[socket.socket] = []

    def start(self) -> None:
        """Start listening."""
        self._socket.bind(self._address)
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close all connections."""
        for end in (self._socket, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def make_bridge() -> tuple[str, str]:
    """Create a bridge with an unused name; return its name and its subnet."""
    for _ in range(50):
        second, third = random.randrange(200, 250), random.randrange(250)
        words = ["ip", "link", "add", f"pe{second}x{third}", "type", "bridge"]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return f"pe{second}x{third}", f"10.{second}.{third}"
    raise AssertionError("no bridge could be made: this wants root, and a kernel with bridges")


def ip(*words: str) -> None:
    """Run the program `ip` of iproute2."""
    subprocess.run(["ip", *words], check=True)
