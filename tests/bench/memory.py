"""What this program's own processes keep in memory when nothing is asked of them.

One replica with its proxy and a real Prometheus, which is not counted, on a lock file (or, with
--lease, on a Lease), measured 20 s after it is ready. Memory is the kernel's Pss, MiB: a page that
several processes share counts in each by its share, so the sum counts it once; "of it own" is what
is no file's (Pss_Anon). Other programs on the machine that run by the same Python share its library
and make the figure smaller: quote ratios within a run. Another checkout, given with --with, is run
by this one's Python and packages.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.bench.on_terminal import in_turn, parser, ratio, say, spread
from tests.real.parts import ApiServer, Etcd, Namespace, started
from tests.real.replica import Replica, on_lease
from tests.support import let_pass

HERE = Path(__file__).parents[2]
WITH_PROXY = ("--api-proxy-enabled", "--api-proxy-prometheus-service-name=nobody.example")
KIB = 1024
SUM = "sum"


class Memory(NamedTuple):
    """One process' share of the machine's memory, and how much of it is no file's, in MiB."""

    pss: float
    own: float


Found = dict[str, Memory]


def measured(checkout: Path, folder: Path, flags: Sequence[str], idle_s: float) -> Found:
    """Run one replica of a checkout; return the memory of each of its processes when it is idle."""
    import_from = {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    replica = Replica(folder, "a", *flags, *WITH_PROXY, environment=import_from)
    with started(replica):
        replica.await_ready(60)
        let_pass(idle_s)
        found = dict(_processes(replica))
    return found | {SUM: Memory(*map(sum, zip(*found.values(), strict=True)))}


def _processes(replica: Replica) -> Iterator[tuple[str, Memory]]:
    """Yield each process of ours by what it is."""
    names = {replica.pid: "supervisor", replica.web.pid: "web server"}
    prometheus, numbers = replica.child.pid, count(1)
    for process in replica.family():
        if process.pid != prometheus:
            yield names.get(process.pid) or f"web worker {next(numbers)}", memory(process.pid)


def memory(pid: int) -> Memory:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {
        name: int(size.split()[0]) / KIB for name, _, size in (x.partition(":") for x in lines)
    }
    return Memory(sizes["Pss"], sizes["Pss_Anon"])


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    checkouts = [HERE, *(Path(each).resolve() for each in options.with_)]
    for checkout in checkouts:
        # As an image has it: a process that has to compile keeps the memory which that took.
        compileall.compile_dir(checkout / "wrapper", quiet=1)
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        flags_of = _lease_flags(folder, stack) if options.lease else _lock_flags
        numbers = count(1)

        def measure(checkout: Path) -> Found:
            own = folder / str(next(numbers))
            return measured(checkout, own, flags_of(own), options.idle)

        ways = {str(each): partial(measure, each) for each in checkouts}
        found = in_turn("memory", ways, options.runs)
    lock = "a Lease" if options.lease else "a lock file"
    say(f"idle for {options.idle:g} s on {lock}, {options.runs} runs in turn; Pss in MiB")
    for name, runs in found.items():
        _say(name, runs, None if name == str(HERE) else found[str(HERE)])
    return 0


def _lock_flags(folder: Path) -> tuple[str, ...]:
    return (f"--lease-lock=file:{folder / 'election.lock'}",)


def _lease_flags(folder: Path, stack: ExitStack) -> Callable[[Path], tuple[str, ...]]:
    """Start an API server; return what gives the flags for a Lease of one's own."""
    etcd = stack.enter_context(started(Etcd(folder)))
    server = stack.enter_context(started(ApiServer(folder, etcd)))
    return lambda own: on_lease(Namespace(server, own / "k8s", f"bench-{own.name}"))


def _say(checkout: str, runs: Sequence[Found], ours: Sequence[Found] | None) -> None:
    """Print the memory of each process, and ours as a share of another checkout's."""
    say(checkout)
    for name in runs[0]:
        of_name = [run[name] for run in runs if name in run]
        own = statistics.median(each.own for each in of_name)
        say(f"  {name:14} {spread([each.pss for each in of_name], 1)}  of it own {own:5.1f}")
    if ours is not None:
        sums = ([run[SUM].pss for run in each] for each in (ours, runs))
        say(f"  ours is {ratio(*sums)} of that")


def _options() -> argparse.Namespace:
    options = parser("memory", __doc__, runs=3, has_peers=False)
    options.add_argument("--lease", action="store_true", help="elect on a real Lease")
    options.add_argument(
        "--with",
        dest="with_",
        action="append",
        default=[],
        metavar="FOLDER",
        help="also measure the checkout in this folder: the commit before, say",
    )
    options.add_argument("--idle", type=float, default=20.0, help="seconds (default 20)")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
