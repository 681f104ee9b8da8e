"""The rules of a lease: who may hold it, from when, and which request comes next."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import pytest

from wrapper.election import lease_rules, lock_content
from wrapper.election.lease_fields import MOST
from wrapper.election.lease_rules import IDLE_READ_PERIOD_S, LeaseRequest, LeaseTerms, Step
from wrapper.model.gate import FAR_MS
from wrapper.model.lease import LeaseRecord, LeaseView, ObservedLease
from wrapper.model.roles import Stance

TERMS = LeaseTerms(
    identity="a",
    incarnation="a-1",
    duration_s=10.0,
    renew_deadline_s=8.0,
    retry_period_s=2.0,
    last_moment_s=9.2,
    url="http://a:9090",
)
OURS = LeaseRecord("a", 10.0, "t0", "t0", 3, "a-1", "http://a:9090")
OF_NAMESAKE = replace(OURS, incarnation="a-2")
UNSIGNED_OURS = replace(OURS, incarnation=None)
OTHERS = LeaseRecord("b", 15.0, "t0", "t0", 3, "b-1")
RENEWED = replace(OTHERS, renew_time="t1")
SIGNED_RELEASE = LeaseRecord("", 1.0, "t1", "t1", 3, "b-1")
RELEASE_WITHOUT_ACQUIRE_TIME = replace(SIGNED_RELEASE, incarnation=None, acquire_time="")
OWN_RELEASE = replace(SIGNED_RELEASE, incarnation="a-1")
UNSIGNED_RELEASE = replace(SIGNED_RELEASE, incarnation=None)
NEVER_HELD = LeaseRecord()


def held(renewed_at: float = 100.0, record: LeaseRecord = OURS) -> LeaseView:
    """Return the view of a holder whose last acknowledged renewal was sent at ``renewed_at``."""
    return lease_rules.on_written(LeaseView(), ObservedLease(record, "1"), renewed_at, renewed_at)


def saw(*records: LeaseRecord | None, at: float = 100.0, then: float = 105.0) -> LeaseView:
    """Return a view that has seen the first record at ``at``, and the others at ``then``."""
    view = LeaseView()
    for number, record in enumerate(records):
        view = lease_rules.on_observed(
            view, ObservedLease(record, str(number)), then if number else at, TERMS
        )
    return view


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(100.0, True, id="from the moment the renewal was sent"),
        pytest.param(107.9, True, id="until just before the renew deadline"),
        pytest.param(108.0, False, id="not at the renew deadline"),
    ],
)
def test_leads_until_the_renew_deadline(now: float, *, expected: bool) -> None:
    """A holder leads until the renew deadline after it has sent its last acknowledged renewal."""
    assert lease_rules.leads(held(), TERMS, now) is expected


def test_leadership_counts_from_when_the_renewal_was_sent() -> None:
    """If an answer takes 3 s, leadership is 3 s shorter; without a lease there is none."""
    view = lease_rules.on_written(LeaseView(), ObservedLease(OURS, "1"), sent_at=100.0, now=103.0)
    assert lease_rules.leads_until(view, TERMS) == 108.0
    assert lease_rules.leads_until(LeaseView(), TERMS) is None
    assert not lease_rules.leads(LeaseView(), TERMS, 0.0)


@pytest.mark.parametrize(
    ("view", "free_at"),
    [
        pytest.param(saw(None), 100.0, id="a lease that never existed is free"),
        pytest.param(saw(OTHERS), 115.0, id="another's lease is free after its own duration"),
        pytest.param(saw(OTHERS, OTHERS), 115.0, id="an unchanged lease keeps its expiry"),
        pytest.param(saw(OTHERS, RENEWED), 120.0, id="a renewal restarts the duration"),
        pytest.param(saw(OURS), 100.0, id="our own lease is free at once"),
        pytest.param(
            saw(OF_NAMESAKE),
            110.0,
            id="the lease of another pod with our name is free after its duration",
        ),
        pytest.param(saw(UNSIGNED_OURS), 110.0, id="also that of another program with our name"),
        pytest.param(saw(OTHERS, None), 120.0, id="a deleted lease may have been renewed before"),
        pytest.param(
            saw(OTHERS, None, None, then=105.0), 120.0, id="repeated absence is one change"
        ),
        pytest.param(saw(OURS, None), 105.0, id="our own deleted lease is free"),
        pytest.param(saw(OTHERS, SIGNED_RELEASE), 105.0, id="a signed release is free at once"),
        pytest.param(
            saw(OTHERS, UNSIGNED_RELEASE), 106.2, id="an unsigned release is free after a margin"
        ),
        pytest.param(
            saw(RELEASE_WITHOUT_ACQUIRE_TIME), 101.2, id="also one without an acquire time"
        ),
        pytest.param(saw(NEVER_HELD), 100.0, id="a record without any holder is free"),
        pytest.param(
            saw(SIGNED_RELEASE, None), 105.0, id="a released and then deleted lease is free"
        ),
    ],
)
def test_when_a_lease_is_free(view: LeaseView, free_at: float) -> None:
    """Each kind of record is free at its own time on the clock of this replica."""
    assert view.free_at == pytest.approx(free_at)


def test_deleted_lease_expires_after_its_first_absence() -> None:
    """A deleted lease expires from its first absence; the holder's return restarts the duration."""
    view = saw(OTHERS, None)
    again = lease_rules.on_observed(view, ObservedLease(None), 111.0, TERMS)
    assert again.free_at == 120.0
    assert lease_rules.on_observed(again, ObservedLease(RENEWED), 112.0, TERMS).free_at == 127.0


