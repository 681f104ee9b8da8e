"""What a lease says, what a candidate knows of it, and the interface of what holds one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a lease says, in client-go's terms; times are RFC 3339 text with microseconds.

    ``incarnation`` is the process that wrote the record, None where its annotation is missing or
    belongs to another record. ``url`` is where the holder's Prometheus answers, where known.
    """

    holder: str = ""
    duration_s: float = 1.0
    acquire_time: str = ""
    renew_time: str = ""
    transitions: int = 0
    incarnation: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedLease:
    """One sight of the lease: its record (None: no such lease) and the version to write over."""

    record: LeaseRecord | None
    version: str | None = None


class LeaseConflict(Exception):
    """Someone else wrote the lease first, or holds the lock: read again."""


class LeaseUnavailable(Exception):
    """The lease cannot be reached or may not be used; the text says what to do about it.

    ``reason`` is one short word for metrics, ``retry_after_s`` what the server asked for,
    ``needs_restart`` says that only a new start of this program and its Prometheus mends it.
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
    """Where the lease lives. All calls block, none longer than the lock's own request timeout."""

    def describe(self) -> str:
        """Return what this lock is, for people: ``lease NAMESPACE/NAME`` or ``lock file PATH``."""

    def read(self) -> ObservedLease:
        """Return the lease as it is now; raise LeaseUnavailable."""

    def write(self, record: LeaseRecord, version: str | None) -> ObservedLease:
        """Create it (version None) or replace exactly that version.

        A record without a holder is a release. Raise LeaseConflict, LeaseUnavailable.
        """

    def watch(self, seen: ObservedLease, on_change: Callable[[ObservedLease | None], None]) -> None:
        """Report changes after ``seen`` until the watch ends or fails (then it raises).

        ``None`` is reported where something has changed but has to be read.
        """

    def close(self) -> None:
        """End a watch that is running in another thread; harmless when none is."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What this candidate knows of the lease.

    ``renewed_at`` is when its last acknowledged write was *sent*, None while it does not hold the
    lease. ``free_at`` is when the lease counts as expired on this candidate's own clock.
    ``is_unwritable`` says that the last write failed, and that nobody else has written since,
    ``needs_restart`` that only a new start mends the ``problem``.
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
    problem: str = ""  # why the last request, or write, failed; "" when it did not
    needs_restart: bool = False
    is_unwritable: bool = False
    sent: LeaseRecord | None = None  # our last write, while it is not acknowledged
    sent_at: float = 0.0

    @property
    def holder(self) -> str:
        """The identity that the last record names, "" for none."""
        return self.last.holder if self.last else ""
