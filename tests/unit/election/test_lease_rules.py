"""The rules of a lease: who may hold it, from when, and what is asked next."""

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
    """Return the view of a holder whose last acknowledged renewal was sent then."""
    return lease_rules.on_written(LeaseView(), ObservedLease(record, "1"), renewed_at, renewed_at)


def saw(*records: LeaseRecord | None, at: float = 100.0, then: float = 105.0) -> LeaseView:
    """Return the view of one who saw the first record ``at`` and the others ``then``."""
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
    """Leadership is computed from when the last good renewal was sent."""
    assert lease_rules.leads(held(), TERMS, now) is expected


def test_leadership_counts_from_the_sending() -> None:
    """A reply that took 3 s gives 3 s less, and a view without a lease never leads."""
    view = lease_rules.on_written(LeaseView(), ObservedLease(OURS, "1"), sent_at=100.0, now=103.0)
    assert lease_rules.leads_until(view, TERMS) == 108.0
    assert lease_rules.leads_until(LeaseView(), TERMS) is None
    assert not lease_rules.leads(LeaseView(), TERMS, 0.0)


@pytest.mark.parametrize(
    ("view", "free_at"),
    [
        pytest.param(saw(None), 100.0, id="a lease that was never there is free"),
        pytest.param(saw(OTHERS), 115.0, id="another's is waited out for its own duration"),
        pytest.param(saw(OTHERS, OTHERS), 115.0, id="seen again unchanged it runs on"),
        pytest.param(saw(OTHERS, RENEWED), 120.0, id="a renewal starts its time anew"),
        pytest.param(saw(OURS), 100.0, id="our own is taken back at once"),
        pytest.param(saw(OF_NAMESAKE), 110.0, id="that of another pod of our name is waited out"),
        pytest.param(saw(UNSIGNED_OURS), 110.0, id="that of a foreign program of our name too"),
        pytest.param(saw(OTHERS, None), 120.0, id="a deleted lease may have been renewed unseen"),
        pytest.param(saw(OTHERS, None, None, then=105.0), 120.0, id="deleted is one change"),
        pytest.param(saw(OURS, None), 105.0, id="our own deleted lease is free"),
        pytest.param(saw(OTHERS, SIGNED_RELEASE), 105.0, id="a signed release is free at once"),
        pytest.param(saw(OTHERS, UNSIGNED_RELEASE), 106.2, id="an unsigned one after a margin"),
        pytest.param(saw(RELEASE_WITHOUT_ACQUIRE_TIME), 101.2, id="also without an acquire time"),
        pytest.param(saw(NEVER_HELD), 100.0, id="a record that nobody ever held is free"),
        pytest.param(saw(SIGNED_RELEASE, None), 105.0, id="a released and deleted one is free"),
    ],
)
def test_when_a_lease_counts_as_expired(view: LeaseView, free_at: float) -> None:
    """Each kind of record is free at its time on our own clock."""
    assert view.free_at == pytest.approx(free_at)


def test_a_deleted_lease_is_waited_out_from_its_first_absence() -> None:
    """Looking again does not put the moment off; the holder's return does."""
    view = saw(OTHERS, None)
    again = lease_rules.on_observed(view, ObservedLease(None), 111.0, TERMS)
    assert again.free_at == 120.0
    assert lease_rules.on_observed(again, ObservedLease(RENEWED), 112.0, TERMS).free_at == 127.0


FOR_YEARS = replace(OTHERS, duration_s=float(MOST))


@pytest.mark.parametrize(
    ("view", "now", "expected"),
    [
        pytest.param(saw(FOR_YEARS), 130.0, True, id="nothing for three of our durations"),
        pytest.param(saw(FOR_YEARS), 129.9, False, id="not earlier"),
        pytest.param(saw(FOR_YEARS, replace(FOR_YEARS, renew_time="t1")), 130.0, False, id="heard"),
        pytest.param(saw(FOR_YEARS, None), 135.0, True, id="nor is deleting it a renewal"),
        pytest.param(saw(replace(OTHERS, duration_s=60.0)), 130.0, False, id="it ends soon"),
        pytest.param(saw(replace(OTHERS, duration_s=61.0)), 130.0, True, id="it does not"),
        pytest.param(saw(OTHERS), 130.0, False, id="it has run out"),
        pytest.param(saw(replace(OURS, duration_s=1e6)), 130.0, False, id="our own"),
        pytest.param(saw(replace(OF_NAMESAKE, duration_s=1e6)), 130.0, True, id="a namesake's"),
        pytest.param(saw(replace(FOR_YEARS, holder="")), 130.0, False, id="a release"),
        pytest.param(held(), 1000.0, False, id="we hold it"),
        pytest.param(
            replace(saw(FOR_YEARS), problem="no answer"), 130.0, False, id="it may have renewed"
        ),
    ],
)
def test_when_a_holder_is_overdue(view: LeaseView, now: float, *, expected: bool) -> None:
    """A holder is, that has not renewed for long and keeps all others out for as long again."""
    assert lease_rules.is_overdue(view, TERMS, now) is expected


