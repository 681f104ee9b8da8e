"""The messages between the supervisor and the gate, and the gate's endpoints and marks.

Data types, and two rules for merging marks. An *endpoint* is one ``remote_write`` of the leader. A
*mark* is a sample timestamp, in milliseconds since 1970: the receiver of an endpoint has
acknowledged all samples up to it. ``Marks`` maps the names of endpoints to marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

Marks = Mapping[str, int]
PATH = "/gate/"  # the gate serves each endpoint at this path, followed by the endpoint's name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ``remote_write`` of the leader, with what the gate needs to send to its receiver.

    - ``name``: the name of the endpoint, the same in all replicas.
    - ``url``: the receiver's URL, which may contain credentials.
    - ``timeout_s``: ``remote_timeout`` of the entry, in seconds.
    - ``batch_deadline_s``, ``max_backoff_s``: ``batch_send_deadline`` and ``max_backoff`` of
      ``queue_config``, in seconds.
    - ``client``: the entry's fields about the connection, by their names in the entry
      (``tls_config``, ``proxy_url``, …), with absolute paths.
    - ``retries_429``: ``retry_on_http_429`` of ``queue_config``: Prometheus sends a request again
      that was answered 429. Otherwise, it drops the samples.
    """

    name: str
    url: str = field(repr=False)
    timeout_s: float = 30.0
    batch_deadline_s: float = 5.0
    max_backoff_s: float = 5.0
    client: Mapping[str, Any] = field(default_factory=dict, repr=False)
    retries_429: bool = False

    @property
    def shown_url(self) -> str:
        """The receiver's URL as it may be shown: without credentials and query."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class GateOrder:
    """An order of the supervisor to the gate. A newer order replaces an older one.

    - ``number``: the order's number; newer orders have higher numbers.
    - ``open_until``: the deadline by which the gate must be closed, on CLOCK_BOOTTIME; None orders
      it to be closed now.
    - ``hands_over``: while open, send the samples scraped up to now, and no newer ones.
    - ``leader``: the holder of the lease, "" if none is known. The gate uses the holder's marks.
    - ``marks``: the newest marks that the supervisor knows.
    - ``endpoints``: the endpoints that the gate serves.
    """

    number: int = 0
    open_until: float | None = None
    hands_over: bool = False
    leader: str = ""
    marks: Marks = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """The state of one endpoint, as the gate reports it.

    - ``mark``: its newest mark, None if none is known.
    - ``held_bytes``, ``held_batches``: the requests that the gate holds in memory.
    - ``held_since``: the wall time at which the oldest held batch arrived, None if none is held.
    - ``behind_s``: how far the receiver is behind, in seconds of sample time; None if unknown.
    - ``problem``: why the receiver did not accept the last batch, "" if it did. While the gate is
      closed, it sends none, and has no problem.
    - ``counters``: totals since the gate started, by the names in ``COUNTERS``.
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
    """The state of the gate, as it reports it.

    - ``order``: the number of the order that is in effect.
    - ``is_open``: it passes requests on, or one of them is still in flight.
    - ``has_handed_over``: the hand-over that the order requested is complete: the receivers have
      acknowledged all its samples, and the marks are final.
    - ``endpoints``: the state of each endpoint.
    - ``clock_offset_s``: the leader's wall clock minus this machine's; None if not measured.
    """

    order: int = 0
    is_open: bool = False
    has_handed_over: bool = False
    endpoints: tuple[EndpointReport, ...] = ()
    clock_offset_s: float | None = None

    @property
    def marks(self) -> dict[str, int]:
        """The marks that the gate knows: its own and the leader's, by endpoint."""
        return {each.name: each.mark for each in self.endpoints if each.mark is not None}


# Totals of an endpoint: Prometheus' requests by their result, held batches by their result, and
# samples that were not sent or not accepted, by the reason.
COUNTERS = (
    "requests_passed",  # passed on, and answered by the receiver with any status
    "requests_failed",  # passed on, but the receiver did not answer
    "requests_held",
    "requests_refused_full",
    "requests_refused_closing",  # past the deadline, in a hand-over, or while sending held batches
    "batches_released",  # held, then dropped: the receiver has acknowledged the leader's samples
    "batches_sent_on",  # held, then sent by this replica as the leader
    "samples_left_out",  # held, but not sent: they are not newer than the mark
    "samples_rejected_known",  # refused by the receiver: it has them, or newer ones
    "samples_given_up",  # refused by the receiver permanently, for another reason
    "samples_unconfirmed",  # the receiver counted fewer than a standby had answered
    "bytes_passed",
)


FAR_MS = 300_000  # a mark that is further ahead than this comes from a clock that was wrong


def merged_within_limit(own: Marks, others: Marks) -> dict[str, int]:
    """Return our marks, replaced by others' marks that are newer by at most ``FAR_MS``.

    Without this limit, the mark of a clock that was hours ahead would stay in effect, and the gates
    would drop all samples that they hold.
    """
    return dict(own) | {
        name: mark
        for name, mark in others.items()
        if name not in own or own[name] < mark <= own[name] + FAR_MS
    }


def without_far(marks: Iterable[tuple[str, int]], wall_ms: float) -> dict[str, int]:
    """Return the marks that are not far ahead of a wall time, in milliseconds since 1970.

    The others must not stay: when that time has come near, the gates would drop what they hold.
    """
    return {name: mark for name, mark in marks if mark <= wall_ms + FAR_MS}


def merged(*marks: Marks) -> dict[str, int]:
    """Return the newest mark of each endpoint; a newer mark covers all older ones."""
    newest: dict[str, int] = {}
    for each in marks:
        for name, mark in each.items():
            newest[name] = max(mark, newest.get(name, mark))
    return newest
