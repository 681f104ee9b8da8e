"""Measure the effect of a fault at the receiver: gaps in `up`, lost samples and duplicates.

Replicas scrape one target every second (--interval) and write to one receiver. They use a real
Lease (lease duration, renew deadline and retry period: 10 s / 8 s / 2 s). Then there is a fault.
When samples arrive again, the receiver's samples are compared with the scrapes. Columns:

  hole    the longest time between neighbouring samples of `up`, in seconds: less than two intervals
          if nothing is lost, since each replica scrapes at its own times
  lost    scrapes of the replica that writes afterwards which the receiver does not have
  again   samples of the next leader for a time that the receiver already had
  twice   samples whose series has another one of the same timestamp
  refused requests that the receiver refused (Prometheus), or rows that it dropped
  changes how often another replica's requests arrive: at most once for each change of the leader

Each fault is measured without the gate, with it (--remote-write-gate), and with each program of
--peer, which runs as a sidecar with the flags of the Go prometheus-elector. Figures are medians of
the runs.

Examples:
  scripts/bench gap --runs 1
  scripts/bench gap --only leader --receiver VictoriaMetrics --peer /usr/local/bin/elector
  scripts/bench gap --all --long      # every fault; the API server is away for ten minutes
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.on_terminal import in_turn, parser, say
from tests.bench.the_peer import PeerWriters
from tests.real import outages
from tests.real.gap import Setup, Writers
from tests.real.outages import Figures
from tests.real.parts import ApiServer, Etcd, Namespace, started
from tests.real.receivers import PrometheusStore, VictoriaStore

DURATIONS = ("-lease-duration=10s", "-lease-renew-deadline=8s", "-lease-retry-period=2s")
QUEUE = ""  # Prometheus' own defaults
WITHOUT, WITH = "without the gate", "with the gate"
UNKNOWN = "this program does not have --remote-write-gate yet"
RECEIVERS = {"Prometheus": PrometheusStore, "VictoriaMetrics": VictoriaStore}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and the number of replicas; ``is_for_all``: it can be measured with a peer too."""

    name: str
    act: Callable[[Writers], Figures]
    replicas: int = 2
    is_for_all: bool = True
    needs_gate: bool = False
    dead_endpoints: int = 0  # beside the receiver


CASES = (
    Case("leader vanishes (kill -9)", outages.machine_gone),
    Case("leader stops (SIGTERM)", outages.stopped),
    Case("rolling update", outages.rolling_update, replicas=3),
    Case(
        "receiver dead at demotion",
        outages.receiver_dead_at_demotion,
        is_for_all=False,
        dead_endpoints=3,
    ),
)


def _rarer(is_long: bool) -> Iterator[Case]:
    """Yield the other faults."""
    api_s, receiver_s = (600.0, 300.0) if is_long else (60.0, 30.0)
    yield Case("supervisor killed", outages.supervisor_killed, is_for_all=False)
    yield Case("Prometheus killed", outages.prometheus_killed, is_for_all=False)
    yield Case("gate killed", outages.gate_killed, is_for_all=False, needs_gate=True)
    yield Case("leader frozen", outages.frozen, is_for_all=False)
    yield Case(f"API server away {api_s:g} s", partial(outages.api_server_away, away_s=api_s))
    yield Case("etcd away 15 s", partial(outages.etcd_restarted, away_s=15.0))
    yield Case(
        f"receiver away {receiver_s:g} s, kill -9",
        partial(outages.receiver_away_and_leader_gone, away_s=receiver_s),
    )
    yield Case("receiver slow", partial(outages.slow_receiver, delay_s=0.8, for_s=15.0))
    yield Case("receiver answers 429", partial(outages.too_many_requests, for_s=15.0))


@dataclass
class Bench:
    """The setup of the replicas, with or without the gate or a peer; it measures a fault."""

    server: ApiServer
    folder: Path
    options: argparse.Namespace
    has_gate: bool = False
    peer: str = ""
    runs: int = 0

    def measure(self, case: Case) -> Figures:
        """Start the replicas, inject the fault, and return the account of the receiver."""
        self.runs += 1
        folder = self.folder / f"{id(self)}-{self.runs}"
        with ExitStack() as stack:
            namespace = Namespace(self.server, folder / "k8s", f"gap-{id(self)}-{self.runs}")
            store = stack.enter_context(started(RECEIVERS[self.options.receiver](folder / "store")))
            setup = Setup(
                has_gate=self.has_gate,
                interval_s=self.options.interval,
                queue=QUEUE,
                durations=DURATIONS,
                dead_endpoints=case.dead_endpoints,
                program=self.peer,
            )
            kind = PeerWriters if self.peer else Writers
            writers = kind(folder, store, setup, namespace)
            stack.callback(writers.end)
            writers.start(*"abc"[: case.replicas])
            figures = case.act(writers)
            found = writers.account()
            return {
                "hole": found.hole_in_up_s,
                "lost": found.lost,
                "again": found.again,
                "twice": found.twice,
                "refused": store.refused(),
                "changes": len(writers.ingress.turns()) - 1,
                **figures,
            }


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    cases = [
        each
        for each in (*CASES, *(_rarer(options.long) if options.all else ()))
        if options.only in each.name
    ]
    has_gate = "--remote-write-gate" in _help()
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        etcd = stack.enter_context(started(Etcd(folder)))
        server = stack.enter_context(started(ApiServer(folder, etcd)))
        make = partial(Bench, server, folder, options)
        benches = {WITHOUT: make()}
        if has_gate:
            benches[WITH] = make(has_gate=True)
        benches |= {peer: make(peer=peer) for peer in options.peer}
        say(
            f"receiver {options.receiver}, scrapes every {options.interval:g} s, "
            f"lease 10 s / 8 s / 2 s, medians of {options.runs} runs, in turn"
        )
        for case in cases:
            _measure(case, benches, options.runs)
            if not has_gate:
                say(f"{case.name:27} {WITH:18.18} {UNKNOWN}")
    return 0


def _measure(case: Case, benches: dict[str, Bench], runs: int) -> None:
    ways = {
        name: partial(bench.measure, case)
        for name, bench in benches.items()
        if (case.is_for_all or not bench.peer) and (bench.has_gate or not case.needs_gate)
    }
    for name, figures in in_turn(case.name, ways, runs).items():
        say(f"{case.name:27} {name:18.18} {_line(figures)}")


def _line(figures: Sequence[Figures]) -> str:
    """Return all medians as a line; for the gap, also the minimum and the maximum."""
    names = list(figures[0])
    by_name = {name: [each[name] for each in figures] for name in names}
    holes = by_name.pop("hole")
    medians = (f"{name} {statistics.median(values):g}" for name, values in by_name.items())
    hole = f"hole {statistics.median(holes):6.2f} s ({min(holes):.2f} to {max(holes):.2f})"
    return "  ".join([hole, *medians])


def _help() -> str:
    argv = [sys.executable, "-m", "wrapper", "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _options() -> argparse.Namespace:
    options = parser("gap", __doc__, runs=3)
    options.add_argument("--only", default="", help="only faults whose name contains this")
    options.add_argument("--all", action="store_true", help="also the rarer faults")
    options.add_argument(
        "--long", action="store_true", help="API server away 10 min, receiver 5 min (with --all)"
    )
    options.add_argument(
        "--interval", type=float, default=1.0, metavar="SECONDS", help="between scrapes (default 1)"
    )
    options.add_argument(
        "--receiver", choices=RECEIVERS, default="Prometheus", help="default Prometheus"
    )
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
