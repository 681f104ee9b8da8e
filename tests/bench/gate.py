"""Measure the gate before remote_write: throughput, added latency, CPU and memory.

A load generator sends batches of 2,000 samples (protocol 1, snappy) over several kept connections,
alternately to a receiver directly and through one gate to the same receiver. The generator and the
receiver `sink` are one small Go program, tests/bench/remote_write.go. The sink answers without
decoding a batch, so it is faster than any gate and uses little of the machine. The other receiver,
VictoriaMetrics, decodes and stores the samples, as in practice. Each batch has other timestamps;
after 20 batches they repeat.

  as fast as it can   samples a second directly and through the gate, and the share
  at 100,000/s        latency of a request directly and through the gate, the gate's CPU
  memory              PSS of the gate: idle, and holding 15 s of 50,000 samples/s as a standby

All share the machine, so quote shares of one run, and medians.

Examples:
  scripts/bench gate --runs 1
  scripts/bench gate --connections 8 --only sink
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.bench.on_terminal import in_turn, parser, ratio, say, spread
from tests.real.parts import Program, started
from tests.real.receivers import VictoriaStore
from tests.remote_write import body
from tests.support import free_port, now, wait_until
from wrapper.gate import channel
from wrapper.model.gate import PATH, Endpoint, GateOrder, GateReport
from wrapper.options.gate_options import GateOptions

SAMPLES = 2_000  # of a batch: Prometheus' max_samples_per_send
BODIES = 20
MEMORY = 64 << 20
PACED = 100_000  # samples a second
HELD_S, HELD_RATE = 15, 50_000
DIRECT, THROUGH = "direct", "gate"
SOURCE = Path(__file__).with_name("remote_write.go")
Found = dict[str, float]


# --- the batches ----------------------------------------------------------------------------------


def write_bodies(folder: Path) -> int:
    """Write batches as a large server sends them; return their mean compressed size."""
    folder.mkdir()
    random.seed(1)
    labels = [
        {
            "__name__": f"http_request_duration_seconds_{('bucket', 'count', 'sum')[n % 3]}",
            "cluster": "production-1",
            "instance": f"10.0.{n // 400}.{n % 97}:9100",
            "job": f"service-{n // 200}",
            "le": str(2 ** (n % 12) / 1000),
            "namespace": f"namespace-{n // 500}",
            "pod": f"service-{n // 200}-{n * 7919 % 65521:05x}",
        }
        for n in range(SAMPLES)
    ]
    at = round(time.time() * 1000) - BODIES * 1000
    sizes = []
    for number in range(BODIES):
        stamps = ((at + number * 1000 + each % 7, random.random() * 1e6) for each in range(SAMPLES))
        content = body((one, [sample]) for one, sample in zip(labels, stamps, strict=True))
        (folder / f"{number:03}.snappy").write_bytes(content)
        sizes.append(len(content))
    return round(statistics.mean(sizes))


# --- the gate -------------------------------------------------------------------------------------


class Gate:
    """A gate, started as by the supervisor, with one endpoint; and its newest report."""

    def __init__(self, write_url: str, log: Path) -> None:
        self.report = GateReport()
        self._endpoint = Endpoint("bench", write_url)
        self._number = 0
        with (
            socket.create_server(("127.0.0.1", 0), backlog=1024) as listener,
            log.open("wb") as out,
        ):
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}bench"
            self._end, its = channel.pair()
            options = GateOptions(
                listen_fd=listener.fileno(),
                control_fd=its.fileno(),
                parent_pid=os.getpid(),
                memory_bytes=MEMORY,
                identity="bench",
            )
            descriptors = (options.listen_fd, options.control_fd)
            self._popen = subprocess.Popen(
                options.command(), pass_fds=descriptors, stdout=out, stderr=out
            )
            its.close()
        self._process = psutil.Process(self._popen.pid)
        threading.Thread(target=self._read, daemon=True).start()

    def order(self, *, is_open: bool) -> None:
        """Order the gate to pass requests on or to hold them, and wait until it does."""
        self._number += 1
        until = now() + 3600 if is_open else None
        sent = GateOrder(
            self._number, open_until=until, leader="bench", endpoints=(self._endpoint,)
        )
        assert channel.send(self._end, sent)
        wait_until(self._has_done(is_open), 20, f"the gate has done order {self._number}")

    def _has_done(self, is_open: bool) -> Callable[[], bool]:
        return lambda: self.report.order == self._number and self.report.is_open == is_open

    @property
    def held_bytes(self) -> int:
        """The number of bytes that it reports as held."""
        return sum(each.held_bytes for each in self.report.endpoints)

    def cpu_s(self) -> float:
        """Return its CPU time."""
        return sum(sum(each.cpu_times()[:2]) for each in self._family())

    def pss_mib(self) -> float:
        """Return its proportional set size, MiB."""
        return sum(each.memory_full_info().pss for each in self._family()) / (1 << 20)

    def end(self) -> None:
        """End the gate, by closing its channel."""
        self._end.close()
        self._popen.kill()
        self._popen.wait()

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _read(self) -> None:
        while report := channel.receive_report(self._end):
            self.report = report


# --- measuring ------------------------------------------------------------------------------------


@dataclass
class Bench:
    """The Go program, the bodies, and the folder of one run of this benchmark."""

    program: Path
    folder: Path
    bodies: Path
    connections: int

    def load(self, url: str, seconds: float, rate: float = 0.0) -> dict[str, Any]:
        """Send for these seconds, at this rate of requests; return the generator's values."""
        argv = [
            str(self.program),
            "load",
            f"-url={url}",
            f"-bodies={self.bodies}",
            f"-rate={rate:g}",
        ]
        argv += [f"-connections={self.connections}", f"-for={seconds:g}s"]
        found: dict[str, Any] = json.loads(subprocess.check_output(argv))
        if set(found["statuses"]) != {"204"}:
            raise SystemExit(f"{url} answered {found['statuses']}: expected 204 alone")
        return found

    @contextmanager
    def sink(self) -> Iterator[str]:
        """Run the receiver that only reads, and return its URL."""
        address = f"127.0.0.1:{free_port()}"
        part = Program("sink", [self.program, "sink", address], self.folder / "sink")
        with started(part):
            part.await_answer(f"http://{address}/")
            yield f"http://{address}/api/v1/write"

    @contextmanager
    def victoria(self) -> Iterator[str]:
        """Run VictoriaMetrics, and return its URL."""
        with started(VictoriaStore(self.folder / "victoria")) as store:
            yield store.write_url

    @contextmanager
    def gate(self, write_url: str) -> Iterator[Gate]:
        """Run a gate that passes requests on to this URL."""
        gate = Gate(write_url, self.folder / "gate.log")
        try:
            gate.order(is_open=True)
            yield gate
        except BaseException:
            sys.stderr.write((self.folder / "gate.log").read_text(errors="replace")[-4000:])
            raise
        finally:
            gate.end()


