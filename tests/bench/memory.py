"""Measure the memory and CPU of this program's own processes while they are idle.

One replica with its proxy (or in another form, with --form) and a real Prometheus, which is not
counted, runs on a lock file (or, with --lease, on a Lease). It is measured for 20 s once it has
settled. Memory is the kernel's Pss in MiB: a page that several processes share counts in each by
its share, so the sum counts it once; "of it own" is the part that belongs to no file (Pss_Anon).
Other programs that run with the same Python share its library and make the value smaller: quote
ratios within a run. Another checkout, given with --with, runs with this one's Python and packages.
"""

from __future__ import annotations

import argparse
import compileall
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.bench.on_terminal import in_turn, parser, ratio, say, spread
from tests.real.parts import ApiServer, Etcd, Namespace, started
from tests.real.replica import Replica, on_lease
from tests.support import free_port, let_pass

HERE = Path(__file__).parents[2]
WITH_PROXY = ("--api-proxy-enabled", "--api-proxy-prometheus-service-name=nobody.example")
PLAIN, PROXY, GATE = "without proxy", "with proxy", "with proxy and gate"
FORMS = (PLAIN, PROXY, GATE)
SETTLE_S = 10.0  # after it is ready, until all its processes have started
KIB = 1024
SUM = "sum"


class Idle(NamedTuple):
    """The usage of one process: memory in MiB, and percent of a core.

    ``pss`` is its share of the memory, ``own`` the part of it that belongs to no file.
    """

    pss: float
    own: float
    cpu: float


Found = dict[str, Idle]


def flags_of(form: str) -> tuple[str, ...]:
    """Return the flags for a replica of this form."""
    if form == PLAIN:
        return ()
    if form == PROXY:
        return WITH_PROXY
    address = f"127.0.0.1:{free_port()}"
    gate = ("--remote-write-gate", f"--remote-write-gate-listen-address={address}")
    return (*WITH_PROXY, *gate)


def own_replica(checkout: Path, folder: Path, flags: Sequence[str]) -> Replica:
    """Return a replica of a checkout, run by this checkout's Python and packages."""
    import_from = {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    return Replica(folder, "a", *flags, environment=import_from)


def measured(replica: Replica, idle_s: float) -> Found:
    """Run one replica; return the usage of each of its processes while it is idle."""
    with started(replica):
        replica.await_ready(60)
        let_pass(SETTLE_S)
        names = dict(_names(replica))
        began, before = time.monotonic(), {pid: cpu_s(pid) for pid in names}
        let_pass(idle_s)
        used = {pid: cpu_s(pid) - before[pid] for pid in names}
        percent = 100 / (time.monotonic() - began)
        found = {name: Idle(*memory(pid), used[pid] * percent) for pid, name in names.items()}
    return found | {SUM: Idle(*map(sum, zip(*found.values(), strict=True)))}


def _names(replica: Replica) -> Iterator[tuple[int, str]]:
    """Yield each of our processes with its role."""
    numbers = count(1)
    yield replica.pid, "supervisor"
    for process in replica.family()[1:]:
        words = process.cmdline()
        if any(word.startswith("--storage.") for word in words):  # Prometheus
            continue
        if process.ppid() != replica.pid:
            yield process.pid, f"web worker {next(numbers)}"
        else:
            is_gate = any(word.startswith("wrapper.gate.") for word in words)
            yield process.pid, "gate" if is_gate else "web server"


def memory(pid: int) -> tuple[float, float]:
    """Return a process' share of the memory, and the part that belongs to no file, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {
        name: int(size.split()[0]) / KIB for name, _, size in (x.partition(":") for x in lines)
    }
    return sizes["Pss"], sizes["Pss_Anon"]


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its ended threads, in seconds, exact to the nanosecond.

    Its clock has the number that clock_getcpuclockid(3) gives; psutil counts in hundredths.
    """
    return time.clock_gettime((~pid << 3) | 2)


def main() -> int:
    """Measure and print; return the exit status."""
    options = _options()
    checkouts = [HERE, *(Path(each).resolve() for each in options.with_)]
    for checkout in checkouts:
        # As in an image: a process that has to compile modules keeps the memory for that.
        compileall.compile_dir(checkout / "wrapper", quiet=1)
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name, ExitStack() as stack:
        folder = Path(name)
        lock_of = _lease_flags(folder, stack) if options.lease else _lock_flags
        numbers = count(1)

        def measure(checkout: Path) -> Found:
            own = folder / str(next(numbers))
            flags = (*lock_of(own), *flags_of(options.form))
            return measured(own_replica(checkout, own, flags), options.idle)

        ways = {str(each): partial(measure, each) for each in checkouts}
        found = in_turn("memory", ways, options.runs)
    lock = "a Lease" if options.lease else "a lock file"
    say(f"{options.form}, idle for {options.idle:g} s on {lock}, {options.runs} runs in turn")
    say("Pss in MiB")
    for name, runs in found.items():
        _say(name, runs, None if name == str(HERE) else found[str(HERE)])
    return 0


def _lock_flags(folder: Path) -> tuple[str, ...]:
    return (f"--lease-lock=file:{folder / 'election.lock'}",)


def _lease_flags(folder: Path, stack: ExitStack) -> Callable[[Path], tuple[str, ...]]:
    """Start an API server; return a function that returns the flags for a new Lease."""
    etcd = stack.enter_context(started(Etcd(folder)))
    server = stack.enter_context(started(ApiServer(folder, etcd)))
    return lambda own: on_lease(Namespace(server, own / "k8s", f"bench-{own.name}"))


def _say(checkout: str, runs: Sequence[Found], ours: Sequence[Found] | None) -> None:
    """Print the usage of each process, and our memory as a share of another checkout's."""
    say(checkout)
    for name in runs[0]:
        of_name = [run[name] for run in runs if name in run]
        own, cpu = (statistics.median(run[at] for run in of_name) for at in (1, 2))
        pss = spread([each.pss for each in of_name], 1)
        say(f"  {name:14} {pss}  of it own {own:5.1f}  CPU {cpu:.3f} % of a core")
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
    options.add_argument(
        "--form", choices=FORMS, default=PROXY, help=f"what is started with it (default {PROXY!r})"
    )
    options.add_argument("--idle", type=float, default=20.0, help="seconds (default 20)")
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