FOR_YEARS = replace(OTHERS, duration_s=float(MOST))


@pytest.mark.parametrize(
    ("view", "now", "expected"),
    [
        pytest.param(saw(FOR_YEARS), 130.0, True, id="no renewal for three of our durations"),
        pytest.param(saw(FOR_YEARS), 129.9, False, id="not before three of our durations"),
        pytest.param(
            saw(FOR_YEARS, replace(FOR_YEARS, renew_time="t1")), 130.0, False, id="a recent renewal"
        ),
        pytest.param(
            saw(FOR_YEARS, FOR_YEARS), 130.0, True, id="an unchanged record is no renewal"
        ),
        pytest.param(saw(FOR_YEARS, None), 135.0, True, id="deleting it is no renewal"),
        pytest.param(
            saw(replace(OTHERS, duration_s=60.0)), 130.0, False, id="the lease expires soon"
        ),
        pytest.param(
            saw(replace(OTHERS, duration_s=61.0)), 130.0, True, id="the lease expires late"
        ),
        pytest.param(saw(OTHERS), 130.0, False, id="the lease has expired"),
        pytest.param(saw(replace(OURS, duration_s=1e6)), 130.0, False, id="our own lease"),
        pytest.param(
            saw(replace(OF_NAMESAKE, duration_s=1e6)),
            130.0,
            True,
            id="the lease of another pod with our name",
        ),
        pytest.param(saw(replace(FOR_YEARS, holder="")), 130.0, False, id="a release"),
        pytest.param(held(), 1000.0, False, id="we hold the lease"),
        pytest.param(
            replace(saw(FOR_YEARS), problem="no answer"),
            130.0,
            False,
            id="an unreachable lease may have been renewed",
        ),
    ],
)
def test_when_a_holder_is_overdue(view: LeaseView, now: float, *, expected: bool) -> None:
    """A holder is overdue if it has long not renewed, and its lease stays valid for long."""
    assert lease_rules.is_overdue(view, TERMS, now) is expected


@pytest.mark.parametrize(
    ("record", "is_lost"),
    [
        pytest.param(
            replace(OURS, renew_time="t1"), False, id="our own renewal whose reply was lost"
        ),
        pytest.param(OTHERS, True, id="another holds it"),
        pytest.param(OF_NAMESAKE, True, id="another pod with our name holds it"),
        pytest.param(SIGNED_RELEASE, True, id="nobody holds it"),
        pytest.param(None, False, id="a deleted lease has no other holder"),
    ],
)
def test_when_a_holder_has_lost_the_lease(record: LeaseRecord | None, *, is_lost: bool) -> None:
    """A holder that sees the record of another holder, or a release, has lost the lease."""
    view = lease_rules.on_observed(held(), ObservedLease(record, "2"), 101.0, TERMS)
    assert (view.renewed_at is None) is is_lost