def saturated(bench: Bench, name: str, write_url: str, options: argparse.Namespace) -> None:
    """Measure the largest rate of samples."""
    with bench.gate(write_url) as gate:

        def run(url: str) -> float:
            found = bench.load(url, options.seconds)
            return float(found["requests"] * SAMPLES / found["seconds"])

        def through() -> tuple[float, float]:
            cpu, begin = gate.cpu_s(), time.monotonic()
            rate = run(gate.url)
            return rate, (gate.cpu_s() - cpu) / (time.monotonic() - begin)

        ways = {DIRECT: lambda: (run(write_url), 0.0), THROUGH: through}
        found = in_turn(f"{name}, as fast as it can", ways, options.runs)
    rates = {way: [each[0] for each in figures] for way, figures in found.items()}
    for way, values in rates.items():
        share = ratio(values, rates[DIRECT])
        say(f"{name:16} as fast as it can  {way:7} {spread(values, 0)} samples/s  share {share}")
    cpu_s = statistics.median(each[1] for each in found[THROUGH])
    say(f"{name:16} as fast as it can  the gate uses {cpu_s:.2f} cores")


def paced(bench: Bench, name: str, write_url: str, options: argparse.Namespace) -> None:
    """Measure latency and CPU at a constant rate."""
    with bench.gate(write_url) as gate:

        def run(url: str) -> Found:
            cpu, begin = gate.cpu_s(), time.monotonic()
            found = bench.load(url, options.seconds, PACED / SAMPLES)
            cores = (gate.cpu_s() - cpu) / (time.monotonic() - begin)
            return {"p50": found["p50"], "p99": found["p99"], "cores": cores}

        ways = {DIRECT: partial(run, write_url), THROUGH: partial(run, gate.url)}
        found = in_turn(f"{name}, {PACED:,} samples/s", ways, options.runs)
    for way, figures in found.items():
        p50, p99 = ([each[key] for each in figures] for key in ("p50", "p99"))
        say(f"{name:16} {PACED:,} samples/s  {way:7} p50 {spread(p50)} ms   p99 {spread(p99)} ms")
    added = {
        key: statistics.median(
            one[key] - other[key] for one, other in zip(found[THROUGH], found[DIRECT], strict=True)
        )
        for key in ("p50", "p99")
    }
    cores = [each["cores"] for each in found[THROUGH]]
    say(
        f"{name:16} {PACED:,} samples/s  added p50 {added['p50']:.2f} ms, "
        f"p99 {added['p99']:.2f} ms; the gate's CPU {spread(cores)} cores"
    )