@pytest.mark.parametrize(
    ("record", "is_lost"),
    [
        pytest.param(replace(OURS, renew_time="t1"), False, id="our own renewal, its reply lost"),
        pytest.param(OTHERS, True, id="another holds it"),
        pytest.param(OF_NAMESAKE, True, id="another pod of our name holds it"),
        pytest.param(SIGNED_RELEASE, True, id="nobody holds it"),
        pytest.param(None, False, id="it was deleted, which gives it to nobody"),
    ],
)
def test_when_a_holder_has_lost_the_lease(record: LeaseRecord | None, *, is_lost: bool) -> None:
    """A holder that sees someone else's record, or nobody's, holds no more."""
    view = lease_rules.on_observed(held(), ObservedLease(record, "2"), 101.0, TERMS)
    assert (view.renewed_at is None) is is_lost


def test_a_lease_that_ran_out_unseen_is_not_held_any_more() -> None:
    """Others may have taken it: it is contended for as any other."""
    view = lease_rules.on_observed(held(), ObservedLease(OURS, "1"), 110.0, TERMS)
    assert view.renewed_at is None
    assert (
        lease_rules.on_observed(held(), ObservedLease(OURS, "1"), 109.9, TERMS).renewed_at == 100.0
    )


def test_a_release_whose_reply_was_lost_is_recognised() -> None:
    """Our own signed release, seen by reading, counts as released from then on."""
    view = lease_rules.on_observed(held(), ObservedLease(OWN_RELEASE, "2"), 101.0, TERMS)
    assert (view.renewed_at, view.released_at) == (None, 101.0)
    assert (
        lease_rules.on_observed(
            held(), ObservedLease(SIGNED_RELEASE, "2"), 101.0, TERMS
        ).released_at
        is None
    )


def test_an_acknowledged_release_ends_holding() -> None:
    """Nothing is held after it, and others may take it at once."""
    view = lease_rules.on_written(held(), ObservedLease(OWN_RELEASE, "2"), sent_at=103.0, now=104.0)
    assert (view.renewed_at, view.released_at, view.holder) == (None, 104.0, "")


def test_a_conflict_is_read_again_at_once() -> None:
    """What was seen is out of date; what is known of the holder stays."""
    view = lease_rules.on_conflict(saw(OTHERS), 100.0, TERMS)
    assert lease_rules.next_step(view, Stance.CONTEND, 101.0, TERMS) == Step(
        LeaseRequest.READ, 101.0
    )
    assert view.holder == "b"