def test_expired_lease_is_no_longer_held() -> None:
    """If our own lease has expired, it is no longer held: others may have acquired it."""
    view = lease_rules.on_observed(held(), ObservedLease(OURS, "1"), 110.0, TERMS)
    assert view.renewed_at is None
    assert (
        lease_rules.on_observed(held(), ObservedLease(OURS, "1"), 109.9, TERMS).renewed_at == 100.0
    )


def test_release_with_a_lost_reply_is_recognised() -> None:
    """Our own signed release, when read, counts as released from then on."""
    view = lease_rules.on_observed(held(), ObservedLease(OWN_RELEASE, "2"), 101.0, TERMS)
    assert (view.renewed_at, view.released_at) == (None, 101.0)
    assert (
        lease_rules.on_observed(
            held(), ObservedLease(SIGNED_RELEASE, "2"), 101.0, TERMS
        ).released_at
        is None
    )
    assert saw(OURS).released_at is None, "from before a restart, and not released"


def test_acknowledged_release_ends_holding() -> None:
    """After an acknowledged release, nothing is held, and others may acquire the lease at once."""
    view = lease_rules.on_written(held(), ObservedLease(OWN_RELEASE, "2"), sent_at=103.0, now=104.0)
    assert (view.renewed_at, view.released_at, view.holder) == (None, 104.0, "")
    assert (view.changed_at, view.free_at) == (104.0, 104.0)


def test_unknown_change_leads_to_a_read_at_once() -> None:
    """When the watch reports a change without the record, the lease is read at once."""
    view = lease_rules.on_unknown_change(saw(OTHERS))
    step = lease_rules.next_step(view, Stance.CONTEND, 101.0, TERMS)
    assert step == Step(LeaseRequest.READ, 101.0)


def test_conflict_leads_to_a_read_at_once() -> None:
    """After a conflict, the lease is read again at once; the known holder stays known."""
    view = lease_rules.on_conflict(saw(OTHERS), 100.0, TERMS)
    assert lease_rules.next_step(view, Stance.CONTEND, 101.0, TERMS) == Step(
        LeaseRequest.READ, 101.0
    )
    assert view.holder == "b"


