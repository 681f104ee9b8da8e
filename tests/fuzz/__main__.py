"""Run fuzz tests for longer than `scripts/test` does: `scripts/fuzz` explains it."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.conftest import REPORT
from tests.fuzz.form import SEED

FOLDER = Path(__file__).parent


def targets() -> dict[str, Path]:
    """Return the test files by their names."""
    return {path.stem.removeprefix("test_"): path for path in sorted(FOLDER.glob("test_*.py"))}


def run(path: Path, seed: int) -> tuple[bool, Counter[str]]:
    """Run one round of a target; return whether it passed, and its number of examples by test."""
    with tempfile.NamedTemporaryFile() as report:
        environment = os.environ | {SEED: str(seed), REPORT: report.name}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(path)]
        # Libraries log each wrong answer, which would hide the failure.
        command += ["--show-capture=no", "--tb=short"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stdout + done.stderr).splitlines()
            sys.stdout.write("\n".join(line[:2000] for line in lines[-80:]) + "\n")
        return done.returncode == 0, Counter(json.loads(Path(report.name).read_text() or "{}"))


def fuzz(name: str, path: Path, minutes: float, first_seed: int) -> bool:
    """Run rounds of a target until the time is over or one fails; return whether none failed."""
    begun, rounds, found = time.monotonic(), 0, Counter[str]()
    is_sound = True
    while is_sound and (not rounds or time.monotonic() < begun + minutes * 60):
        is_sound, examples = run(path, first_seed + rounds)
        found += examples
        rounds += 1
    took = (time.monotonic() - begun) / 60
    last = f"seeds {first_seed} to {first_seed + rounds - 1}"
    end = "no error" if is_sound else f"an error with --seed {first_seed + rounds - 1}"
    sys.stdout.write(f"{name}: {sum(found.values())} examples in {took:.1f} minutes, ")
    sys.stdout.write(f"{last}: {end}\n")
    for test, count in sorted(found.items()):
        sys.stdout.write(f"  {test}: {count}\n")
    sys.stdout.flush()
    return is_sound


def main() -> int:
    """Run the named targets, or all; return 1 if an error was found."""
    known = targets()
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Run fuzz tests with other examples each time, until the time is over or an "
        "error is found.",
        epilog=f"Targets: {', '.join(known)}.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a target (default: all)")
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="duration for each target (default 1)"
    )
    parser.add_argument("--seed", type=int, help="seed of the first round, to repeat an error")
    given = parser.parse_args()
    if unknown := set(given.names) - known.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}; name some of {list(known)}")
    seed = random.randrange(1 << 30) if given.seed is None else given.seed
    try:
        sound = [fuzz(name, known[name], given.minutes, seed) for name in given.names or known]
    except KeyboardInterrupt:
        sys.stdout.write(f"ended early; the first seed was {seed}\n")
        return 130
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
