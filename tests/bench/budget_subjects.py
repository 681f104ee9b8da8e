"""The subjects of `scripts/bench budget`: a checkout of this program, or a peer; one run each."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.bench.config import Endpoint, one_file, running
from tests.bench.failover import Bench, Flags, Own, Peer
from tests.bench.failover import Subject as Started
from tests.bench.memory import FORMS, GATE, PLAIN, PROXY, SUM, Idle, flags_of, measured
from tests.bench.the_peer import Sidecar
from tests.real.parts import ApiServer, Etcd, Namespace, Program, WriteLog, program, started
from tests.real.replica import FOLLOWER, Replica, on_lease
from tests.support import free_port, let_pass, wait_until

KIB = 1024
SCRAPES = ("scrape_interval: 1s", "scrape_interval: 15s")  # of an idle replica
EDITS = 3  # of one program
CALM_S = 1.5  # between two edits, so that none belongs to a burst
EDITED = "service-05000\n    scrape_interval: "  # in the form of one file
POLL_S = 0.004


class Rendered(NamedTuple):
    """The cost of a rendering: seconds, and MiB beyond what the process had before."""

    seconds: float
    mib: float


@dataclass
class Parts:
    """The API server that all subjects share, and a folder for their files."""

    server: ApiServer
    folder: Path
    receiver: WriteLog
    benches: dict[str, Bench] = field(default_factory=dict)
    _made: int = 0

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Parts]:
        """Run the parts until the context ends."""
        with ExitStack() as stack:
            etcd = stack.enter_context(started(Etcd(folder)))
            server = stack.enter_context(started(ApiServer(folder, etcd)))
            receiver = WriteLog()
            stack.callback(receiver.close)
            yield cls(server, folder, receiver)

    def new_folder(self) -> Path:
        """Return a folder for one run."""
        self._made += 1
        made = self.folder / f"run-{self._made}"
        made.mkdir()
        return made

    def lease(self, folder: Path) -> tuple[str, ...]:
        """Return the flags for an election on a free Lease."""
        return on_lease(Namespace(self.server, folder / "k8s", f"budget-{folder.name}"))

    def start_s(self, name: str, make: Callable[[Path, str, Flags, str], Started]) -> float:
        """Return the seconds until the leader's configuration is loaded."""
        bench = self.benches.setdefault(name, Bench(self.server, self.folder, make))
        return bench.fresh_start()["to writer"]

    @cached_property
    def config(self) -> Callable[[int], Path]:
        """A function that returns a file with this number of jobs, which it writes once."""
        files: dict[int, Path] = {}

        def of(jobs: int) -> Path:
            if jobs not in files:
                files[jobs] = self.new_folder() / "one.yml"
                files[jobs].write_text(one_file(jobs))
            return files[jobs]

        return of