@pytest.mark.parametrize(
    ("view", "stance", "now", "step"),
    [
        pytest.param(
            LeaseView(),
            Stance.RELEASE,
            1.0,
            Step(LeaseRequest.READ, 1.0),
            id="the first request is a read",
        ),
        pytest.param(
            LeaseView(request_at=5.0),
            Stance.CONTEND,
            1.0,
            Step(None, 5.0),
            id="a pause is respected",
        ),
        pytest.param(
            saw(None),
            Stance.CONTEND,
            100.0,
            Step(LeaseRequest.WRITE, 100.0),
            id="a free lease is acquired",
        ),
        pytest.param(
            saw(OTHERS),
            Stance.CONTEND,
            112.0,
            Step(LeaseRequest.READ, 112.0),
            id="a lease whose watch is silent is read",
        ),
        pytest.param(
            saw(OTHERS), Stance.CONTEND, 101.0, Step(None, 102.75), id="a held lease is watched"
        ),
        pytest.param(
            saw(OTHERS, OTHERS, then=114.0),
            Stance.CONTEND,
            114.1,
            Step(None, 115.0),
            id="a standby wakes at the expiry",
        ),
        pytest.param(
            saw(OTHERS),
            Stance.CONTEND,
            115.0,
            Step(LeaseRequest.WRITE, 115.0),
            id="an expired lease is acquired",
        ),
        pytest.param(
            saw(None),
            Stance.HOLD,
            101.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="with the stance hold, no lease is acquired",
        ),
        pytest.param(
            saw(SIGNED_RELEASE),
            Stance.RELEASE,
            101.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="with the stance release, it reads once a minute",
        ),
        pytest.param(
            held(),
            Stance.CONTEND,
            101.0,
            Step(None, 102.0),
            id="a holder waits until the retry period",
        ),
        pytest.param(
            saw(OURS),
            Stance.RELEASE,
            109.9,
            Step(LeaseRequest.RELEASE, 109.9),
            id="our own lease from before a restart is released",
        ),
        pytest.param(
            saw(OURS),
            Stance.RELEASE,
            110.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="our own lease is not released after it has expired",
        ),
        pytest.param(
            saw(OF_NAMESAKE),
            Stance.RELEASE,
            101.0,
            Step(None, 102.75),
            id="the lease of another pod with our name is not released",
        ),
        pytest.param(
            saw(OURS),
            Stance.HOLD,
            101.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="our own lease is not released while we may still write",
        ),
        pytest.param(
            held(), Stance.CONTEND, 102.5, Step(LeaseRequest.WRITE, 102.0), id="a holder renews"
        ),
        pytest.param(
            held(),
            Stance.HOLD,
            108.5,
            Step(LeaseRequest.WRITE, 102.0),
            id="a holder renews past its renew deadline while it demotes",
        ),
        pytest.param(
            held(),
            Stance.RELEASE,
            100.1,
            Step(LeaseRequest.RELEASE, 100.1),
            id="a holder releases",
        ),
        pytest.param(
            held(),
            Stance.RELEASE,
            110.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="an expired lease is not released: others may have acquired it",
        ),
        pytest.param(
            held(),
            Stance.HOLD,
            110.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="with the stance hold, an expired lease is not renewed",
        ),
    ],
)
def test_next_request(view: LeaseView, stance: Stance, now: float, step: Step) -> None:
    """Each view and stance leads to this request, or to a time for the next look."""
    assert lease_rules.next_step(view, stance, now, TERMS) == step


def failures(view: LeaseView, count: int, now: float, retry_after_s: float = 0.0) -> LeaseView:
    """Return the view after this number of failed requests, all at one time."""
    for _ in range(count):
        view = lease_rules.on_failure(view, "no answer", now, TERMS, retry_after_s)
    return view


@pytest.mark.parametrize(
    ("view", "delay_s"),
    [
        pytest.param(failures(LeaseView(), 1, 100.0), 0.1, id="the first pause is short"),
        pytest.param(failures(LeaseView(), 4, 100.0), 0.8, id="the pauses double"),
        pytest.param(
            failures(LeaseView(), 40, 100.0), 2.0, id="the pauses end at the retry period"
        ),
        pytest.param(
            failures(LeaseView(), 1, 100.0, 5.0), 5.0, id="the server's Retry-After counts"
        ),
        pytest.param(failures(LeaseView(), 1, 100.0, 3600.0), 8.0, id="Retry-After is bounded"),
        pytest.param(
            failures(held(98.0), 1, 100.0, 60.0),
            4.0,
            id="a holder retries before its renew deadline",
        ),
        pytest.param(
            failures(held(92.5), 1, 100.0, 60.0),
            0.1,
            id="a holder retries soon before a near deadline",
        ),
        pytest.param(
            failures(held(90.0), 1, 100.0, 5.0), 5.0, id="after its deadline, a holder waits"
        ),
    ],
)
def test_pause_after_a_failure(view: LeaseView, delay_s: float) -> None:
    """A failed request is retried after a growing pause, within a holder's renew deadline."""
    assert view.request_at == pytest.approx(100.0 + delay_s)
    assert (view.seen, view.problem) == (None, "no answer")


def test_answer_resets_the_failures() -> None:
    """An answer resets the pause, and ends the problem."""
    view = lease_rules.on_observed(
        failures(LeaseView(), 5, 100.0), ObservedLease(OTHERS), 101.0, TERMS
    )
    assert (view.failures, view.problem) == (0, "")


