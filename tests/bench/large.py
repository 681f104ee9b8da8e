"""Measure a busy leader: its configuration is large and edited, and its API and gate are in use.

One replica leads with a real Lease. Its configuration has 1,500 jobs of 240 static targets (8.5
MB). Every 12 s, one target of one job is edited, and Prometheus reloads. Clients query the API, and
other clients send batches of 2,000 samples to the gate, which passes them on to a receiver that
only reads them. tests/bench/remote_write.go is both clients and receiver. A watch sees each renewal
of the Lease.

  renewals   the delay of each: the time since the previous one, minus the retry period; and the
             least time left to the renew deadline when the watch saw a renewal
  API        latency of GET /_elector/leader
  gate       latency of a batch, receiver included
  edits      from the rename of the configuration to that of the rendering

For each case, the share of time in which a process waited for a processor (/proc/pressure/cpu, if
the kernel has it) is printed too, because other load affects all results. --under runs the replica
with its Prometheus under a command, for example to limit it:

  scripts/bench large --durations 3/2/0.5 --samples 50000
  scripts/bench large --under 'nice -n 10'
  scripts/bench large --jobs 10 --under 'systemd-run --scope -p CPUQuota=20%'
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.bench.gate import SAMPLES, Bench, built, write_bodies
from tests.bench.lease_renewals import Renewals, Terms
from tests.bench.on_terminal import parser, say
from tests.real.fleet import demotions, promotions
from tests.real.parts import ApiServer, Etcd, Namespace, started
from tests.real.replica import FOLLOWER, Replica, on_lease
from tests.support import free_port, let_pass, wait_until
from wrapper.model.gate import PATH

TARGETS = 240
ENDPOINT = "bench"
JOB = """\
  - job_name: job-{job:04}
    scrape_interval: 1y
    static_configs:
    - labels: {{edit: '{edit}'}}
      targets:
