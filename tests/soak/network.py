"""A network namespace for each replica, on a bridge of the soak test, so that it can be cut off.

All parts that replicas use listen on the bridge's address. Without root there is no bridge: then
all share loopback, and no replica can be cut off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Self

from tests.k8s.network import ip, make_bridge

LOOPBACK = "127.0.0.1"


class Place(NamedTuple):
    """The place of a replica: its address, and its network namespace or None."""

    host: str
    namespace: Path | None


class Network:
    """The bridge; ``host`` is the address of the soak test."""

    def __init__(self) -> None:
        self.has_namespaces = os.geteuid() == 0
        self.host = LOOPBACK
        self._tag = ""
        self._names: list[str] = []

    def __enter__(self) -> Self:
        if self.has_namespaces:
            self._tag, subnet = make_bridge()
            self.host = f"{subnet}.1"
            ip("addr", "add", f"{self.host}/24", "dev", self._tag)
            ip("link", "set", self._tag, "up")
        return self

    def __exit__(self, *_: object) -> None:
        if self._tag:
            for name in self._names:
                ip("link", "del", self._outside(name))
                ip("netns", "del", self._inside(name))
            ip("link", "del", self._tag)

    def place(self, name: str) -> Place:
        """Return a new place for a replica."""
        if not self.has_namespaces:
            return Place(LOOPBACK, None)
        self._names.append(name)
        inside, outside = self._inside(name), self._outside(name)
        address = self.host.rpartition(".")[0] + f".{10 + len(self._names)}"
        ip("netns", "add", inside)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", inside)
        ip("-n", inside, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            ip("-n", inside, "link", "set", link, "up")
        self.join(name)
        return Place(address, Path("/run/netns") / inside)

    def cut(self, name: str) -> None:
        """Block all packets of a replica; its own link stays up, as in reality."""
        ip("link", "set", self._outside(name), "nomaster")

    def join(self, name: str) -> None:
        """Allow packets again."""
        ip("link", "set", self._outside(name), "master", self._tag, "up")

    def _inside(self, name: str) -> str:
        return f"{self._tag}n{self._names.index(name)}"

    def _outside(self, name: str) -> str:
        return f"{self._tag}v{self._names.index(name)}"