@dataclass(frozen=True)
class Checkout:
    """This program from a folder, with this checkout's Python and packages."""

    name: str
    place: Path
    forms: tuple[str, ...] = FORMS

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self.place), "PYTHONSAFEPATH": "1"}

    def start_s(self, parts: Parts) -> float:
        """Return the seconds until the leader's configuration is loaded."""

        def make(folder: Path, name: str, flags: Flags, write_url: str) -> Own:
            imports = self._environment
            return Own(folder, name, *flags, write_url=write_url, environment=imports)

        return parts.start_s(self.name, make)

    def idle(self, parts: Parts, form: str, idle_s: float) -> Idle:
        """Return the memory and CPU of all its processes together."""
        folder = parts.new_folder()
        flags = (*parts.lease(folder), *flags_of(form))
        url = parts.receiver.url(folder.name) if form == GATE else None
        replica = Replica(folder, "a", *flags, write_url=url, environment=self._environment)
        return measured(_scraped_seldom(replica), idle_s)[SUM]

    def render(self, parts: Parts, jobs: int) -> Rendered:
        """Return the cost of both renderings, in a fresh process."""
        argv = [sys.executable, "-m", "tests.bench.one_rendering", "from_disk"]
        said = subprocess.check_output([*argv, str(parts.config(jobs))], cwd=self.place)
        found = json.loads(said)
        return Rendered(found["seconds"], found["peak"] - found["before"])

    def edit_s(self, parts: Parts, jobs: int) -> float:
        """Return the seconds from the edit of a job to the request to reload."""
        folder, endpoint = parts.new_folder(), Endpoint()
        config = folder / "elector.yml"
        text = one_file(jobs)
        config.write_text(text)
        argv = ["env", *(f"{name}={value}" for name, value in self._environment.items())]
        argv += [sys.executable, "-m", "wrapper", f"--config={config}", "--lease-lock=none"]
        argv += ["--role=follower", f"--output={folder / 'out.yml'}"]
        argv += [f"--notify-http-url={endpoint.url}/-/reload"]
        argv += [f"--api-listen-address=127.0.0.1:{free_port()}"]
        found = []
        with running(Program("elector", argv, folder)):
            wait_until(lambda: endpoint.requests, 60, "a first reload is asked for")
            for edit in range(EDITS):
                let_pass(CALM_S)
                endpoint.requests.clear()
                edited_at = _edit(config, text, edit)
                wait_until(lambda: endpoint.requests, 60, "a reload is asked for", 0.001)
                found.append(endpoint.requests[0] - edited_at)
        endpoint.shutdown()
        endpoint.server_close()
        return statistics.median(found)


@dataclass(frozen=True)
class PeerProgram:
    """A program with the Go prometheus-elector's flags, as a sidecar of its Prometheus."""

    name: str
    forms: tuple[str, ...] = (PLAIN, PROXY)

    def start_s(self, parts: Parts) -> float:
        """Return the seconds until the leader's configuration is loaded."""
        binary = self.name

        def make(folder: Path, name: str, flags: Flags, write_url: str) -> Peer:
            return Peer(binary, folder, name, flags, write_url)

        return parts.start_s(self.name, make)

    def idle(self, parts: Parts, form: str, idle_s: float) -> Idle:
        """Return the memory and CPU of its process."""
        folder = parts.new_folder()
        flags = (*parts.lease(folder), *flags_of(form))
        return measured(_scraped_seldom(Sidecar(self.name, folder, "a", *flags)), idle_s)[SUM]

    def render(self, parts: Parts, jobs: int) -> Rendered:
        """Return the cost of a run that writes one rendering and exits, a peer's smallest run."""
        output = parts.new_folder() / "out.yml"
        argv = [*self.name.split(), f"-config={parts.config(jobs)}", f"-output={output}", "-init"]
        began = time.perf_counter()
        process = subprocess.Popen([*argv, "-notify-http-url=http://127.0.0.1:1/"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(argv)}: exit status {process.returncode}")
        return Rendered(time.perf_counter() - began, usage.ru_maxrss / KIB)


Subject = Checkout | PeerProgram


def prometheus_ready(parts: Parts) -> float:
    """Return the seconds that a Prometheus alone takes from its start until it is ready."""
    folder, address = parts.new_folder(), f"127.0.0.1:{free_port()}"
    config = folder / "prometheus.yml"
    config.write_text(FOLLOWER.format(address=address).replace("follower:\n", ""))
    argv = [program("prometheus"), f"--config.file={config}", f"--web.listen-address={address}"]
    argv += [f"--storage.tsdb.path={folder / 'data'}"]
    began = time.time()
    with started(Program("prometheus", argv, folder)):
        wait_until(lambda: _is_ready(address), 30, "Prometheus is ready", POLL_S)
        return time.time() - began


def _is_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


def _scraped_seldom(replica: Replica) -> Replica:
    text = replica.config.read_text()
    replica.config.write_text(text.replace(*SCRAPES))
    return replica


def _edit(config: Path, text: str, number: int) -> float:
    """Replace the file by one with another interval for one job; return the time."""
    assert text.count(EDITED) == 1, "the job that is edited is not in the configuration"
    aside = config.with_suffix(".new")
    aside.write_text(text.replace(EDITED, f"{EDITED}{number + 1}"))
    at = time.perf_counter()
    aside.rename(config)
    return at
