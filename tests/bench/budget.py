"""Measure the costs of this program; print each budget, and the values of this run.

  start          from the start of a replica, with a free Lease, until its Prometheus has the
                 leader's configuration; and how long a Prometheus alone takes to be ready
  memory, CPU    Pss of all processes but Prometheus, and their share of a core, in three forms:
                 without the proxy, with it, and with the gate too. They are idle; with the gate,
                 the leader writes a scrape of Prometheus itself every 15 s
  10,000 jobs    both renderings from a file on disk (3.4 MB), each run in a fresh process: time,
                 and memory beyond what the process had before; of a peer a whole run that writes
                 one rendering, and all its memory
  one job        one of 10,000 edited and renamed into place, until Prometheus is asked to reload:
                 an HTTP endpoint takes its place, so that its own reload is not in it

Each is measured in turn: this checkout, then --beside and --peer, then all again; so other load on
the machine affects all alike. A median is printed, and in brackets the least and the most.
Measure on a quiet machine, and compare only what one run has measured.

examples:
  scripts/bench budget                      all, about 20 minutes
  scripts/bench budget --only start
  scripts/bench budget --beside HEAD~1      also the commit before, in a worktree of its own
  scripts/bench budget --peer ./elector     also a program with the Go prometheus-elector's flags
  scripts/bench budget --record budget.json
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.budget_subjects import Checkout, Parts, PeerProgram, Subject, prometheus_ready
from tests.bench.memory import FORMS, GATE, PLAIN, PROXY
from tests.bench.on_terminal import in_turn, parser, positive, say
from tests.real.parts import program

HERE = Path(__file__).parents[2]
THIS = "this checkout"
ALONE = "Prometheus alone"
JOBS = 10_000


@dataclass(frozen=True)
class Row:
    """A line of the table: the values for each subject, by its name."""

    name: str
    target: str
    unit: str
    digits: int
    found: dict[str, list[float]]


# --- the parts ------------------------------------------------------------------------------------


def start(subjects: Sequence[Subject], parts: Parts, options: argparse.Namespace) -> Iterator[Row]:
    """Measure the starts of the subjects, and of Prometheus alone."""
    ways = {each.name: partial(each.start_s, parts) for each in subjects}
    found = in_turn("start", ways | {ALONE: partial(prometheus_ready, parts)}, options.runs)
    target = f"0.6, or {statistics.median(found[ALONE]) + 0.2:.2f} (Prometheus alone + 0.2)"
    yield Row("start to the leader's configuration", target, "s", 2, found)


def idle(subjects: Sequence[Subject], parts: Parts, options: argparse.Namespace) -> Iterator[Row]:
    """Measure memory and CPU in each form."""
    memory = {PLAIN: "45", PROXY: "60", GATE: "80"}
    rows = []
    for form in FORMS:
        able = [each for each in subjects if form in each.forms]
        ways = {each.name: partial(each.idle, parts, form, options.idle) for each in able}
        found = in_turn(f"idle {form}", ways, options.idle_runs)
        pss = {name: [run.pss for run in runs] for name, runs in found.items()}
        cpu = {name: [run.cpu for run in runs] for name, runs in found.items()}
        rows.append(Row(f"memory {form}", memory[form], "MiB", 1, pss))
        rows.append(Row(f"CPU {form}", "0.2", "% of a core", 3, cpu))
    yield from sorted(rows, key=lambda row: row.unit != "MiB")


def jobs(subjects: Sequence[Subject], parts: Parts, options: argparse.Namespace) -> Iterator[Row]:
    """Measure both renderings of a large configuration, or a peer's one rendering."""
    ways = {each.name: partial(each.render, parts, JOBS) for each in subjects}
    found = in_turn(f"{JOBS:,} jobs", ways, options.runs)
    seconds = {name: [run.seconds for run in runs] for name, runs in found.items()}
    memory = {name: [run.mib for run in runs] for name, runs in found.items()}
    yield Row(f"{JOBS:,} jobs, both renderings", "0.6", "s", 2, seconds)
    yield Row(f"{JOBS:,} jobs, memory beyond the process'", "40", "MiB", 1, memory)


