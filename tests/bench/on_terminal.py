"""What all benches have on the command line, and how they speak."""

from __future__ import annotations

import argparse


def parser(name: str, about: str | None, runs: int) -> argparse.ArgumentParser:
    """Return the options of ``scripts/bench NAME``: how often, and which peers."""
    made = argparse.ArgumentParser(
        prog=f"scripts/bench {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--runs", type=int, default=runs, help=f"runs of each case (default {runs})")
    made.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="PROGRAM",
        help="also measure this program, which takes the Go prometheus-elector's flags",
    )
    return made


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201
