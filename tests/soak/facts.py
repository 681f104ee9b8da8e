"""The data of a soak test: faults, writes, samples, processes, configurations; pure values.

Times are seconds since boot (CLOCK_BOOTTIME) unless their name has another unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FOREVER = float("inf")
PARTITION = "partition"  # the kind of fault after which packets may arrive late


@dataclass(frozen=True, slots=True)
class Write:
    """A request of a replica that has reached the receiver; ``status`` 0: no answer.

    ``is_abandoned``: the client had closed the connection before the answer.
    """

    replica: str
    at: float
    until: float
    status: int
    is_abandoned: bool = False


@dataclass(slots=True)
class Reign:
    """A period in which a replica certainly led, by some evidence."""

    replica: str
    since: float
    until: float


class Taken(NamedTuple):
    """A sample that the receiver accepted; ``at`` is when, ``ms`` its own time since 1970."""

    series: str
    ms: int
    value: float
    replica: str
    at: float


@dataclass(slots=True)
class Away:
    """A period in which a replica's scrapes may be lost: a part was dead, stopped or starting."""

    replica: str
    since: float
    until: float = FOREVER


@dataclass(slots=True)
class Fault:
    """A fault that the soak test injected, from ``since`` until ``until``.

    Until ``excused_until`` there may be no writer because of it; 0: it does not affect a writer.
    ``is_crash``: samples may arrive twice because of it. ``targets`` are replicas, or parts that
    all replicas use.
    """

    number: int
    group: str
    kind: str
    targets: tuple[str, ...]
    since: float
    excused_until: float
    is_crash: bool
    parameters: Mapping[str, Any] = field(default_factory=dict)
    until: float = FOREVER


class Outcome(NamedTuple):
    """The result of a fault: the seconds from its end until all was well, and to the next write.

    ``next_write_s`` counts from its beginning; None: several groups, or no write yet.
    """

    group: str
    kind: str
    calm_after_s: float
    next_write_s: float | None


class Figures(NamedTuple):
    """What a process uses: threads, descriptors, and memory in MiB."""

    threads: int
    descriptors: int
    memory: float


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation: the check that found it, its group, and a description."""

    check: str
    group: str
    at: float
    text: str
