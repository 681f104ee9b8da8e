"""Who led when, each change once, with a sentence that says why; and no more than fits."""

from __future__ import annotations

from wrapper.model import (
    LONGEST_HISTORY_S,
    Cause,
    LeaseRecord,
    LeaseView,
    Rendering,
    Renderings,
    Role,
    Stance,
)
from wrapper.supervision import confirm
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.history import LONGEST_REASON, MOST, History
from wrapper.supervision.lease_state import LeaseState
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan

RENDERING = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
RENDERINGS = Renderings(RENDERING, RENDERING)


def told(history: History, leader: str, holder: str, reason: str = "", wall: float = 1.0) -> str:
    """Look, with this holder in the lease's record; return the last reason."""
    return seen(history, leader, LeaseRecord(holder, duration_s=15.0), reason=reason, wall=wall)


def seen(
    history: History,
    leader: str | None,
    record: LeaseRecord | None,
    problem: str = "",
    *,
    reason: str = "",
    wall: float = 1.0,
) -> str:
    """Look at this record, or past it; return the last reason."""
    view = LeaseView(last=record, problem=problem)
    known = ConfigurationState(RENDERINGS, confirm.started_with(RENDERING, 0.0))
    o = Observation(known, 0.0, lease=LeaseState(view))
    plan = Plan(Role.FOLLOWER, Stance.CONTEND, (), reason, Cause.LOST, 0.0)
    history.looked(leader, plan, o, wall)
    return history.entries[-1].reason if history.entries else ""


def test_a_hand_over_from_here_to_another_is_told_with_our_reason() -> None:
    """The next leader's entry repeats why there was nobody."""
    history = History("a")
    assert told(history, "a", "a") == "a was the first seen to hold the lease"
    assert told(history, "", "", "asked to step down") == "a stopped leading: asked to step down"
    assert told(history, "b", "b") == "b acquired the lease: a stopped leading: asked to step down"
    assert [(e.leader, e.previous) for e in history.entries] == [("a", ""), ("", "a"), ("b", "")]


def test_how_another_ended_is_told_as_seen_from_here() -> None:
    """A release looks other than a lease that ran out."""
    released, expired = History("a"), History("a")
    for history in (released, expired):
        told(history, "b", "b")
    assert told(released, "", "") == "b gave the lease back"
    assert told(expired, "", "b") == "b did not renew the lease for 15 s"
    assert told(expired, "a", "a") == "a acquired the lease: b did not renew the lease for 15 s"


def test_a_change_between_two_looks_is_told_too() -> None:
    """From one to another, nobody seen in between."""
    history = History("a")
    told(history, "b", "b")
    assert told(history, "c", "c") == "c took the lease over from b"


B = LeaseRecord("b", duration_s=15.0, acquire_time="T1")
C = LeaseRecord("c", duration_s=15.0, acquire_time="T2")


def cut_off(history: History) -> str:
    """See b lead, and then nothing more."""
    seen(history, "b", B)
    return seen(history, None, B, "no answer")


def test_a_lease_out_of_reach_says_nothing_of_its_holder() -> None:
    """It may have renewed it all the time: if so, it leads still, and has acquired nothing."""
    history = History("a")
    told = "it is not known whether b still leads: the lease is out of reach: no answer"
    assert cut_off(history) == told
    assert seen(history, "b", B) == "b leads still, as is seen again"
    assert [entry.leader for entry in history.entries] == ["b", None, "b"]


def test_what_happened_out_of_reach_is_told_as_that() -> None:
    """Another leads, the same one anew, or this one; or nobody, and why is seen again, too."""
    for record in (C, LeaseRecord("b", acquire_time="T3")):
        history, leader = History("a"), record.holder
        cut_off(history)
        expected = f"{leader} acquired the lease while it was out of reach from here"
        assert seen(history, leader, record) == expected
    ours, ended = History("a"), History("a")
    cut_off(ours)
    told = "a acquired the lease, which is within reach again"
    assert seen(ours, "a", LeaseRecord("a", acquire_time="T3")) == told
    cut_off(ended)
    assert seen(ended, "", B) == "b did not renew the lease for 15 s"
    assert seen(ended, "c", C) == "c acquired the lease: b did not renew the lease for 15 s"


def test_our_own_end_is_known_though_the_lease_is_out_of_reach() -> None:
    """Who leads since is not."""
    history = History("a")
    ours = LeaseRecord("a", acquire_time="T1")
    seen(history, "a", ours)
    told = "a stopped leading: not renewed"
    assert seen(history, None, ours, "no answer", reason="not renewed") == told
    assert history.entries[-1].leader is None
    assert seen(history, "a", ours) == f"a acquired the lease: {told}"


def test_a_lease_that_was_never_seen_names_nobody() -> None:
    """Neither does one that turns out to be free."""
    history = History("a")
    told = "it is not known who leads: the lease is out of reach: no answer"
    assert seen(history, None, None, "no answer") == told
    ended = "nobody had the lease when it came within reach"
    assert seen(history, "", None) == ended
    assert seen(history, "b", B) == f"b acquired the lease: {ended}"


def test_without_an_election_the_role_is_the_reason() -> None:
    """There is no lease to speak of."""
    assert told(History("a"), "a", "", "no election") == "no election"


def test_looks_that_change_nothing_leave_nothing() -> None:
    """Nobody at first, and the same leader again."""
    history = History("a")
    assert told(history, "", "") == ""
    told(history, "b", "b")
    told(history, "b", "b")
    assert len(history.entries) == 1


def test_it_is_bounded_in_number_age_and_length() -> None:
    """100 entries, 7 days, 300 characters; what is so now stays however old it is."""
    history = History("a")
    for number in range(MOST + 7):
        told(history, f"r{number}", f"r{number}", wall=float(number))
    assert len(history.entries) == MOST
    long = History("a")
    told(long, "a", "", "x" * 1000)
    assert len(long.entries[0].reason) == LONGEST_REASON
    told(history, f"r{MOST + 6}", "", wall=LONGEST_HISTORY_S + 1000)
    assert [entry.leader for entry in history.entries] == [f"r{MOST + 6}"]
