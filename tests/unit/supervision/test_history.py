"""Who led when, each change once, with a sentence that says why; and no more than fits.

The words are free; what they have to tell apart, and whom and what they have to name, is not.
"""

from __future__ import annotations

from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.lease import LeaseRecord, LeaseView
from wrapper.model.roles import Cause, Role, Stance
from wrapper.model.snapshot import LONGEST_HISTORY_S
from wrapper.supervision import loaded_rendering
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.history import LONGEST_REASON, MOST, History
from wrapper.supervision.observation import LeaseState, Observation
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
    known = ConfigurationState(RENDERINGS, loaded_rendering.started_with(RENDERING, 0.0))
    o = Observation(known, 0.0, lease=LeaseState(view))
    plan = Plan(Role.FOLLOWER, Stance.CONTEND, (), reason, Cause.LOST, 0.0)
    history.note_leader(leader, plan, o, wall)
    return history.entries[-1].reason if history.entries else ""


def test_a_hand_over_from_here_to_another_is_told_with_our_reason() -> None:
    """The next leader's entry repeats why there was nobody."""
    history = History("a")
    assert told(history, "a", "a").startswith("a ")
    ended = told(history, "", "", "asked to")
    assert (ended[:2], ended[-8:]) == ("a ", "asked to")
    begun = told(history, "b", "b")
    assert begun.startswith("b ")
    assert begun.endswith(ended)
    assert [(e.leader, e.previous) for e in history.entries] == [("a", None), ("", "a"), ("b", "")]


def test_how_another_ended_is_told_as_seen_from_here() -> None:
    """A release looks other than a lease that ran out."""
    released, expired = History("a"), History("a")
    for history in (released, expired):
        told(history, "b", "b")
    assert told(released, "", "").startswith("b ")
    assert "15 s" not in told(released, "", "")
    ended = told(expired, "", "b")
    assert (ended[:2], ended[-4:]) == ("b ", "15 s")
    begun = told(expired, "a", "a")
    assert begun.startswith("a ")
    assert begun.endswith(ended)


def test_a_change_between_two_looks_is_told_too() -> None:
    """From one to another, nobody seen in between."""
    history = History("a")
    told(history, "b", "b")
    reason = told(history, "c", "c")
    assert (reason[:2], reason[-2:]) == ("c ", " b")


B = LeaseRecord("b", duration_s=15.0, acquire_time="T1")
C = LeaseRecord("c", duration_s=15.0, acquire_time="T2")


def cut_off(history: History) -> str:
    """See b lead, and then nothing more."""
    seen(history, "b", B)
    return seen(history, None, B, "no answer")


def test_a_lease_out_of_reach_says_nothing_of_its_holder() -> None:
    """It may have renewed it all the time: if so, it leads still, and has acquired nothing."""
    history = History("a")
    reason = cut_off(history)
    assert " b " in reason
    assert reason.endswith(": no answer")
    again = seen(history, "b", B)
    assert [entry.leader for entry in history.entries] == ["b", None, "b"]
    other = History("a")
    cut_off(other)
    assert again != seen(other, "b", LeaseRecord("b", acquire_time="T3")), "it acquired nothing"


def test_what_happened_out_of_reach_is_told_as_that() -> None:
    """Another leads, the same one anew, or this one; or nobody, and why is seen again, too."""
    reasons = []
    for record in (C, LeaseRecord("b", acquire_time="T3"), LeaseRecord("a", acquire_time="T3")):
        history, leader = History("a"), record.holder
        cut_off(history)
        reasons.append(seen(history, leader, record))
        assert reasons[-1].startswith(f"{leader} ")
    another, anew, ours = (reason[2:] for reason in reasons)
    assert another == anew != ours, "this one has seen itself acquire it"
    history = History("a")
    cut_off(history)
    ended = seen(history, "", B)
    assert (ended[:2], ended[-4:]) == ("b ", "15 s")
    assert seen(history, "c", C).endswith(ended)


def test_our_own_end_is_known_though_the_lease_is_out_of_reach() -> None:
    """Who leads since is not."""
    history = History("a")
    ours = LeaseRecord("a", acquire_time="T1")
    seen(history, "a", ours)
    ended = seen(history, None, ours, "no answer", reason="not renewed")
    assert (ended[:2], ended[-13:]) == ("a ", ": not renewed")
    assert history.entries[-1].leader is None
    assert seen(history, "a", ours).endswith(ended)


def test_a_lease_that_was_never_seen_names_nobody() -> None:
    """Neither does one that turns out to be free."""
    history = History("a")
    assert seen(history, None, None, "no answer").endswith(": no answer")
    ended = seen(history, "", None)
    assert "no answer" not in ended
    assert seen(history, "b", B).endswith(ended)
    assert [entry.leader for entry in history.entries] == [None, "", "b"]


def test_a_lease_that_is_not_read_yet_leaves_nothing() -> None:
    """It is not known who leads, and nothing has changed."""
    history = History("a")
    assert seen(history, None, None) == ""
    assert history.entries == ()


def test_who_acquires_a_free_lease_did_not_hold_it_before() -> None:
    """This replica or another, whether or not it was seen to be free."""
    held = told(History("a"), "b", "b")
    for leader in ("a", "b"):
        history = History("a")
        assert told(history, "", "") == ""
        acquired = told(history, leader, leader)
        assert history.entries[-1].previous == ""
        assert acquired.startswith(f"{leader} acquired the lease: nobody held")
    assert told(History("a"), "a", "a") == "a acquired the lease"
    assert held == "b held the lease when it was first read"


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
