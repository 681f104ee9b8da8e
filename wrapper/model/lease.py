"""The record of a lease, a candidate's view of it, and the interface of a lock; shapes only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of a lease, in client-go's terms; times are RFC 3339 text with microseconds.

    ``incarnation`` is the process that wrote the record, None if its annotation is missing or
    belongs to another record. ``url`` is that of the holder's Prometheus, None if unknown.
    ``marks`` are the gate's, sorted by endpoint: see ``gate``.
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
    """The lease as read once: its record (None: no such lease) and the version to replace."""

    record: LeaseRecord | None
    version: str | None = None


class LeaseConflict(Exception):
    """Another process wrote the lease first, or holds the lock: read it again."""


class LeaseUnavailable(Exception):
    """The lease cannot be reached or used; the text has the cause and the cure.

    ``reason`` is one short word for metrics, ``retry_after_s`` the delay that the server asked for.
    ``needs_restart``: only a restart of this program and its Prometheus ends the problem.
    """

    def __init__(
        self,
        message: str,
        reason: str = "error",
        retry_after_s: float = 0.0,
        *,
        needs_restart: bool = False,
    ) -> None:
        """Keep the reason beside the message."""
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.needs_restart = needs_restart


class LeaseLock(Protocol):
    """What stores the lease. All calls block, at most for the lock's own request timeout."""

    def describe(self) -> str:
        """Return its name for people: ``lease NAMESPACE/NAME`` or ``lock file PATH``."""

    def read(self) -> ObservedLease:
        """Return the lease as it is now; raise LeaseUnavailable."""

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Create it (version None) or replace exactly that version.

        A record without a holder is a release. Raise LeaseConflict, LeaseUnavailable.
        """

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report changes after ``seen`` until the watch ends or fails (then it raises).

        ``None`` is reported if something has changed and has to be read.
        """

    def close(self) -> None:
        """End a watch in another thread; harmless if there is none."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What this candidate knows of the lease.

    ``renewed_at`` is when its last acknowledged write was *sent*, None while it does not hold the
    lease. ``free_at`` is when the lease expires on this candidate's own clock. ``is_unwritable``:
    the last write failed, and nobody else has written since. ``needs_restart``: only a restart ends
    the ``problem``.
    """

    seen: ObservedLease | None = None  # None: not read yet, or out of date
    last: LeaseRecord | None = None  # the last record seen, also when ``seen`` is out of date
    heard_at: float = 0.0
    changed_at: float = 0.0
    free_at: float = 0.0
    renewed_at: float | None = None
    released_at: float | None = None
    request_at: float = 0.0  # no request before this
    failures: int = 0
    problem: str = ""  # why the last request, or write, failed; "" if it did not
    needs_restart: bool = False
    is_unwritable: bool = False
    sent: LeaseRecord | None = None  # our last write, while it is not acknowledged
    sent_at: float = 0.0

    @property
    def holder(self) -> str:
        """The identity that the last record names, "" for none."""
        return self.last.holder if self.last else ""
