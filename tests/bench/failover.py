"""Measure the time until another replica writes, after several kinds of failure.

The cases: fresh start, leader vanishes, Prometheus dies, ordered hand-over, frozen. Two replicas
run with real Prometheus and a real Lease (lease duration, renew deadline and retry period: 10 s /
8 s / 2 s). Each Prometheus is queried every few milliseconds for its loaded configuration. Programs
of --peer run as sidecars with the flags of the Go prometheus-elector. Times are in seconds. Quote
medians; they depend on the machine.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import requests

from tests.bench.on_terminal import in_turn, parser, say, spread
from tests.real.parts import ApiServer, Etcd, Namespace, Program, WriteLog, program, started
from tests.real.replica import FOLLOWER, LEADER, Replica, on_lease
from tests.support import free_port, wait_until

DURATIONS = ("10s", "8s", "2s")
LEASE_S = 10.0
FROZEN_S = 30.0
SAMPLE_PAUSE_S = 0.004
Flags = tuple[str, ...]


class Peer:
    """A sidecar elector with the Go peer's flags, and its Prometheus."""

    def __init__(self, binary: str, folder: Path, name: str, flags: Flags, write_url: str) -> None:
        folder = folder / name
        folder.mkdir(parents=True)
        self.name = name
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        config, output = folder / "elector.yml", folder / "prometheus.yml"
        config.write_text(FOLLOWER.format(address=address) + LEADER.format(url=write_url))
        output.write_text("global: {scrape_interval: 1s}\n")
        argv = [program("prometheus"), f"--config.file={output}", "--web.enable-lifecycle"]
        argv += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
        self._prometheus = Program("prometheus", argv, folder)
        argv = ["env", f"POD_NAME={name}", *binary.split(), f"-config={config}", *flags]
        argv += [f"-output={output}", f"-notify-http-url={self.url}/-/reload"]
        argv += [f"-readiness-http-url={self.url}/-/ready", "-readiness-poll-period=5s"]
        argv += [f"-healthcheck-http-url={self.url}/-/healthy"]
        argv += [f"-api-listen-address=127.0.0.1:{free_port()}"]
        self._elector = Program(name, argv, folder)

    def start(self) -> None:
        """Start both."""
        self._prometheus.start()
        self._elector.start()

    def stop(self) -> None:
        """End both."""
        self._elector.stop()
        self._prometheus.stop()

    def vanish(self) -> None:
        """Kill both at the same time."""
        os.kill(self._elector.pid, signal.SIGKILL)
        os.kill(self._prometheus.pid, signal.SIGKILL)

    def kill_prometheus(self) -> None:
        """Kill only Prometheus."""
        os.kill(self._prometheus.pid, signal.SIGKILL)

    def term(self) -> None:
        """Stop the elector; its Prometheus goes on, as beside a sidecar."""
        os.kill(self._elector.pid, signal.SIGTERM)

    def electors(self) -> list[psutil.Process]:
        """Return the processes that are not Prometheus."""
        return [psutil.Process(self._elector.pid)]


class Own(Replica):
    """This program as the parent of its Prometheus, with the methods of a peer."""

    def kill_prometheus(self) -> None:
        """Kill only Prometheus."""
        self.child.kill()

    def electors(self) -> list[psutil.Process]:
        """Return the processes that are not Prometheus."""
        child = self.child
        return [process for process in self.family() if process.pid != child.pid]


Subject = Own | Peer


@dataclass
class Watcher:
    """Asks one Prometheus continuously whether it has a remote_write, and records the changes.

    It uses one connection and little CPU, so that two watchers do not slow down a start.
    """

    url: str
    changes: list[tuple[float, bool]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=1)
        while not self._ended.is_set():
            try:
                connection.request("GET", "/api/v1/status/config")
                writes = b"\\nremote_write:" in connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()  # the next request opens it again
                # A frozen Prometheus keeps its state.
                writes = self.writes if isinstance(error, TimeoutError) else False
            if writes != self.writes:
                self.changes.append((time.time(), writes))
            time.sleep(SAMPLE_PAUSE_S)

    @property
    def writes(self) -> bool:
        """Whether Prometheus had a remote_write in its last answer."""
        return bool(self.changes) and self.changes[-1][1]

    def since(self, start: float) -> float:
        """Return the first time after ``start`` at which it had one."""
        return next(at for at, writes in self.changes if writes and at >= start)

    def end(self) -> None:
        """Stop asking."""
        self._ended.set()

    def spans(self) -> Iterator[tuple[float, float]]:
        """Yield the beginning and end of each period in which it had one."""
        times = [at for at, _ in self.changes] + [time.time()]
        yield from (
            (a, b) for (a, writes), b in zip(self.changes, times[1:], strict=True) if writes
        )


def overlap(one: Watcher, other: Watcher) -> float:
    """Return the seconds in which both had a remote_write."""
    pairs = [(a, b) for a in one.spans() for b in other.spans()]
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs)


