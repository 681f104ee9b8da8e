"""The command line and the output of all benchmarks, and their runs in turn."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def parser(
    name: str, about: str | None, runs: int, *, has_peers: bool = True
) -> argparse.ArgumentParser:
    """Return the options of ``scripts/bench NAME``: how often, and which peers."""
    made = argparse.ArgumentParser(
        prog=f"scripts/bench {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--runs", type=positive, default=runs, help=f"runs of each case (default {runs})"
    )
    if has_peers:
        made.add_argument(
            "--peer",
            action="append",
            default=[],
            metavar="PROGRAM",
            help="also measure this program, which takes the Go prometheus-elector's flags",
        )
    return made


def positive(text: str) -> int:
    """Return a number of runs; raise ArgumentTypeError unless it is at least 1."""
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; give 1 or more")


def in_turn(what: str, ways: Mapping[str, Callable[[], T]], runs: int) -> dict[str, list[T]]:
    """Measure each way once, then each again, and so on; return the values of each.

    So other load on the machine affects all ways alike, and runs of the same number are pairs.
    """
    found: dict[str, list[T]] = {name: [] for name in ways}
    for run in range(runs):
        for name, measure in ways.items():
            _show(f"{what}: run {run + 1} of {runs}, {name} …")
            found[name].append(measure())
    _show("")
    return found


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{progress[:78]:78}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
    elif progress:
        print(progress, file=sys.stderr, flush=True)  # noqa: T201


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the minimum, the median and the maximum of some runs."""
    named = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return "  ".join(f"{name} {value:8.{digits}f}" for name, value in named.items())


def ratio(values: Sequence[float], others: Sequence[float]) -> str:
    """Return the median of the ratios between runs of the same number."""
    ratios = [one / other for one, other in zip(values, others, strict=True)]
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201
