"""What the supervisor and the gate tell each other, and the endpoints of remote_write; shapes only.

A *mark* is a time in milliseconds since 1970, in the timestamps of samples: the receiver has
acknowledged all samples up to it. ``Marks`` maps the names of endpoints to marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

Marks = Mapping[str, int]
PATH = "/gate/"  # of an endpoint's URL at the gate, before its name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ``remote_write`` of the leader, as the gate needs it.

    ``name`` is the same in all replicas. ``url`` is the receiver's and may contain credentials.
    ``client`` has the fields of the entry that concern the connection, under their own names
    (``tls_config``, ``proxy_url``, …), paths absolute. ``batch_deadline_s`` and ``max_backoff_s``
    are those of ``queue_config``.
    """

    name: str
    url: str = field(repr=False)
    timeout_s: float = 30.0
    batch_deadline_s: float = 5.0
    max_backoff_s: float = 5.0
    client: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def shown_url(self) -> str:
        """The receiver's URL for people: without credentials, and without a query."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class GateOrder:
    """What the gate should do, as of the newest order; each replaces the one before.

    ``until`` is when it must have closed, on CLOCK_BOOTTIME; None: closed. ``hands_over``: while it
    is open, send what was scraped up to now and no more. ``leader`` is the holder of the lease, ""
    for nobody known; its marks count. ``marks`` are the newest that are known.
    """

    number: int = 0
    until: float | None = None
    hands_over: bool = False
    leader: str = ""
    marks: Marks = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One endpoint's state at the gate.

    ``mark`` is None if none is known. ``held_since`` is the wall time at which the oldest batch
    that is held came, None without any. ``behind_s`` is how far the receiver is behind, in seconds
    of sample time, None if unknown. ``problem`` is why the receiver did not take the last batch, ""
    if it did. ``counters`` are totals since the gate started, by the names of ``COUNTERS``.
    """

    name: str
    mark: int | None = None
    held_bytes: int = 0
    held_batches: int = 0
    held_since: float | None = None
    behind_s: float | None = None
    problem: str = ""
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateReport:
    """The gate's state after an order.

    ``is_open``: it passes requests on, or one of them is still under way. ``has_handed_over``:
    after ``hands_over``, everything up to then is acknowledged and the marks are final.
    ``clock_offset_s`` is the leader's wall clock less ours, None if not measured.
    """

    order: int = 0
    is_open: bool = False
    has_handed_over: bool = False
    endpoints: tuple[EndpointReport, ...] = ()
    clock_offset_s: float | None = None

    @property
    def marks(self) -> dict[str, int]:
        """The marks that the gate knows: its own and the leader's."""
        return {each.name: each.mark for each in self.endpoints if each.mark is not None}


# Totals of an endpoint: requests of Prometheus by what became of them, batches sent on after a
# change of the leader, and samples that the receiver did not take, by why.
COUNTERS = (
    "requests_passed",  # answered by the receiver, whatever it said
    "requests_failed",  # the receiver gave no answer
    "requests_held",
    "requests_refused_full",
    "requests_refused_closing",  # past the deadline, handing over, or sending what is held first
    "batches_released",  # held, then acknowledged by the leader's receiver
    "batches_sent_on",  # held, then sent on as the leader
    "samples_left_out",  # held, and not newer than the mark
    "samples_rejected_known",  # the receiver has them, or newer ones
    "samples_given_up",  # refused by the receiver for good, for another reason
    "samples_unconfirmed",  # the receiver counted fewer than a standby had answered
    "bytes_passed",
)


FAR_MS = 300_000  # a mark that is this much ahead is of a clock that was wrong


def reconciled(own: Marks, others: Marks) -> dict[str, int]:
    """Return our marks, or those of others that are newer, but not far ahead: see ``FAR_MS``.

    A mark of a clock that was hours ahead would else stay, and have all that is held released.
    """
    return dict(own) | {
        name: mark
        for name, mark in others.items()
        if name not in own or own[name] < mark <= own[name] + FAR_MS
    }


def merged(*marks: Marks) -> dict[str, int]:
    """Return the newest mark of each endpoint: a mark stays true for ever."""
    newest: dict[str, int] = {}
    for each in marks:
        for name, mark in each.items():
            newest[name] = max(mark, newest.get(name, mark))
    return newest
