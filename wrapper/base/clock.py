"""The clocks: the only place where time is read.

Deadlines are on CLOCK_BOOTTIME, which goes on while the machine sleeps; ``time.monotonic`` does
not, so a machine that slept would go on believing in its lease. Wall time is only for others.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Return the seconds since boot, those asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> float:
    """Return the seconds since 1970, for logs and metrics."""
    return time.time()


def rfc3339_micro() -> str:
    """Return the wall time as Kubernetes' MicroTime: ``2006-01-02T15:04:05.000000Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso(wall: float) -> str:
    """Return a wall time for people and programs: ``2006-01-02T15:04:05+00:00``."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