def unwritable(*, count: int = 3) -> LeaseView:
    """Return a view whose writes fail, although its reads are answered."""
    view = saw(OURS)
    for _ in range(count):
        view = lease_rules.on_failure(view, "may not update", 100.0, TERMS, is_write=True)
        view = lease_rules.on_observed(view, ObservedLease(OURS, "1"), 100.0, TERMS)
    return view


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        pytest.param(OURS, "may not update", id="a successful read does not end a failed write"),
        pytest.param(
            replace(OURS, renew_time="t9"),
            "may not update",
            id="our own write without an answer does not end it",
        ),
        pytest.param(OTHERS, "", id="another's write ends it"),
    ],
)
def test_failed_write_is_remembered(seen: LeaseRecord, problem: str) -> None:
    """The problem of a failed write stays, and its pause grows, until a write is acknowledged."""
    view = lease_rules.on_observed(unwritable(), ObservedLease(seen, "2"), 100.0, TERMS)
    assert (view.problem, view.failures) == (problem, 3 if problem else 0)
    assert not view.needs_restart
    assert view.is_unwritable is bool(problem)
    assert view.request_at == pytest.approx(100.4)
    written = lease_rules.on_written(view, ObservedLease(OURS, "3"), 101.0, 101.0)
    assert (written.failures, written.problem) == (0, "")


def test_failed_read_does_not_end_a_failed_write() -> None:
    """If a read fails after failed writes, and then succeeds, the count of failures stays."""
    view = lease_rules.on_failure(unwritable(), "no answer", 100.0, TERMS)
    view = lease_rules.on_observed(view, ObservedLease(OURS, "1"), 101.0, TERMS)
    assert view.failures == 4


def test_needed_restart_is_shown_as_long_as_the_problem() -> None:
    """A read ends the problem of a read; only a write, ours or another's, ends that of a write."""
    for is_write in (False, True):
        view = lease_rules.on_failure(
            saw(OTHERS), "removed", 105.0, TERMS, is_write=is_write, needs_restart=True
        )
        assert view.needs_restart
        assert (
            lease_rules.on_observed(view, ObservedLease(OTHERS, "1"), 106.0, TERMS).needs_restart
            is is_write
        )
        assert not lease_rules.on_observed(
            view, ObservedLease(RENEWED, "2"), 106.0, TERMS
        ).needs_restart
        assert not lease_rules.on_written(
            view, ObservedLease(OURS, "2"), 106.0, 107.0
        ).needs_restart
        assert not lease_rules.on_failure(view, "no answer", 106.0, TERMS).needs_restart


def test_repeated_conflicts_are_delayed() -> None:
    """The first conflict on an unchanged lease is read again at once, the next ones ever later."""
    view, pauses_s = saw(OURS), []
    for _ in range(4):
        view = lease_rules.on_conflict(view, 100.0, TERMS)
        pauses_s.append(max(view.request_at - 100.0, 0.0))
        view = lease_rules.on_observed(view, ObservedLease(OURS, "1"), 100.0, TERMS)
    assert pauses_s == pytest.approx([0.0, 0.1, 0.2, 0.4])
    view = lease_rules.on_written(view, ObservedLease(OURS, "2"), 101.0, 101.0)
    again = lease_rules.on_conflict(view, 102.0, TERMS)
    assert again.request_at <= 102.0, "an acknowledged write ends the delay"


@pytest.mark.parametrize(
    ("view", "transitions", "acquire_time"),
    [
        pytest.param(saw(None), 0, "now", id="the first holder has 0 transitions"),
        pytest.param(saw(OTHERS), 4, "now", id="a new holder adds one"),
        pytest.param(saw(SIGNED_RELEASE), 4, "now", id="also after a release"),
        pytest.param(saw(OURS), 3, "t0", id="a renewal keeps both"),
        pytest.param(
            saw(OF_NAMESAKE), 3, "t0", id="the same name counts as the same holder, as in client-go"
        ),
        pytest.param(saw(replace(OURS, acquire_time="")), 3, "now", id="a missing time is set"),
        pytest.param(
            saw(replace(OTHERS, transitions=MOST)),
            0,
            "now",
            id="beyond the largest value, the count restarts",
        ),
        pytest.param(
            saw(replace(OURS, transitions=MOST)), MOST, "t0", id="a renewal keeps the largest value"
        ),
    ],
)
def test_record_to_write(view: LeaseView, transitions: int, acquire_time: str) -> None:
    """Transitions and acquire time are set as in client-go, and the record is signed."""
    assert lease_rules.next_record(view, TERMS, "now") == LeaseRecord(
        "a", 10.0, acquire_time, "now", transitions, "a-1", "http://a:9090"
    )


