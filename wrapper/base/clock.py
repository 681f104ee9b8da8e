"""Reads the clocks: the only place where time is read.

Deadlines use CLOCK_BOOTTIME, which also advances while the machine sleeps. ``time.monotonic`` does
not: with it, a machine that has slept would still take its lease as valid. Wall-clock time is only
for people and metrics.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Return the seconds since boot, including time asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> float:
    """Return the seconds since 1970, for logs and metrics."""
    return time.time()


def rfc3339_micro() -> str:
    """Return the wall time as Kubernetes' MicroTime: ``2006-01-02T15:04:05.000000Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso(wall: float) -> str:
    """Return a wall time as RFC 3339 text: ``2006-01-02T15:04:05+00:00``."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def iso_ms(wall_ms: int) -> str | None:
    """Return a wall time in milliseconds as RFC 3339 text; None if it is out of range."""
    try:
        return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OSError, OverflowError, ValueError):
        return None