@pytest.mark.parametrize(
    ("view", "stance", "now", "step"),
    [
        pytest.param(
            LeaseView(), Stance.RELEASE, 1.0, Step(LeaseRequest.READ, 1.0), id="first of all, look"
        ),
        pytest.param(
            LeaseView(request_at=5.0), Stance.CONTEND, 1.0, Step(None, 5.0), id="a pause is kept"
        ),
        pytest.param(
            saw(None),
            Stance.CONTEND,
            100.0,
            Step(LeaseRequest.WRITE, 100.0),
            id="a free one is taken",
        ),
        pytest.param(
            saw(OTHERS),
            Stance.CONTEND,
            112.0,
            Step(LeaseRequest.READ, 112.0),
            id="a silent watch is not trusted",
        ),
        pytest.param(
            saw(OTHERS), Stance.CONTEND, 101.0, Step(None, 102.75), id="a held one is watched"
        ),
        pytest.param(
            saw(OTHERS, OTHERS, then=114.0),
            Stance.CONTEND,
            114.1,
            Step(None, 115.0),
            id="a standby wakes at the expiry itself",
        ),
        pytest.param(
            saw(OTHERS),
            Stance.CONTEND,
            115.0,
            Step(LeaseRequest.WRITE, 115.0),
            id="an expired one is taken",
        ),
        pytest.param(
            saw(None),
            Stance.HOLD,
            101.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="who may only hold takes none",
        ),
        pytest.param(
            saw(SIGNED_RELEASE),
            Stance.RELEASE,
            101.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="who looks on asks once a minute",
        ),
        pytest.param(held(), Stance.CONTEND, 101.0, Step(None, 102.0), id="a holder waits"),
        pytest.param(
            held(), Stance.CONTEND, 102.5, Step(LeaseRequest.WRITE, 102.0), id="a holder renews"
        ),
        pytest.param(
            held(),
            Stance.HOLD,
            108.5,
            Step(LeaseRequest.WRITE, 102.0),
            id="also past its deadline, while it demotes",
        ),
        pytest.param(
            held(),
            Stance.RELEASE,
            100.1,
            Step(LeaseRequest.RELEASE, 100.1),
            id="a holder gives back",
        ),
        pytest.param(
            held(),
            Stance.RELEASE,
            110.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="but not what others may have taken",
        ),
        pytest.param(
            held(),
            Stance.HOLD,
            110.0,
            Step(None, 100.0 + IDLE_READ_PERIOD_S),
            id="nor is an expired lease renewed by who may only hold",
        ),
    ],
)
def test_the_next_step(view: LeaseView, stance: Stance, now: float, step: Step) -> None:
    """Each situation has its request, or its moment to look again."""
    assert lease_rules.next_step(view, stance, now, TERMS) == step


def failures(view: LeaseView, count: int, now: float, retry_after_s: float = 0.0) -> LeaseView:
    """Return the view after so many failed requests, all at one time."""
    for _ in range(count):
        view = lease_rules.on_failure(view, "no answer", now, TERMS, retry_after_s)
    return view


@pytest.mark.parametrize(
    ("view", "delay_s"),
    [
        pytest.param(failures(LeaseView(), 1, 100.0), 0.1, id="the first is soon"),
        pytest.param(failures(LeaseView(), 4, 100.0), 0.8, id="they double"),
        pytest.param(failures(LeaseView(), 40, 100.0), 2.0, id="up to the retry period"),
        pytest.param(failures(LeaseView(), 1, 100.0, 5.0), 5.0, id="as the server asks"),
        pytest.param(failures(LeaseView(), 1, 100.0, 3600.0), 8.0, id="but not for ever"),
        pytest.param(
            failures(held(98.0), 1, 100.0, 60.0), 4.0, id="a holder asks before its deadline"
        ),
        pytest.param(failures(held(92.5), 1, 100.0, 60.0), 0.1, id="and soon, when that is near"),
        pytest.param(failures(held(90.0), 1, 100.0, 5.0), 5.0, id="past it there is no hurry"),
    ],
)
def test_the_pause_after_a_failure(view: LeaseView, delay_s: float) -> None:
    """A failed request is repeated after a growing pause, within a holder's deadline."""
    assert view.request_at == pytest.approx(100.0 + delay_s)
    assert (view.seen, view.problem) == (None, "no answer")


def test_an_answer_ends_the_failures() -> None:
    """The pause starts from the beginning, and there is no problem to report any more."""
    view = lease_rules.on_observed(
        failures(LeaseView(), 5, 100.0), ObservedLease(OTHERS), 101.0, TERMS
    )
    assert (view.failures, view.problem) == (0, "")


def unwritable(*, count: int = 3) -> LeaseView:
    """Return the view of one whose writes fail though its reads are answered."""
    view = saw(OURS)
    for _ in range(count):
        view = lease_rules.on_failure(view, "may not update", 100.0, TERMS, is_write=True)
        view = lease_rules.on_observed(view, ObservedLease(OURS, "1"), 100.0, TERMS)
    return view


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        pytest.param(OURS, "may not update", id="being able to read it mends no write"),
        pytest.param(replace(OURS, renew_time="t9"), "may not update", id="nor a write unanswered"),
        pytest.param(OTHERS, "", id="another's write says that there is nothing to write for us"),
    ],
)
def test_a_write_that_fails_is_remembered(seen: LeaseRecord, problem: str) -> None:
    """Its problem is said once and its pause goes on growing, until a write is acknowledged."""
    view = lease_rules.on_observed(unwritable(), ObservedLease(seen, "2"), 100.0, TERMS)
    assert (view.problem, view.failures) == (problem, 3 if problem else 0)
    assert view.request_at == pytest.approx(100.4)
    assert lease_rules.on_written(view, ObservedLease(OURS, "3"), 101.0, 101.0).failures == 0