def test_record_of_a_release() -> None:
    """As in client-go: no holder, one second, the current time, transitions kept; but signed."""
    record = lease_rules.release_record(held(), TERMS, "now")
    assert record == LeaseRecord("", 1.0, "now", "now", 3, "a-1")
    assert lease_rules.release_record(LeaseView(), TERMS, "now").transitions == 0


def test_marks_are_the_newest_of_ours_and_of_the_last_record() -> None:
    """The newest marks are kept, also another holder's, unless its clock is far ahead."""
    ahead = 9 + FAR_MS
    view = saw(replace(OTHERS, marks=(("a", 5), ("b", 7), ("d", ahead))))
    marks = (("a", 6), ("b", 7), ("c", 1), ("d", 8))
    for make in (lease_rules.next_record, lease_rules.release_record):
        assert make(view, TERMS, "now", {"a": 6, "b": 3, "c": 1, "d": 8}).marks == marks
        assert make(view, TERMS, "now").marks == view.last.marks  # type: ignore[union-attr]


def test_own_marks_stay_if_there_are_too_many() -> None:
    """Of too many marks, our own stay, and the record can still be read from a lock file.

    Names that were used once would otherwise stay in the record for ever.
    """
    old = tuple((f"{number:08x}", 5) for number in range(64))
    view = saw(replace(OTHERS, marks=old))
    for make in (lease_rules.next_record, lease_rules.release_record):
        found = dict(make(view, TERMS, "now", {"store": 6}).marks)
        assert (len(found), found["store"]) == (64, 6)
        long = {f"{number}{'x' * 300}": 6 for number in range(64)}
        record = make(view, TERMS, "now", {"store": 7, **long})
        assert ("store", 7) in record.marks
        with tempfile.TemporaryFile() as file:
            put = lock_content.put(file.fileno(), record)
            assert lock_content.content_of(file.fileno()) == put


def test_margin_is_the_time_to_demote() -> None:
    """The margin is the time between the renew deadline and the last moment."""
    assert TERMS.margin_s == pytest.approx(1.2)


def test_own_record_confirms_an_unanswered_write() -> None:
    """If our own record is read, a write without an answer counts from when it was sent.

    The problem of the missing answer stays.
    """
    record = lease_rules.next_record(saw(None), TERMS, "2026-01-02T03:04:05.000000Z")
    unanswered = lease_rules.on_failure(
        lease_rules.on_send(saw(None), record, 101.0), "no answer", 102.0, TERMS, is_write=True
    )
    found = lease_rules.on_observed(unanswered, ObservedLease(record, "9"), 103.0, TERMS)
    assert found.renewed_at == 101.0
    assert found.problem == "no answer"
    without_url = ObservedLease(replace(record, url=None), "9")
    kept = lease_rules.on_observed(unanswered, without_url, 103.0, TERMS)
    assert kept.renewed_at == 101.0, "not every lock stores the URL"
    another = replace(record, renew_time="2026-01-02T03:04:06.000000Z")
    assert (
        lease_rules.on_observed(unanswered, ObservedLease(another, "9"), 103.0, TERMS).renewed_at
        is None
    )


def test_release_in_flight_ends_holding() -> None:
    """As soon as a release is sent, the lease is no longer held, whatever the answer."""
    record = lease_rules.release_record(held(), TERMS, "2026-01-02T03:04:05.000000Z")
    assert lease_rules.on_send(held(), record, 101.0).renewed_at is None


def test_renewal_in_flight_changes_nothing() -> None:
    """While a renewal is in flight, the lease is held since the last acknowledged one."""
    record = lease_rules.next_record(held(), TERMS, "2026-01-02T03:04:05.000000Z")
    assert lease_rules.on_send(held(), record, 101.0).renewed_at == 100.0
