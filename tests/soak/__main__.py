"""Run replicas of two elections under random faults, with continuous checks.

Three replicas have the gate, and three do not. Each has the newest Prometheus; all use a real API
server and a real receiver. The faults depend on a seed, which is printed: the same seed makes the
same faults in the same order, but not at the same times. The exit status is 0 if no check was
violated, 1 if one was, and 2 if the soak test itself failed or was stopped by a signal.
wrapper/docs/reliability.md explains the faults and the checks.

Examples:
  scripts/soak --minutes 20
  scripts/soak --minutes 5 --seed 7 --record soak.jsonl --only kill,stop
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.soak.director import OF_ALL, OF_GROUP
from tests.soak.record import Record, today
from tests.soak.run import Soak

NAMES = sorted(act.__name__ for act in (*OF_GROUP, *OF_ALL))


def main() -> int:
    """Run the soak test, and return the exit status."""
    options = _options()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    folder = Path(tempfile.mkdtemp(prefix="prometheus-elector-soak-"))
    with Record(options.record) as record:
        record.note("soak", seed=options.seed, minutes=options.minutes, began=today())
        record.say(f"seed {options.seed}, {options.minutes:g} minutes, in {folder}")
        soak = Soak(
            folder, options.seed, options.minutes * 60, options.only, record=record, over=over
        )
        is_clean = soak.run()
        if record.violations or record.failures:
            again = f"scripts/soak --minutes {options.minutes:g} --seed {options.seed}"
            only = "" if options.only == NAMES else f" --only {','.join(options.only)}"
            record.say(f"again: {again}{only}")
    if options.keep or not is_clean:
        sys.stdout.write(f"logs of all parts: {folder}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_clean else 2 if record.failures else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="duration (default 2)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(100_000), help="default: a random seed"
    )
    parser.add_argument("--record", type=Path, help="write a line of JSON for each event")
    parser.add_argument(
        "--keep", action="store_true", help="keep the logs even without a violation"
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=NAMES,
        metavar="NAME,…",
        help=f"only these faults: {', '.join(NAMES)}",
    )
    given = parser.parse_args()
    if unknown := set(given.only) - set(NAMES):
        parser.error(f"--only: no such fault: {', '.join(sorted(unknown))}; --help names all")
    return given


if __name__ == "__main__":
    sys.exit(main())
