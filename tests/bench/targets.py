"""Measure the cost of fetching targets: 20,000 groups from a server like Promgen to the file.

Each run is a fresh process that fetches once, as the thread of a feed does: request, checks, and
the write of the file to the disk. "again" is a second fetch with the same answer in full; "known"
is a fetch that the server answers with 304. Quote medians. Memory is resident memory in MiB: the
peak, and the amount before the fetch. All figures depend on the machine, on which the server runs
too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import promgen
from tests.bench.on_terminal import parser, say
from tests.promgen import TARGETS, Promgen, group

SIZES = (200, 2_000, 20_000)
ONE_RUN = """
import json, sys, threading
from pathlib import Path
from tests.bench.one_rendering import memory, timed
from wrapper.model.fetched_file import Feed
from wrapper.targets.fetch import NO_VALIDATORS, Fetcher
from wrapper.options.settings import FeedOptions
from wrapper.targets.fetch_loop import FeedKeeper, FetchParts
from wrapper.targets.rule_loader import RuleLoader
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.commands.targets import HttpReloads
from wrapper.supervision.prometheus_api import PrometheusApi

url, path, shard = sys.argv[1:]
largest = 64 << 20
reloads = HttpReloads(PrometheusApi(), "", 1.0)
fetcher = Fetcher(PrometheusAccess(), 60.0, largest)
parts = FetchParts(fetcher, RuleLoader(reloads), lambda _: None, threading.Event())
keeper = FeedKeeper(Feed(url, path), FeedOptions(60.0, shard, False, largest), parts)

def update():
    problem = keeper.update()
    assert not problem, problem

before = memory("VmRSS")
first = timed(update)
peak = memory("VmHWM")
known = timed(update)
keeper._validators = NO_VALIDATORS
again = timed(update)
print(json.dumps({
    "first": first, "known": known, "again": again, "before": before, "peak": peak,
    "kept": memory("VmRSS"), "groups": keeper.state.groups,
}))
"""


def body(groups: int) -> bytes:
    """Return an answer with this number of groups of five targets, in two shards."""
    return promgen.targets(
        *(
            group(
                *(f"host-{number:05d}-{each}.example:9100" for each in range(5)),
                shard=f"shard-{number % 2}",
                service=f"service-{number % 300}",
                project=f"project-{number}",
            )
            for number in range(groups)
        )
    )


def measured(server: Promgen, folder: Path, shard: str, runs: int) -> dict[str, float]:
    """Return the medians of the values that fresh processes measure."""
    found = []
    for number in range(runs):
        path = folder / f"t-{number}.json"
        argv = [sys.executable, "-c", ONE_RUN, f"{server.url}{TARGETS}", str(path), shard]
        found.append(json.loads(subprocess.check_output(argv)))
        path.unlink()
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def main() -> int:
    """Measure and print; return the exit status."""
    options = parser("targets", __doc__, runs=5).parse_args()
    server = Promgen()
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as name:
        say(f"medians of {options.runs} runs")
        for groups in SIZES:
            server.bodies[TARGETS] = body(groups)
            for shard in ("", "shard-1"):
                figures = measured(server, Path(name), shard, options.runs)
                say(
                    f"{groups:6,} groups {len(server.bodies[TARGETS]) / 1e6:5.1f} MB  "
                    f"{'one shard written' if shard else 'all written':17}  "
                    f"fetched, checked and written {figures['first']:6.3f} s, "
                    f"again {figures['again']:6.3f} s, known {figures['known']:6.3f} s; "
                    f"memory {figures['before']:3.0f} before, peak {figures['peak']:3.0f} "
                    f"(+{figures['peak'] - figures['before']:.0f}), kept {figures['kept']:3.0f} MiB"
                )
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