def memory(bench: Bench, write_url: str, size: int) -> None:
    """Measure the gate's memory: idle, and as a standby that holds batches."""
    requests = HELD_S * HELD_RATE // SAMPLES
    with bench.gate(write_url) as gate:
        idle = gate.pss_mib()
        gate.order(is_open=False)
        bench.load(gate.url, HELD_S, HELD_RATE / SAMPLES)
        wait_until(
            lambda: gate.held_bytes > (requests - 1) * size * 0.9, 5, "it says what it holds"
        )
        held, pss = gate.held_bytes / (1 << 20), gate.pss_mib()
        gate.order(is_open=True)
    say(
        f"memory (PSS)     idle {idle:.1f} MiB; holding {HELD_S} s of {HELD_RATE:,} samples/s, "
        f"{held:.1f} MiB: {pss:.1f} MiB"
    )


# --- all of it ------------------------------------------------------------------------------------


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        size = write_bodies(folder / "bodies")
        bench = Bench(built(folder), folder, folder / "bodies", options.connections)
        say(
            f"batches of {SAMPLES:,} samples, {size:,} bytes compressed, {bench.connections} "
            f"connections, {options.seconds:g} s each, {options.runs} runs in turn"
        )
        sink = stack.enter_context(bench.sink())
        receivers = {"sink": sink}
        if options.only in "VictoriaMetrics":
            receivers["VictoriaMetrics"] = stack.enter_context(bench.victoria())
        for receiver, url in receivers.items():
            if options.only in receiver:
                saturated(bench, receiver, url, options)
                paced(bench, receiver, url, options)
        memory(bench, sink, size)
    return 0


def built(folder: Path) -> Path:
    """Build the Go program, and return its path."""
    built = folder / "remote-write"
    try:
        subprocess.run(["go", "build", "-o", built, SOURCE], check=True)
    except FileNotFoundError:
        raise SystemExit(f"Go, which builds {SOURCE.name}, is not installed: install it") from None
    return built


def _options() -> argparse.Namespace:
    options = parser("gate", __doc__, runs=3, has_peers=False)
    options.add_argument("--only", default="", help="only receivers whose name contains this")
    options.add_argument("--connections", type=int, default=4, help="at a time (default 4)")
    options.add_argument("--seconds", type=float, default=10.0, help="of each load (default 10)")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