def test_what_needs_a_restart_is_known_for_as_long_as_the_problem() -> None:
    """A read mends a read; of a write only a write does, or another's."""
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


def test_conflicts_about_an_unchanged_lease_are_put_off() -> None:
    """The first is read again at once; one after the other, ever later."""
    view, pauses_s = saw(OURS), []
    for _ in range(4):
        view = lease_rules.on_conflict(view, 100.0, TERMS)
        pauses_s.append(max(view.request_at - 100.0, 0.0))
        view = lease_rules.on_observed(view, ObservedLease(OURS, "1"), 100.0, TERMS)
    assert pauses_s == pytest.approx([0.0, 0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("view", "transitions", "acquire_time"),
    [
        pytest.param(saw(None), 0, "now", id="the first holder counts none"),
        pytest.param(saw(OTHERS), 4, "now", id="a new holder counts one more"),
        pytest.param(saw(SIGNED_RELEASE), 4, "now", id="also after a release"),
        pytest.param(saw(OURS), 3, "t0", id="a renewal keeps both"),
        pytest.param(saw(OF_NAMESAKE), 3, "t0", id="the name decides, as for client-go"),
        pytest.param(saw(replace(OURS, acquire_time="")), 3, "now", id="a missing time is set"),
        pytest.param(saw(replace(OTHERS, transitions=MOST)), 0, "now", id="the API takes no more"),
        pytest.param(saw(replace(OURS, transitions=MOST)), MOST, "t0", id="but the most is kept"),
    ],
)
def test_the_record_to_write(view: LeaseView, transitions: int, acquire_time: str) -> None:
    """Transitions and acquire time are counted as client-go does, and the record is signed."""
    assert lease_rules.next_record(view, TERMS, "now") == LeaseRecord(
        "a", 10.0, acquire_time, "now", transitions, "a-1", "http://a:9090"
    )


def test_the_record_that_releases() -> None:
    """As client-go's: no holder, one second, times now, the transitions kept; and signed."""
    record = lease_rules.release_record(held(), TERMS, "now")
    assert record == LeaseRecord("", 1.0, "now", "now", 3, "a-1")
    assert lease_rules.release_record(LeaseView(), TERMS, "now").transitions == 0


def test_marks_are_the_newest_of_ours_and_the_last_record() -> None:
    """Also what another holder wrote: a mark stays true, unless its clock was far ahead."""
    ahead = 9 + FAR_MS
    view = saw(replace(OTHERS, marks=(("a", 5), ("b", 7), ("d", ahead))))
    marks = (("a", 6), ("b", 7), ("c", 1), ("d", 8))
    for make in (lease_rules.next_record, lease_rules.release_record):
        assert make(view, TERMS, "now", {"a": 6, "b": 3, "c": 1, "d": 8}).marks == marks
        assert make(view, TERMS, "now").marks == view.last.marks  # type: ignore[union-attr]


def test_our_own_marks_stay_where_there_are_too_many() -> None:
    """Names that were used once are in the record for ever; and it has to be read again."""
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


def test_the_margin_is_what_is_left_to_demote() -> None:
    """It is the time between the renew deadline and the last moment."""
    assert TERMS.margin_s == pytest.approx(1.2)


def test_our_record_seen_is_as_good_as_its_answer() -> None:
    """A write whose answer was lost holds from when it was sent; the problem stays said."""
    record = lease_rules.next_record(saw(None), TERMS, "2026-01-02T03:04:05.000000Z")
    unanswered = lease_rules.on_failure(
        lease_rules.on_send(saw(None), record, 101.0), "no answer", 102.0, TERMS, is_write=True
    )
    found = lease_rules.on_observed(unanswered, ObservedLease(record, "9"), 103.0, TERMS)
    assert found.renewed_at == 101.0
    assert found.problem == "no answer"
    another = replace(record, renew_time="2026-01-02T03:04:06.000000Z")
    assert (
        lease_rules.on_observed(unanswered, ObservedLease(another, "9"), 103.0, TERMS).renewed_at
        is None
    )


def test_a_release_on_its_way_ends_what_is_held() -> None:
    """From before it is sent the lease counts as given back, whether an answer comes or not."""
    record = lease_rules.release_record(held(), TERMS, "2026-01-02T03:04:05.000000Z")
    assert lease_rules.on_send(held(), record, 101.0).renewed_at is None
