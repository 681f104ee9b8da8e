"""The rules of a lease: those of client-go, and our own; pure: every function takes ``now``.

Guarantee: of all candidates that follow these rules, at most one leads, as long as their clocks run
at about the same rate. A candidate counts a lease as expired when it has seen no change of the
record for the lease duration, on *its own* clock. A holder counts its lease from the moment just
before it *sent* the last acknowledged renewal. Times in the record are only compared for change.

Limitations: the guarantee does not hold if a candidate ignores the record, if a clock stands still,
or if the lease is deleted:

- A candidate that has never seen the holder takes the lease for a new one.
- A candidate that reads only while the lease is missing does not notice that it existed in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from wrapper.election import lease_fields as fields
from wrapper.election.lease_fields import MOST
from wrapper.model.gate import Marks, merged_within_limit
from wrapper.model.lease import LeaseRecord, LeaseView, ObservedLease
from wrapper.model.roles import Stance

# A lease that nobody renews is read rarely: the watch reports its changes.
IDLE_READ_PERIOD_S = 60.0
FIRST_RETRY_S = 0.1
# This many of our lease durations count as long: a holder with our settings would have renewed.
MANY = 3


class LeaseRequest(StrEnum):
    """The next request to the lock."""

    READ = "read"
    WRITE = "write"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """This candidate's identity and the durations of its lease, in seconds."""

    identity: str
    incarnation: str
    duration_s: float
    renew_deadline_s: float
    retry_period_s: float
    last_moment_s: float
    url: str | None = None

    @property
    def margin_s(self) -> float:
        """The time for the demotion: from the end of leading to the last moment."""
        return self.last_moment_s - self.renew_deadline_s

    def owns(self, record: LeaseRecord | None) -> bool:
        """Return whether the record's holder is this process, or an earlier one of the same pod."""
        return (
            record is not None
            and record.holder == self.identity
            and record.incarnation == self.incarnation
        )

    def released(self, record: LeaseRecord | None) -> bool:
        """Return whether the record is a release with our incarnation."""
        return record is not None and not record.holder and record.incarnation == self.incarnation


@dataclass(frozen=True, slots=True)
class Step:
    """The request to send now (None: none), and when to decide again."""

    request: LeaseRequest | None
    wake_at: float


def leads_until(view: LeaseView, terms: LeaseTerms) -> float | None:
    """Return when leading ends unless the lease is renewed; None if it is not held."""
    return None if view.renewed_at is None else view.renewed_at + terms.renew_deadline_s


def leads(view: LeaseView, terms: LeaseTerms, now: float) -> bool:
    """Return whether this candidate leads, computed from its last acknowledged renewal."""
    until = leads_until(view, terms)
    return until is not None and now < until


def on_observed(view: LeaseView, seen: ObservedLease, now: float, terms: LeaseTerms) -> LeaseView:
    """Apply a read, or an event of the watch.

    If the record is exactly the one that we sent, it counts as the missing acknowledgement.
    """
    if _is_what_was_sent(view, seen.record):
        return replace(on_written(view, seen, view.sent_at, now), problem=view.problem)
    record = _record_after_deletion(view.last) if seen.record is None else seen.record
    is_changed = view.last is None or record != view.last
    is_lost = view.renewed_at is not None and record is not None and not terms.owns(record)
    is_held = not is_lost and _forget_expired(view, now, terms).renewed_at is not None
    # A read does not show that writes work again. Only a write does, our own or another's.
    is_unwritable = view.is_unwritable and (record == view.last or terms.owns(record))
    return replace(
        view,
        seen=seen,
        last=record,
        heard_at=now,
        changed_at=now if is_changed and record is not None else view.changed_at,
        free_at=_free_at(record, now, terms) if is_changed else view.free_at,
        renewed_at=view.renewed_at if is_held else None,
        released_at=now if is_changed and terms.released(record) else view.released_at,
        failures=view.failures if is_unwritable else 0,
        problem=view.problem if is_unwritable else "",
        needs_restart=view.needs_restart and is_unwritable,
        is_unwritable=is_unwritable,
    )


