"""The history: each change of leader once, with its reason, and bounded in size.

The wording is free. The tests check what the reasons must distinguish, and whom they must name.
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


def after_look(
    history: History, leader: str, holder: str, reason: str = "", wall: float = 1.0
) -> str:
    """Note the leader, with this holder on the lease; return the last reason."""
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
    """Note the leader, with this record of the lease, or none; return the last reason."""
    view = LeaseView(last=record, problem=problem)
    known = ConfigurationState(RENDERINGS, loaded_rendering.started_with(RENDERING, 0.0))
    o = Observation(known, 0.0, lease=LeaseState(view))
    plan = Plan(Role.FOLLOWER, Stance.CONTEND, (), reason, Cause.LOST, 0.0)
    history.note_leader(leader, plan, o, wall)
    return history.entries[-1].reason if history.entries else ""


def test_hand_over_of_this_replica_has_its_reason() -> None:
    """When this replica hands over, its reason is noted, also in the next leader's entry."""
    history = History("a")
    assert after_look(history, "a", "a").startswith("a ")
    ended = after_look(history, "", "", "asked to")
    assert (ended[:2], ended[-8:]) == ("a ", "asked to")
    begun = after_look(history, "b", "b")
    assert begun.startswith("b ")
    assert begun.endswith(ended)
    assert [(e.leader, e.previous) for e in history.entries] == [("a", None), ("", "a"), ("b", "")]


def test_release_and_expiry_of_another_lease_have_different_reasons() -> None:
    """The reason of an expired lease names its duration; the reason of a release does not."""
    released, expired = History("a"), History("a")
    for history in (released, expired):
        after_look(history, "b", "b")
    assert after_look(released, "", "").startswith("b ")
    assert "15 s" not in after_look(released, "", "")
    ended = after_look(expired, "", "b")
    assert (ended[:2], ended[-4:]) == ("b ", "15 s")
    begun = after_look(expired, "a", "a")
    assert begun.startswith("a ")
    assert begun.endswith(ended)


def test_direct_change_of_leader_is_noted() -> None:
    """A change from one leader to another without a gap is noted, and names both."""
    history = History("a")
    after_look(history, "b", "b")
    reason = after_look(history, "c", "c")
    assert (reason[:2], reason[-2:]) == ("c ", " b")


B = LeaseRecord("b", duration_s=15.0, acquire_time="T1")
C = LeaseRecord("c", duration_s=15.0, acquire_time="T2")


def cut_off(history: History) -> str:
    """Note that b leads, and then that the lease cannot be read."""
    seen(history, "b", B)
    return seen(history, None, B, "no answer")


def test_unreachable_lease_makes_the_leader_unknown() -> None:
    """While the lease cannot be read, the leader is unknown, and the reason names the last one.

    It may have renewed all the time: if so, it still leads, and has acquired nothing.
    """
    history = History("a")
    reason = cut_off(history)
    assert " b " in reason
    assert reason.endswith(": no answer")
    again = seen(history, "b", B)
    assert [entry.leader for entry in history.entries] == ["b", None, "b"]
    other = History("a")
    cut_off(other)
    assert again != seen(other, "b", LeaseRecord("b", acquire_time="T3")), "it acquired nothing"


def test_change_while_the_lease_was_unreachable_has_a_reason() -> None:
    """After the lease was unreachable, the reasons distinguish what was observed from the rest."""
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


def test_own_end_is_known_although_the_lease_is_unreachable() -> None:
    """If this replica stops leading while the lease is unreachable, its own reason is noted."""
    history = History("a")
    ours = LeaseRecord("a", acquire_time="T1")
    seen(history, "a", ours)
    ended = seen(history, None, ours, "no answer", reason="not renewed")
    assert (ended[:2], ended[-13:]) == ("a ", ": not renewed")
    assert history.entries[-1].leader is None
    assert seen(history, "a", ours).endswith(ended)


def test_lease_that_was_never_read_names_no_leader() -> None:
    """A lease that was never read, or is free, has no holder to name in the reason."""
    history = History("a")
    assert seen(history, None, None, "no answer").endswith(": no answer")
    ended = seen(history, "", None)
    assert "no answer" not in ended
    assert seen(history, "b", B).endswith(ended)
    assert [entry.leader for entry in history.entries] == [None, "", "b"]


def test_unread_lease_adds_no_entry() -> None:
    """Before the lease is read, the leader is not known, and no entry is added."""
    history = History("a")
    assert seen(history, None, None) == ""
    assert history.entries == ()


def test_acquirer_of_a_free_lease_has_no_previous_leader() -> None:
    """A replica that acquires a free lease has no previous leader in its entry."""
    held = after_look(History("a"), "b", "b")
    for leader in ("a", "b"):
        history = History("a")
        assert after_look(history, "", "") == ""
        acquired = after_look(history, leader, leader)
        assert history.entries[-1].previous == ""
        assert acquired.startswith(f"{leader} acquired the lease: nobody held")
    assert after_look(History("a"), "a", "a") == "a acquired the lease"
    assert held == "b held the lease when it was first read"


def test_reason_without_an_election_is_that_of_the_role() -> None:
    """Without an election there is no lease: the reason of the role is noted."""
    assert after_look(History("a"), "a", "", "no election") == "no election"


def test_unchanged_leader_adds_no_entry() -> None:
    """If the leader has not changed, or there is none at first, no entry is added."""
    history = History("a")
    assert after_look(history, "", "") == ""
    after_look(history, "b", "b")
    after_look(history, "b", "b")
    assert len(history.entries) == 1


def test_history_is_bounded_in_number_age_and_length() -> None:
    """The history has at most 100 entries, 7 days, 300 characters each; the newest one stays."""
    history = History("a")
    for number in range(MOST + 7):
        after_look(history, f"r{number}", f"r{number}", wall=float(number))
    assert len(history.entries) == MOST
    long = History("a")
    after_look(long, "a", "", "x" * 1000)
    assert len(long.entries[0].reason) == LONGEST_REASON
    after_look(history, f"r{MOST + 6}", "", wall=LONGEST_HISTORY_S + 1000)
    assert [entry.leader for entry in history.entries] == [f"r{MOST + 6}"]
