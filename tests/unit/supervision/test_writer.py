"""What decides asks a Writer, and nothing of the file behind it: another one is judged as well."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest

from tests.unit.known import but
from tests.unit.supervision.test_plan import (
    CHOSEN,
    DEMOTED,
    LEADING,
    LOST_DEMOTING,
    NOW,
    PROMOTING,
    TERMINATE,
    decide,
    stopping,
)
from tests.unit.supervision.test_snapshot_builder import told
from wrapper.election.pod_label_state import PodLabel
from wrapper.model.actions import (
    ArmSwitch,
    DisarmSwitch,
    LabelPod,
    SignalPrometheus,
    WriteRendering,
)
from wrapper.model.lease import LeaseView
from wrapper.model.roles import Cause, Role, Stance
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy
from wrapper.supervision.writer import Writer


@dataclass(frozen=True)
class Other:
    """A Writer that is no file; what is known of the file says the opposite in each test."""

    may_write: bool = False
    safe_since: float | None = 50.0
    is_open: bool = False
    would_write: bool = True
    failure: str = ""
    closing_problem: str = ""

    def opening_problem(self, _policy: Policy, _now: float) -> str:
        """Return what it was given."""
        return self.failure


WRITING = Other(may_write=True, safe_since=None, is_open=True)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Give every observation a Writer."""
    return Given(monkeypatch)


@dataclass
class Given:
    """Puts a Writer in the place of the file."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(self, writer: Writer) -> None:
        """Put it there."""
        for name in ("writer", "rendered_file"):
            self.monkeypatch.setattr(Observation, name, property(lambda _o: writer))


def kills(o: Observation, now: float = NOW) -> list[str]:
    """Return why Prometheus is killed."""
    actions = [a for a in decide(o, now=now).actions if isinstance(a, SignalPrometheus)]
    return [action.reason for action in actions if action.number == signal.SIGKILL]


def test_a_writer_that_is_not_known_to_be_closed_is_killed_at_the_last_moment(given: Given) -> None:
    """Whatever Prometheus has in force."""
    given(WRITING)
    assert kills(but(DEMOTED, fencing_switch_at=101.2, lease_last_renewed_at=92.0), now=101.2)
    given(Other())
    assert not kills(LOST_DEMOTING, now=101.2)
    assert DisarmSwitch() in decide(LOST_DEMOTING, now=101.2).actions


def test_one_that_cannot_be_closed_is_killed_at_once(given: Given) -> None:
    """With its own words; not while it is to be open."""
    given(Other(may_write=True, safe_since=None, closing_problem="it hangs"))
    assert kills(LOST_DEMOTING) == ["it hangs"]
    assert kills(LEADING) == []


@pytest.mark.parametrize(("would_write", "arms"), [(True, True), (False, False)])
def test_the_switch_is_armed_before_one_is_opened(
    given: Given, *, would_write: bool, arms: bool
) -> None:
    """Where there is anything to open."""
    given(Other(would_write=would_write))
    actions = decide(CHOSEN).actions
    assert isinstance(actions[-1], WriteRendering)
    assert isinstance(actions[0], ArmSwitch) is arms


def test_the_lease_is_given_back_only_when_it_is_closed(given: Given) -> None:
    """And the release waits for the label from then on."""
    o = but(DEMOTED, stopping_steps_down_until=NOW + 30.0)
    given(WRITING)
    assert decide(o).stance is Stance.HOLD
    given(Other())
    assert decide(o).stance is Stance.RELEASE
    given(Other(safe_since=NOW))
    assert decide(but(o, label=PodLabel(wanted=False, is_in_flight=True))).stance is Stance.HOLD


def test_a_promotion_that_cannot_open_it_is_given_up(given: Given) -> None:
    """The reason is its own; a follower's is another matter."""
    given(Other(failure="no room"))
    decided = decide(PROMOTING)
    assert (decided.role, decided.cause) == (Role.FOLLOWER, Cause.PROMOTION_FAILED)
    assert decided.reason == "no room"
    assert decide(CHOSEN).role is Role.LEADER


def test_prometheus_is_stopped_only_when_it_is_closed(given: Given) -> None:
    """What it has to say is said by then."""
    o = stopping(but(DEMOTED, lease_view=LeaseView(), fencing_switch_at=None))
    given(WRITING)
    assert TERMINATE not in decide(o).actions
    given(Other())
    assert TERMINATE in decide(o).actions


def test_the_label_says_that_it_is_open(given: Given) -> None:
    """Not that it is to be."""
    o = but(LEADING, label=PodLabel(is_on=False, wanted=False, again_at=NOW + 30.0))
    given(Other())
    assert LabelPod(is_on=True) not in decide(o).actions
    given(WRITING)
    assert LabelPod(is_on=True) in decide(o).actions


def test_the_outside_is_told_of_it(given: Given) -> None:
    """May it write."""
    given(WRITING)
    assert told(DEMOTED).may_write
    given(Other())
    assert not told(but(PROMOTING, role=Role.FOLLOWER)).may_write