def _is_what_was_sent(view: LeaseView, record: LeaseRecord | None) -> bool:
    """Return whether this is our last write; ignore the URL, which not every lock stores."""
    if view.sent is None or record is None or not record.holder:
        return False
    return replace(view.sent, url=record.url) == record


def _record_after_deletion(last: LeaseRecord | None) -> LeaseRecord | None:
    """Return the record that stands for a deleted lease.

    Its holder may have renewed it, unseen, just before. So the deletion counts as one more change.
    """
    return None if last is None else replace(last, renew_time="")


def _free_at(record: LeaseRecord | None, now: float, terms: LeaseTerms) -> float:
    """Return when a record first seen ``now`` counts as expired.

    A release without an incarnation comes from a client that may release before it has demoted. It
    counts as expired one margin later.
    """
    if record is None or terms.owns(record):
        return now
    if record.holder:
        return now + record.duration_s
    was_never_held = not (record.acquire_time or record.renew_time)
    was_signed_or_never_held = record.incarnation is not None or was_never_held
    return now if was_signed_or_never_held else now + terms.margin_s


def on_written(view: LeaseView, seen: ObservedLease, sent_at: float, now: float) -> LeaseView:
    """Apply an acknowledged write of ours: held if it names a holder, else released."""
    is_held = seen.record is not None and bool(seen.record.holder)
    return replace(
        view,
        seen=seen,
        last=seen.record,
        heard_at=now,
        changed_at=now,
        free_at=now,
        renewed_at=sent_at if is_held else None,
        released_at=None if is_held else now,
        request_at=0.0,
        failures=0,
        problem="",
        needs_restart=False,
        is_unwritable=False,
        sent=None,
    )


def is_overdue(view: LeaseView, terms: LeaseTerms, now: float) -> bool:
    """Return whether another holder has long not renewed, while its lease stays valid for long.

    This requires a lease duration far above ours: candidates wait for it even if the holder is
    gone.
    """
    long_s = MANY * terms.duration_s
    is_anothers = bool(view.holder) and view.renewed_at is None and not view.problem
    return is_anothers and now >= view.changed_at + long_s and view.free_at - now > long_s


def on_send(view: LeaseView, record: LeaseRecord, sent_at: float) -> LeaseView:
    """Record what is about to be sent.

    A lease counts as not held before its release is sent, because the release may take effect
    without an answer.
    """
    renewed_at = view.renewed_at if record.holder else None
    return replace(view, renewed_at=renewed_at, sent=record, sent_at=sent_at)


def on_unknown_change(view: LeaseView) -> LeaseView:
    """Record that the lease has changed in an unknown way, and must be read."""
    return replace(view, seen=None)


def on_conflict(view: LeaseView, now: float, terms: LeaseTerms) -> LeaseView:
    """Apply a conflict: read again, at once after the first, with a delay after further ones."""
    if view.is_unwritable:
        return on_failure(view, view.problem, now, terms, is_write=True)
    return replace(view, seen=None, is_unwritable=True)


def on_failure(  # noqa: PLR0913 - what failed, when, and what the server says
    view: LeaseView,
    problem: str,
    now: float,
    terms: LeaseTerms,
    retry_after_s: float = 0.0,
    *,
    is_write: bool = False,
    needs_restart: bool = False,
) -> LeaseView:
    """Apply a failed request, and delay the next one.

    The delay doubles up to the retry period. Retry-After is obeyed up to the renew deadline. A
    holder sends one more request before it has to step down.
    """
    asked_s = min(retry_after_s, terms.renew_deadline_s)
    delay_s = max(min(FIRST_RETRY_S * 2**view.failures, terms.retry_period_s), asked_s)
    request_at = now + delay_s
    until = leads_until(view, terms)
    if until is not None and now < until:
        request_at = min(request_at, max(now + FIRST_RETRY_S, until - terms.retry_period_s))
    return replace(
        view,
        seen=None,
        request_at=request_at,
        failures=min(view.failures + 1, 16),
        problem=problem,
        needs_restart=needs_restart,
        is_unwritable=view.is_unwritable or is_write,
    )


