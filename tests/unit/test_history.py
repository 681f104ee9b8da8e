"""Who led when, each change once, with a sentence that says why; and no more than fits."""

from __future__ import annotations

from wrapper.model import Cause, LeaseRecord, LeaseView, Rendering, Renderings, Role, Stance
from wrapper.supervision import confirm
from wrapper.supervision.history import LONGEST_REASON, LONGEST_S, MOST, History
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan

RENDERING = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
RENDERINGS = Renderings(RENDERING, RENDERING)


def told(history: History, leader: str, holder: str, reason: str = "", wall: float = 1.0) -> str:
    """Look, with this holder in the lease's record; return the last reason."""
    view = LeaseView(last=LeaseRecord(holder, duration_s=15.0))
    o = Observation(RENDERINGS, confirm.started_with(RENDERING, 0.0), 0.0, lease=view)
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
    told(history, f"r{MOST + 6}", "", wall=LONGEST_S + 1000)
    assert [entry.leader for entry in history.entries] == [f"r{MOST + 6}"]
