"""The record of a lease, a candidate's view of it, and the interface of a lock.

Data types only. A *lock* stores the lease: a Lease of Kubernetes, or a lock file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of a lease, in client-go's terms; times are RFC 3339 text with microseconds.

    - ``holder``: the identity of the holder, "" if the lease is released.
    - ``incarnation``: identifies the process that wrote the record. It is None if the record has no
      such annotation, or if the annotation belongs to another record.
    - ``url``: the URL of the holder's Prometheus, None if unknown.
    - ``marks``: the marks of the holder's gate, sorted by endpoint (``model/gate.py``).
    """

    holder: str = ""
    duration_s: float = 1.0
    acquire_time: str = ""
    renew_time: str = ""
    transitions: int = 0
    incarnation: str | None = None
    url: str | None = None
    marks: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedLease:
    """The lease as read at one time.

    ``record`` is None if the lease does not exist. ``version`` is the version that a write has to
    replace.
    """

    record: LeaseRecord | None
    version: str | None = None


class LeaseConflict(Exception):
    """Another process wrote the lease first, or holds the lock; the lease has to be read again."""


class LeaseUnavailable(Exception):
    """The lease cannot be reached or used; the message has the cause and the cure.

    ``reason`` is one short word for metrics. ``retry_after_s`` is the delay that the server
    requested. ``needs_restart`` means that only a restart of this program and its Prometheus solves
    the problem.
    """

    def __init__(
        self,
        message: str,
        reason: str = "error",
        retry_after_s: float = 0.0,
        *,
        needs_restart: bool = False,
    ) -> None:
        """Keep the other values beside the message."""
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.needs_restart = needs_restart

    @property
    def is_forbidden(self) -> bool:
        """Whether this client lacks the right to send the request."""
        return self.reason == "forbidden"


class LeaseLock(Protocol):
    """What stores the lease. Each call blocks, at most for the lock's own request timeout."""

    def describe(self) -> str:
        """Return the name to show: ``lease NAMESPACE/NAME`` or ``lock file PATH``."""

    def read(self) -> ObservedLease:
        """Return the current lease; raise LeaseUnavailable."""

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Create the lease if ``version`` is None; otherwise replace exactly that version.

        A record without a holder releases the lease. Raise LeaseConflict or LeaseUnavailable.
        """

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report each change after ``seen``, until the watch ends; raise if it fails.

        The watch reports ``None`` if the lease has changed and has to be read.
        """

    def close(self) -> None:
        """End a watch that runs in another thread; do nothing if there is none."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What this candidate knows of the lease. Times are on CLOCK_BOOTTIME of this machine.

    - ``heard_at``: when the lease was last read or written successfully.
    - ``changed_at``: when this candidate saw the last change of the record.
    - ``free_at``: when the lease expires, measured by this candidate's own clock.
    - ``renewed_at``: when the last acknowledged write was *sent*; None while this candidate does
      not hold the lease.
    - ``released_at``: when this candidate released the lease.
    - ``failures``: how many requests have failed in succession.
    - ``needs_restart``: only a restart solves the ``problem``.
    - ``is_unwritable``: the last write failed, and no other candidate has written since.
    - ``watch_problem``: which right is missing to watch the lease, "" if none is. Changes are then
      only found by reading. A holder does not watch.
    """

    seen: ObservedLease | None = None  # None: not read yet, or out of date
    last: LeaseRecord | None = None  # the last record seen, even if ``seen`` is out of date
    heard_at: float = 0.0
    changed_at: float = 0.0
    free_at: float = 0.0
    renewed_at: float | None = None
    released_at: float | None = None
    request_at: float = 0.0  # the next request is not sent before this time
    failures: int = 0
    problem: str = ""  # why the last request or write failed; "" if it succeeded
    needs_restart: bool = False
    is_unwritable: bool = False
    sent: LeaseRecord | None = None  # our last write, until it is acknowledged
    sent_at: float = 0.0
    watch_problem: str = ""

    @property
    def holder(self) -> str:
        """The holder's identity in the last record, "" if there is none."""
        return self.last.holder if self.last else ""