def next_step(view: LeaseView, stance: Stance, now: float, terms: LeaseTerms) -> Step:
    """Decide the next request, or until when to wait."""
    view = _forget_expired(view, now, terms)
    if now < view.request_at:
        return Step(None, view.request_at)
    if view.seen is None:
        return Step(LeaseRequest.READ, now)
    if view.renewed_at is not None:
        return _as_holder(view.renewed_at, stance, now, terms)
    return _as_standby(view, stance, now, terms)


def _forget_expired(view: LeaseView, now: float, terms: LeaseTerms) -> LeaseView:
    """Count the lease as not held once others may have acquired it."""
    is_expired = view.renewed_at is not None and now >= view.renewed_at + terms.duration_s
    return replace(view, renewed_at=None) if is_expired else view


def _as_holder(renewed_at: float, stance: Stance, now: float, terms: LeaseTerms) -> Step:
    if stance is Stance.RELEASE:
        return Step(LeaseRequest.RELEASE, now)
    due_at = renewed_at + terms.retry_period_s
    return Step(LeaseRequest.WRITE if now >= due_at else None, due_at)


def _as_standby(view: LeaseView, stance: Stance, now: float, terms: LeaseTerms) -> Step:
    if stance is Stance.CONTEND and now >= view.free_at:
        return Step(LeaseRequest.WRITE, now)
    if stance is Stance.RELEASE and _makes_others_wait(view, now, terms):
        return Step(LeaseRequest.RELEASE, now)
    read_at = view.heard_at + _read_after_s(view, now, terms)
    if now >= read_at:
        return Step(LeaseRequest.READ, now)
    return Step(None, min(read_at, view.free_at) if stance is Stance.CONTEND else read_at)


def _makes_others_wait(view: LeaseView, now: float, terms: LeaseTerms) -> bool:
    """Return whether others wait for a record of ours: from before a restart, or not released."""
    record = view.seen.record if view.seen else None
    return record is not None and terms.owns(record) and now < view.changed_at + record.duration_s


def _read_after_s(view: LeaseView, now: float, terms: LeaseTerms) -> float:
    """Return the time until the next read: a holder's lease is read about once per retry period."""
    is_renewed = bool(view.holder) and now < view.free_at
    return 1.25 * terms.retry_period_s + 0.25 if is_renewed else IDLE_READ_PERIOD_S


def next_record(
    view: LeaseView, terms: LeaseTerms, wall: str, marks: Marks | None = None
) -> LeaseRecord:
    """Return the record that acquires or renews; ``wall`` is the time to write.

    As in client-go, a new holder adds one transition and starts a new acquire time. After the
    largest number that the API accepts, the count starts again at 0, like a counter that is reset.
    The API would refuse a larger number, also from client-go.
    """
    old = view.seen.record if view.seen else None
    is_ours = old is not None and old.holder == terms.identity
    return LeaseRecord(
        holder=terms.identity,
        duration_s=terms.duration_s,
        acquire_time=(old.acquire_time if old and is_ours else "") or wall,
        renew_time=wall,
        transitions=0 if old is None else (old.transitions + (0 if is_ours else 1)) % (MOST + 1),
        incarnation=terms.incarnation,
        url=terms.url,
        marks=_newest_marks(view, marks),
    )


def _newest_marks(view: LeaseView, marks: Marks | None) -> tuple[tuple[str, int], ...]:
    """Return our marks and those of the last record: a mark stays true whoever wrote it.

    If there are too many, those of our own endpoints are kept: the record never loses the names of
    removed endpoints.
    """
    return fields.marks(
        merged_within_limit(marks or {}, dict(view.last.marks) if view.last else {})
    )


def release_record(
    view: LeaseView, terms: LeaseTerms, wall: str, marks: Marks | None = None
) -> LeaseRecord:
    """Return the record that releases, as client-go writes it, with our incarnation."""
    return LeaseRecord(
        holder="",
        duration_s=1.0,
        acquire_time=wall,
        renew_time=wall,
        transitions=view.last.transitions if view.last else 0,
        incarnation=terms.incarnation,
        marks=_newest_marks(view, marks),
    )
