"""What is known of a soak: faults, writes, samples, lives, configurations; pure values.

Times are seconds since boot (CLOCK_BOOTTIME) unless their name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FOREVER = float("inf")
PARTITION = "partition"  # the kind of fault after which packets may come late


@dataclass(frozen=True, slots=True)
class Write:
    """A request of a replica that has come to the receiver's door; ``status`` 0: no answer.

    ``is_abandoned``: the client had hung up before it was answered.
    """

    replica: str
    at: float
    until: float
    status: int
    is_abandoned: bool = False


@dataclass(slots=True)
class Reign:
    """From when until when a replica certainly led, by some witness."""

    replica: str
    since: float
    until: float


class Taken(NamedTuple):
    """A sample that the receiver has taken; ``at`` is when, ``ms`` its own time since 1970."""

    series: str
    ms: int
    value: float
    replica: str
    at: float


@dataclass(slots=True)
class Away:
    """A time in which a replica's scrapes may be lost: part of it was dead, stopped or starting."""

    replica: str
    since: float
    until: float = FOREVER


@dataclass(slots=True)
class Fault:
    """Something bad that the soak did, from ``since`` until ``until``.

    Until ``excused_until`` there may be no writer because of it; 0: a writer is not touched.
    ``is_crash``: samples may come twice because of it. ``targets`` are replicas, or parts that all
    replicas use.
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
    """What a fault came to: how long after its end all was well, and after its beginning a write.

    ``next_write_s`` is None where no group is meant, or none was taken yet.
    """

    group: str
    kind: str
    calm_after_s: float
    next_write_s: float | None


class Figures(NamedTuple):
    """What one process uses: threads, descriptors, and memory in MiB."""

    threads: int
    descriptors: int
    memory: float


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: which check found it, in which group, and what it is."""

    check: str
    group: str
    at: float
    text: str