@dataclass
class Bench:
    """The API server, and a function that makes the subjects of one kind."""

    server: ApiServer
    folder: Path
    make: Callable[[Path, str, Flags, str], Subject]
    runs: int = 0

    @contextmanager
    def pair(self) -> Iterator[tuple[Namespace, list[Subject], list[Watcher]]]:
        """Run a leader and a standby with watchers, on their own Lease, until they are settled."""
        with ExitStack() as stack:
            namespace, subjects, watchers = self._prepare(stack)
            for subject, watcher in zip(subjects, watchers, strict=True):
                subject.start()
                if subject is subjects[0]:
                    wait_until(lambda w=watcher: w.writes, 30, "the first leads")  # type: ignore[misc]
            url = f"{subjects[1].url}/-/ready"
            wait_until(lambda: requests.get(url, timeout=1).ok, 30, "the second is ready")
            time.sleep(6)  # a peer waits 5 s before it joins the election
            yield namespace, subjects, watchers

    def _prepare(self, stack: ExitStack) -> tuple[Namespace, list[Subject], list[Watcher]]:
        self.runs += 1
        folder = self.folder / f"{id(self)}-{self.runs}"
        namespace = Namespace(self.server, folder / "k8s", f"bench-{id(self)}-{self.runs}")
        log = WriteLog()
        stack.callback(log.close)
        d, r, p = DURATIONS
        durations = (f"-lease-duration={d}", f"-lease-renew-deadline={r}")
        flags = (*durations, f"-lease-retry-period={p}", *on_lease(namespace))
        subjects = [self.make(folder, name, flags, log.url(name)) for name in ("a", "b")]
        watchers = [Watcher(subject.url) for subject in subjects]
        for subject, watcher in zip(subjects, watchers, strict=True):
            stack.callback(_end, subject)
            stack.callback(watcher.end)
        return namespace, subjects, watchers

    # --- the cases: each returns values in seconds --

    def fresh_start(self) -> dict[str, float]:
        """Measure from the start of a replica with a free lease to the leader's configuration."""
        with ExitStack() as stack:
            _, subjects, watchers = self._prepare(stack)
            start = time.time()
            subjects[0].start()
            wait_until(lambda: watchers[0].writes, 30, "it leads", 0.002)
            return {"to writer": watchers[0].since(start) - start}

    def vanished(self) -> dict[str, float]:
        """Measure from the kill, and from the lease's expiry, to the standby's configuration."""
        with self.pair() as (namespace, subjects, watchers):
            start = time.time()
            subjects[0].vanish()
            lease = namespace.lease()
            assert lease is not None
            renewed = datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
            wait_until(lambda: watchers[1].writes, 40, "the other leads", 0.002)
            at = watchers[1].since(start)
            return {"after the kill": at - start, "after expiry": at - renewed - LEASE_S}

    def prometheus_dies(self) -> dict[str, float]:
        """Measure from the kill of Prometheus to the standby's configuration."""
        return self._handed_over(lambda subject: subject.kill_prometheus())

    def ordered(self) -> dict[str, float]:
        """Measure from SIGTERM to the standby's configuration, and how long both had it."""
        return self._handed_over(lambda subject: subject.term())

    def _handed_over(self, act: Callable[[Subject], None]) -> dict[str, float]:
        with self.pair() as (_, subjects, watchers):
            start = time.time()
            act(subjects[0])
            wait_until(lambda: watchers[1].writes, 40, "the other leads", 0.002)
            wait_until(lambda: not watchers[0].writes, 40, "the first has ended", 0.002)
            at = watchers[1].since(start)
            return {"to writer": at - start, "both": overlap(*watchers)}

    def frozen(self) -> dict[str, float]:
        """Freeze everything but Prometheus for 30 s; measure how long both could write."""
        with self.pair() as (_, subjects, watchers):
            processes = subjects[0].electors()
            start = time.time()
            for process in processes:
                process.suspend()
            wait_until(lambda: watchers[1].writes, 40, "the other leads", 0.002)
            while time.time() < start + FROZEN_S:
                time.sleep(0.1)
            for process in processes:
                _resume(process)
            wait_until(lambda: not watchers[0].writes, 40, "the first writes no more", 0.01)
            return {"to writer": watchers[1].since(start) - start, "both": overlap(*watchers)}


def _end(subject: Subject) -> None:
    subject.stop()


def _resume(process: psutil.Process) -> None:
    try:
        process.resume()
    except psutil.NoSuchProcess:
        return


CASES: dict[str, Callable[[Bench], dict[str, float]]] = {
    "fresh start": Bench.fresh_start,
    "leader vanishes": Bench.vanished,
    "Prometheus dies": Bench.prometheus_dies,
    "ordered (SIGTERM)": Bench.ordered,
    "elector frozen 30 s": Bench.frozen,
}


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    kinds = {"prometheus-elector": _own}
    kinds |= {peer: _peer(peer) for peer in options.peer}
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        etcd = stack.enter_context(started(Etcd(folder)))
        server = stack.enter_context(started(ApiServer(folder, etcd)))
        benches = {kind: Bench(server, folder, make) for kind, make in kinds.items()}
        say(f"durations {' / '.join(DURATIONS)}, {options.runs} runs each, in turn")
        for case, measure in CASES.items():
            if options.only in case:
                _measure(case, measure, benches, options.runs)
    return 0


def _measure(
    case: str,
    measure: Callable[[Bench], dict[str, float]],
    benches: dict[str, Bench],
    runs: int,
) -> None:
    ways = {kind: partial(measure, bench) for kind, bench in benches.items()}
    found = in_turn(case, ways, runs)
    for kind, figures in found.items():
        for name in figures[0]:
            values = [figure[name] for figure in figures]
            say(f"{case:22} {name:16} {kind:20.20} {spread(values)} s")


def _own(folder: Path, name: str, flags: Flags, write_url: str) -> Subject:
    return Own(folder, name, *flags, write_url=write_url)


def _peer(binary: str) -> Callable[[Path, str, Flags, str], Subject]:
    return lambda folder, name, flags, write_url: Peer(binary, folder, name, flags, write_url)


def _options() -> argparse.Namespace:
    options = parser("failover", __doc__, runs=5)
    options.add_argument("--only", default="", help="only cases whose name contains this")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