def edit(subjects: Sequence[Subject], parts: Parts, options: argparse.Namespace) -> Iterator[Row]:
    """Measure the time from the edit of one job to the request to reload."""
    ways = {each.name: partial(each.edit_s, parts, JOBS) for each in _own(subjects)}
    found = in_turn("one job edited", ways, options.runs)
    yield Row(f"one job of {JOBS:,} edited, to the reload", "0.3", "s", 2, found)


PARTS = {"start": start, "idle": idle, "jobs": jobs, "edit": edit}
ELSEWHERE = (
    ("the whole test suite on two cores", "9 min", "scripts/test"),
    ("the image: what is added to its bases", "40 MB", "scripts/test-images --build-only"),
)


def _own(subjects: Iterable[Subject]) -> list[Checkout]:
    return [each for each in subjects if isinstance(each, Checkout)]


# --- the table ------------------------------------------------------------------------------------


def show(row: Row) -> None:
    """Print a row: the target, and the values for each subject."""
    say(f"{row.name}: at most {row.target} {row.unit}")
    for name, values in row.found.items():
        low, middle, high = (f"{each:.{row.digits}f}" for each in _three(values))
        say(f"    {name:24.24} {middle:>8} {row.unit}  ({low} to {high}, {len(values)} runs)")


def record(rows: Sequence[Row]) -> dict[str, object]:
    """Return all values, and a description of the machine."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"},
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "rows": [
            {"name": row.name, "target": row.target, "unit": row.unit, "runs": row.found}
            for row in rows
        ],
    }


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


# --- the subjects ---------------------------------------------------------------------------------


@contextmanager
def commit(name: str) -> Iterator[Checkout]:
    """Check out a commit into a temporary worktree, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="prometheus-elector-") as folder:
        place = Path(folder) / "worktree"
        _git("worktree", "add", "--detach", "--quiet", str(place), name)
        try:
            yield Checkout(f"{name} ({_git('rev-parse', '--short', name)})", place)
        finally:
            _git("worktree", "remove", "--force", str(place))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Measure, print and record; return the exit status."""
    options = _options()
    rows: list[Row] = []
    with ExitStack() as stack:
        checkouts = [Checkout(THIS, HERE), *map(stack.enter_context, map(commit, options.beside))]
        for each in checkouts:
            # As in an image: a process that has to compile modules keeps the memory for that.
            compileall.compile_dir(each.place / "wrapper", quiet=1)
        subjects: list[Subject] = [*checkouts, *map(PeerProgram, options.peer)]
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="prometheus-elector-"))
        parts = stack.enter_context(Parts.running(Path(folder)))
        say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {program('prometheus')}")
        for name, measure in PARTS.items():
            if options.only in name:
                for row in measure(subjects, parts, options):
                    rows.append(row)
                    show(row)
    for what, target, command in ELSEWHERE:
        say(f"{what}: at most {target}: {command} tells it")
    if options.record:
        options.record.write_text(json.dumps(record(rows), indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    options = parser("budget", __doc__, runs=10)
    options.add_argument("--only", default="", help=f"only {', '.join(PARTS)}")
    options.add_argument(
        "--beside", action="append", default=[], metavar="COMMIT", help="also measure this commit"
    )
    options.add_argument("--idle", type=float, default=60.0, help="seconds of idling (default 60)")
    options.add_argument(
        "--idle-runs", type=positive, default=3, help="runs of each form (default 3)"
    )
    options.add_argument("--record", type=Path, metavar="FILE", help="also write all runs as JSON")
    given = options.parse_args()
    if not any(given.only in name for name in PARTS):
        options.error(f"--only={given.only}: no such part; choose from {', '.join(PARTS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
