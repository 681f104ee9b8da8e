"""The plan depends on the interface Writer only, not on the file behind it."""

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
from tests.unit.supervision.test_snapshot_builder import snapshot_of
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
    """A Writer that is no file; in each test, the state of the file is the opposite."""

    may_write: bool = False
    safe_since: float | None = 50.0
    is_open: bool = False
    would_write: bool = True
    failure: str = ""
    closing_problem: str = ""

    def opening_problem(self, _policy: Policy, _now: float) -> str:
        """Return the failure that was set."""
        return self.failure


WRITING = Other(may_write=True, safe_since=None, is_open=True)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Give a function that replaces the Writer of every observation."""
    return Given(monkeypatch)


@dataclass
class Given:
    """Replaces the Writer of every observation."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(self, writer: Writer) -> None:
        """Replace the Writer."""
        for name in ("writer", "rendered_file"):
            self.monkeypatch.setattr(Observation, name, property(lambda _o: writer))


def kills(o: Observation, now: float = NOW) -> list[str]:
    """Return the reasons for which Prometheus is killed."""
    actions = [a for a in decide(o, now=now).actions if isinstance(a, SignalPrometheus)]
    return [action.reason for action in actions if action.number == signal.SIGKILL]


def test_writer_that_may_write_is_killed_at_the_last_moment(given: Given) -> None:
    """At the last moment, Prometheus is killed if the Writer may write, whatever is in force."""
    given(WRITING)
    assert kills(but(DEMOTED, fencing_switch_at=101.2, lease_last_renewed_at=92.0), now=101.2)
    given(Other())
    assert not kills(LOST_DEMOTING, now=101.2)
    assert DisarmSwitch() in decide(LOST_DEMOTING, now=101.2).actions


def test_writer_that_cannot_be_closed_is_killed_at_once(given: Given) -> None:
    """A Writer with a closing problem is killed at once, unless it should be open."""
    given(Other(may_write=True, safe_since=None, closing_problem="it hangs"))
    assert kills(LOST_DEMOTING) == ["it hangs"]
    assert kills(LEADING) == []


@pytest.mark.parametrize(("would_write", "arms"), [(True, True), (False, False)])
def test_switch_is_armed_before_a_writer_is_opened(
    given: Given, *, would_write: bool, arms: bool
) -> None:
    """A promotion arms the switch first, if the Writer would write."""
    given(Other(would_write=would_write))
    actions = decide(CHOSEN).actions
    assert isinstance(actions[-1], WriteRendering)
    assert isinstance(actions[0], ArmSwitch) is arms


def test_lease_is_released_only_when_the_writer_is_closed(given: Given) -> None:
    """The lease is held until the Writer is closed and the pod label is no longer being changed."""
    o = but(DEMOTED, stopping_steps_down_until=NOW + 30.0)
    given(WRITING)
    assert decide(o).stance is Stance.HOLD
    given(Other())
    assert decide(o).stance is Stance.RELEASE
    given(Other(safe_since=NOW))
    removing = but(o, label=PodLabel(wanted=False, is_in_flight=True))
    assert decide(removing).stance is Stance.HOLD
    assert decide(removing, now=NOW + 0.11).stance is Stance.RELEASE, (
        "it waits for the label only for a short time"
    )


def test_promotion_is_given_up_if_the_writer_cannot_be_opened(given: Given) -> None:
    """A promotion is given up with the Writer's problem; a follower's Writer does not matter."""
    given(Other(failure="no room"))
    decided = decide(PROMOTING)
    assert (decided.role, decided.cause) == (Role.FOLLOWER, Cause.PROMOTION_FAILED)
    assert decided.reason == "no room"
    assert decide(CHOSEN).role is Role.LEADER


def test_prometheus_is_stopped_only_when_the_writer_is_closed(given: Given) -> None:
    """Prometheus is terminated only after the Writer is closed, so that it has sent everything."""
    o = stopping(but(DEMOTED, lease_view=LeaseView(), fencing_switch_at=None))
    given(WRITING)
    assert TERMINATE not in decide(o).actions
    given(Other())
    assert TERMINATE in decide(o).actions


def test_pod_label_is_set_only_when_the_writer_is_open(given: Given) -> None:
    """The pod is labelled as leader when the Writer is open, not before."""
    o = but(LEADING, label=PodLabel(is_on=False, wanted=False, again_at=NOW + 30.0))
    given(Other())
    assert LabelPod(is_on=True) not in decide(o).actions
    given(WRITING)
    assert LabelPod(is_on=True) in decide(o).actions


def test_snapshot_shows_whether_the_writer_may_write(given: Given) -> None:
    """The snapshot shows ``may_write`` of the Writer, not of the file."""
    given(WRITING)
    assert snapshot_of(DEMOTED).may_write
    given(Other())
    assert not snapshot_of(but(PROMOTING, role=Role.FOLLOWER)).may_write
