"""The processes of a replica, by their role; read from /proc, which is cheaper than psutil."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.soak.facts import Figures

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
SUPERVISOR, PROMETHEUS, WEB, WORKER, GATE, OTHER = (
    "supervisor",
    "prometheus",
    "web",
    "worker",
    "gate",
    "other",
)
_ESTABLISHED, _LISTEN = "01", "0A"  # states of TCP in /proc
GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


class Life(NamedTuple):
    """A process: its ID and its start time (clock ticks since boot), which are unique together."""

    pid: int
    began: int

    def signal(self, number: int) -> None:
        """Send the process a signal, if it is still alive."""
        if self.is_there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    @property
    def is_there(self) -> bool:
        """Whether the process is alive; a zombie is not."""
        state, began = _state(self.pid)
        return began == self.began and state != "Z"


def family(pid: int) -> dict[str, list[Life]]:
    """Return the living processes of a supervisor, by their role."""
    found: dict[str, list[Life]] = {}
    for role, life in _walk(pid, SUPERVISOR):
        if life.is_there:
            found.setdefault(role, []).append(life)
    return found


def figures(life: Life) -> Figures:
    """Return what a process uses; only its own memory, without shared memory.

    Connections that clients keep open are not counted: Prometheus opens more when it sends more at
    once, as to a new leader's gate, and keeps them for 5 minutes. Connections that the client has
    closed are counted.
    Raises one of GONE.
    """
    folder = PROC / str(life.pid)
    threads = len(list((folder / "task").iterdir()))
    kept = _kept_by_clients(folder)
    descriptors = sum(target not in kept for target in _targets(folder))
    size, shared = (int((folder / "statm").read_text().split()[n]) for n in (1, 2))
    return Figures(threads, descriptors, (size - shared) * PAGE / (1 << 20))


def _targets(folder: Path) -> Iterator[str]:
    """Yield the target of each descriptor of a process."""
    for descriptor in (folder / "fd").iterdir():
        with contextlib.suppress(*GONE):
            yield str(descriptor.readlink())


def _kept_by_clients(folder: Path) -> set[str]:
    """Return the connections in its network that a client has opened and not closed."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in (folder / "net" / name).read_text().splitlines()[1:]
    ]
    ports = {row[1].rpartition(":")[2] for row in rows if row[3] == _LISTEN}
    return {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == _ESTABLISHED and row[1].rpartition(":")[2] in ports
    }


def _walk(pid: int, role: str) -> Iterator[tuple[str, Life]]:
    yield role, Life(pid, _state(pid)[1])
    for child in _children(pid):
        yield from _walk(child, _role(child, role))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(*GONE):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(*GONE):
                found += map(int, (task / "children").read_text().split())
    return found


def _role(pid: int, parent: str) -> str:
    if parent == WEB:
        return WORKER
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except GONE:
        return OTHER
    if any(word.startswith(b"--storage.") for word in words):
        return PROMETHEUS
    if any(word.startswith(b"wrapper.web.") for word in words):
        return WEB
    return GATE if b"wrapper.gate.process" in words else OTHER


def _state(pid: int) -> tuple[str, int]:
    """Return state and start time of a process; "" and 0 if there is none."""
    try:
        words = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except GONE:
        return "", 0
    return words[0], int(words[19])