"""
LEADER = f"leader:\n  remote_write:\n  - name: {ENDPOINT}\n    url: {{url}}\n"
PROCESSORS = Path("/proc/pressure/cpu")
SLOW_S = 180.0  # for a busy machine


# --- edits ----------------------------------------------------------------------------------------


@dataclass
class Editor:
    """Edits one target label of one job regularly, and measures the time until it is rendered."""

    replica: Replica
    jobs: int
    url: str
    took_ms: list[float] = field(default_factory=list)

    def write(self, edit: int = 0) -> None:
        """Write the configuration, with this edit in the job in the middle."""
        lines = [FOLLOWER.format(address=self.replica.address)]
        for job in range(self.jobs):
            lines.append(JOB.format(job=job, edit=edit if job == self.jobs // 2 else 0))
            lines += [
                f"      - 127.{job >> 8}.{job & 255}.{number}:9\n" for number in range(TARGETS)
            ]
        fresh = self.replica.config.with_suffix(".new")
        fresh.write_text("".join(lines) + LEADER.format(url=self.url))
        fresh.replace(self.replica.config)

    def edit_for(self, seconds: float, every_s: float) -> None:
        """Edit repeatedly until the time is over."""
        until = time.monotonic() + seconds
        for edit in count(1):
            left_s = until - time.monotonic()
            if left_s < every_s:
                return let_pass(max(left_s, 0.0))
            next_at = time.monotonic() + every_s
            before = self.replica.output.stat().st_ino
            self.write(edit)
            renamed_at = time.monotonic()
            wait_until(lambda old=before: self._is_new(old), SLOW_S, "it is rendered", poll_s=0.01)  # type: ignore[misc]
            self.took_ms.append((time.monotonic() - renamed_at) * 1000)
            let_pass(max(next_at - time.monotonic(), 0.0))
        return None

    def _is_new(self, before: int) -> bool:
        return self.replica.output.stat().st_ino != before


# --- one case -------------------------------------------------------------------------------------


class Clients:
    """The Go program as clients of one URL; ``found`` waits for their end."""

    def __init__(self, bench: Bench, url: str, seconds: float, rate: float, *, sends: bool) -> None:
        argv = [str(bench.program), "load", f"-url={url}", f"-rate={rate:g}", f"-for={seconds:g}s"]
        argv += [f"-connections={bench.connections}"]
        argv += [f"-bodies={bench.bodies}"] if sends else []
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)

    def found(self) -> dict[str, Any]:
        """Return the values of the clients."""
        said, _ = self._process.communicate()
        found: dict[str, Any] = json.loads(said)
        return found

    def end(self) -> None:
        """Kill the clients, if something else failed."""
        self._process.kill()


def measure(
    bench: Bench, server: ApiServer, terms: Terms, samples: int, options: argparse.Namespace
) -> None:
    """Measure one case, and print it."""
    name = f"large-{free_port()}"
    namespace = Namespace(server, bench.folder / name, name)
    gate = f"127.0.0.1:{free_port()}"
    flags = (*on_lease(namespace), *terms.flags)
    if samples:
        flags += ("--remote-write-gate", f"--remote-write-gate-listen-address={gate}")
    replica = Replica(bench.folder / name, "a", *flags)
    replica.argv = [*shlex.split(options.under), *replica.argv]
    with ExitStack() as stack:
        editor = Editor(replica, options.jobs, stack.enter_context(bench.sink()))
        editor.write()
        stack.enter_context(started(replica))
        replica.await_leader(SLOW_S)
        replica.await_ready(SLOW_S)
        renewals = stack.enter_context(Renewals(namespace).watching())
        asks = [("API", f"{replica.api}/_elector/leader", options.rate)]
        if samples:
            asks.append(("gate", f"http://{gate}{PATH}{ENDPOINT}", samples / SAMPLES))
        pressure = Pressure()
        clients = {
            kind: Clients(bench, url, options.seconds, rate, sends=kind == "gate")
            for kind, url, rate in asks
        }
        for each in clients.values():
            stack.callback(each.end)
        editor.edit_for(options.seconds, options.every)
        found = {kind: each.found() for kind, each in clients.items()}
        size = replica.config.stat().st_size / 1e6
        rest = f"{samples:,} samples/s" if samples else "no gate"
        say(f"lease {terms} s, {size:.1f} MB, {rest}, {pressure}")
        _say("renewals", renewals.late_ms(terms), "ms late")
        left_s = renewals.least_left_s(terms)
        say(
            f"  least time left to the renew deadline: {left_s:.2f} s of {terms.renew_deadline_s:g}"
        )
        for kind, seen in found.items():
            figures = "  ".join(f"{key} {seen[key]:.1f}" for key in ("p50", "p99", "most"))
            say(f"  {kind:9} {figures} ms; {seen['requests']} requests: {seen['statuses']}")
        _say("edits", editor.took_ms, "ms")
        says = f"{promotions(replica)} promotions, {demotions(replica)} demotions"
        say(f"  {says}; it {'still leads' if replica.says_it_leads else 'does not lead'}")


class Pressure:
    """The share of time, from now on, in which some process waits for a processor."""

    def __init__(self, file: Path = PROCESSORS) -> None:
        self._file = file
        self._waited_s, self._began_at = self._read_s(), time.monotonic()

    def __str__(self) -> str:
        waited_s = self._read_s()
        if waited_s is None or self._waited_s is None:
            return f"pressure unknown: this kernel has no {self._file}"
        share = (waited_s - self._waited_s) / (time.monotonic() - self._began_at)
        return f"pressure {share:.0%}"

    def _read_s(self) -> float | None:
        """Return the seconds of waiting since the machine's start, or None without PSI."""
        try:
            some = self._file.read_text().splitlines()[0]
        except OSError:  # it may be there, and not be readable: psi=0
            return None
        return int(some.rpartition("=")[2]) / 1e6


def _say(name: str, values: Sequence[float], unit: str) -> None:
    ordered = sorted(values)
    if not ordered:
        return
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    figures = (f"{key} {ordered[int(share * (len(ordered) - 1))]:.1f}" for key, share in at.items())
    say(f"  {name:9} {'  '.join(figures)} {unit}; {len(ordered)} of them")


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        write_bodies(folder / "bodies")
        bench = Bench(built(folder), folder, folder / "bodies", connections=4)
        etcd = stack.enter_context(started(Etcd(folder)))
        server = stack.enter_context(started(ApiServer(folder, etcd)))
        for _ in range(options.runs):
            for terms in options.durations:
                for samples in options.samples:
                    measure(bench, server, terms, samples, options)
    return 0


def _options() -> argparse.Namespace:
    options = parser("large", __doc__, runs=1, has_peers=False)
    options.add_argument(
        "--durations",
        type=Terms.parse,
        nargs="+",
        metavar="DURATION/DEADLINE/RETRY",
        default=[Terms(15, 10, 2), Terms(3, 2, 0.5)],
        help="(default 15/10/2 3/2/0.5)",
    )
    options.add_argument(
        "--samples",
        type=int,
        nargs="+",
        default=[0, 50_000],
        help="a second through the gate, 0: no gate (default 0 50000)",
    )
    options.add_argument("--jobs", type=int, default=1_500, help="of 240 targets (default 1500)")
    options.add_argument("--seconds", type=float, default=60.0, help="of each case (default 60)")
    options.add_argument("--every", type=float, default=12.0, help="s between edits (default 12)")
    options.add_argument("--rate", type=float, default=50.0, help="API requests/s (default 50)")
    options.add_argument(
        "--under", default="", metavar="COMMAND", help="run the replica under this"
    )
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
