"""The pod's label: when it is requested, what is known of it, and what waits for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.known import but
from tests.unit.supervision.test_plan import (
    ALIKE,
    CHOSEN,
    DEMOTED,
    DEMOTING,
    EDITED,
    FOLLOWER,
    HELD,
    LEADER,
    LEADING,
    LOST,
    NOW,
    POLICY,
    PROMOTING,
    READY,
    RELEASED,
    SIDECAR,
    STARTING,
    TERMINATE,
    decide,
    done,
    loaded,
    rewritten,
    stopping,
)
from wrapper.election import pod_label_state
from wrapper.election.pod_label_state import RECHECK_S, PodLabel
from wrapper.model.actions import Exit, LabelPod, StopWeb
from wrapper.model.configuration import Renderings
from wrapper.model.events import PodLabelAnswered
from wrapper.model.roles import Stance
from wrapper.supervision.candidacy import LABEL_WAIT_S
from wrapper.supervision.observation import Observation
from wrapper.supervision.reducer import fold

UNKNOWN = PodLabel()
LATER = NOW + 30.0
ON = PodLabel(is_on=True, wanted=True, again_at=LATER)
OFF = PodLabel(is_on=False, wanted=False, again_at=LATER)
PUTTING_ON = PodLabel(wanted=True, is_in_flight=True)
TAKING_OFF = PodLabel(wanted=False, is_in_flight=True)
REFUSED_ON = PodLabel(wanted=True, problem="may not", failures=1, again_at=LATER)
REFUSED_OFF = PodLabel(wanted=False, problem="may not", failures=1, again_at=LATER)


def orders(o: Observation) -> list[bool]:
    """Return the plan's requests for the label."""
    return [action.is_on for action in decide(o).actions if isinstance(action, LabelPod)]


@pytest.mark.parametrize(
    ("o", "label", "expected"),
    [
        pytest.param(STARTING, UNKNOWN, [False], id="a new process first removes the label"),
        pytest.param(STARTING, TAKING_OFF, [], id="one request at a time"),
        pytest.param(READY, OFF, [], id="a follower without the label does nothing"),
        pytest.param(READY, ON, [False], id="a follower removes the label, whoever set it"),
        pytest.param(CHOSEN, OFF, [], id="an elected replica does not set it yet"),
        pytest.param(PROMOTING, OFF, [], id="a promotion in progress does not set it"),
        pytest.param(LEADING, OFF, [True], id="a confirmed leader sets it"),
        pytest.param(LEADING, ON, [], id="it is set once"),
        pytest.param(
            LEADING, REFUSED_OFF, [True], id="a new request does not wait for the back-off"
        ),
        pytest.param(LEADING, REFUSED_ON, [], id="the same request waits for the back-off"),
        pytest.param(
            LEADING,
            replace(REFUSED_ON, again_at=NOW),
            [True],
            id="the same request is repeated after the back-off",
        ),
        pytest.param(
            LEADING,
            replace(ON, again_at=NOW),
            [True],
            id="a leader repeats the request now and then",
        ),
        pytest.param(
            READY,
            replace(OFF, again_at=NOW),
            [False],
            id="a follower repeats the request now and then",
        ),
        pytest.param(
            but(
                LEADING,
                configuration_loading=rewritten(LEADER, EDITED),
                configuration_renderings=Renderings(FOLLOWER, EDITED),
            ),
            ON,
            [],
            id="an edit does not remove it",
        ),
        pytest.param(
            but(CHOSEN, configuration_renderings=ALIKE),
            OFF,
            [True],
            id="without overrides, an elected replica sets it",
        ),
        pytest.param(LOST, ON, [False], id="it is removed in the turn that ends leadership"),
        pytest.param(stopping(LEADING), ON, [False], id="it is removed when a stop is requested"),
        pytest.param(DEMOTING, TAKING_OFF, [], id="the answer is waited for"),
        pytest.param(LOST, PUTTING_ON, [], id="the earlier request must end first"),
        pytest.param(
            but(LEADING, child_status=1), ON, [False], id="it is removed when Prometheus has exited"
        ),
        pytest.param(LEADING, None, [], id="without a label nothing is requested"),
    ],
)
def test_requested_label(o: Observation, label: PodLabel | None, expected: list[bool]) -> None:
    """The label is wanted while the leader's configuration is in force, and not otherwise."""
    assert orders(but(o, label=label)) == expected


STEPPING_DOWN = but(DEMOTED, stopping_steps_down_until=130.0, safe_since=NOW - LABEL_WAIT_S / 2)


@pytest.mark.parametrize(
    ("o", "label", "stance"),
    [
        pytest.param(STEPPING_DOWN, None, Stance.RELEASE, id="without a label"),
        pytest.param(STEPPING_DOWN, OFF, Stance.RELEASE, id="the label is off"),
        pytest.param(STEPPING_DOWN, TAKING_OFF, Stance.HOLD, id="the label is being removed"),
        pytest.param(STEPPING_DOWN, PUTTING_ON, Stance.HOLD, id="the label is being set"),
        pytest.param(STEPPING_DOWN, REFUSED_OFF, Stance.RELEASE, id="the removal has failed"),
        pytest.param(
            but(STEPPING_DOWN, safe_since=NOW - LABEL_WAIT_S),
            TAKING_OFF,
            Stance.RELEASE,
            id="the wait is over",
        ),
        pytest.param(
            but(DEMOTED, label=TAKING_OFF, child_status=1),
            TAKING_OFF,
            Stance.RELEASE,
            id="Prometheus is dead",
        ),
    ],
)
def test_release_waits_a_moment_for_the_label(
    o: Observation, label: PodLabel | None, stance: Stance
) -> None:
    """The lease is released when the label is off, or when waiting for it is no use."""
    assert decide(but(o, label=label)).stance is stance


@pytest.mark.parametrize(
    ("safe_since", "wait_s"), [(NOW - LABEL_WAIT_S / 2, LABEL_WAIT_S / 2), (None, LABEL_WAIT_S)]
)
def test_end_of_the_wait_for_the_label_wakes_the_loop(
    safe_since: float | None, wait_s: float
) -> None:
    """The loop wakes when the wait for the label ends, so that the lease is not held longer."""
    decided = decide(but(STEPPING_DOWN, label=TAKING_OFF, safe_since=safe_since))
    assert decided.stance is Stance.HOLD
    assert decided.wake_at == pytest.approx(NOW + wait_s)


def test_label_does_not_wake_a_leader_more_often() -> None:
    """While Prometheus may write, no release can be due, and the label wakes nothing."""
    o = but(LEADING, safe_since=None)
    assert decide(but(o, label=ON)).wake_at == decide(o).wake_at


@pytest.mark.parametrize("label", [PUTTING_ON, TAKING_OFF, REFUSED_OFF, UNKNOWN])
def test_leadership_does_not_depend_on_the_label(label: PodLabel) -> None:
    """Role, stance and other actions are the same with any state of the label."""
    for o in (READY, CHOSEN, PROMOTING, LEADING, LOST, DEMOTING, stopping(LEADING)):
        without, decided = decide(o), decide(but(o, label=label))
        assert (decided.role, decided.stance) == (without.role, without.stance)
        others = tuple(each for each in decided.actions if not isinstance(each, LabelPod))
        assert others == without.actions


HANDED_OVER = but(
    stopping(DEMOTED, since=NOW - 0.5),
    lease_view=replace(RELEASED, released_at=90.0),
    safe_since=90.0,
)
OVERDUE = but(HANDED_OVER, stopping_stop_at=NOW - POLICY.terms.retry_period_s)


@pytest.mark.parametrize(
    ("o", "label", "stops"),
    [
        pytest.param(HANDED_OVER, OFF, True, id="the label is off"),
        pytest.param(HANDED_OVER, TAKING_OFF, False, id="the label is being removed"),
        pytest.param(HANDED_OVER, REFUSED_OFF, True, id="the label cannot be removed"),
        pytest.param(OVERDUE, TAKING_OFF, True, id="the removal takes too long"),
    ],
)
def test_prometheus_stops_when_the_label_is_off(
    o: Observation, label: PodLabel, *, stops: bool
) -> None:
    """A stop waits until the label is off, for one retry period at most."""
    o = but(o, label=label)
    assert (TERMINATE in decide(o).actions) is stops
    sidecar = decide(but(o, web_pid=None), SIDECAR).actions
    assert (Exit(0) in sidecar) is stops


@pytest.mark.parametrize(
    ("label", "exited_at", "leaves"),
    [
        (None, NOW, True),
        (OFF, NOW, True),
        (TAKING_OFF, NOW, False),
        (REFUSED_OFF, NOW, True),
        (TAKING_OFF, NOW - POLICY.terms.retry_period_s, True),
    ],
)
def test_exit_without_prometheus_waits_for_the_label(
    label: PodLabel | None, exited_at: float, *, leaves: bool
) -> None:
    """After the exit of Prometheus, the program waits for the label, for one retry period at most.

    Otherwise the restarted container would still have the label.
    """
    o = but(DEMOTED, child_status=1, child_exited_at=exited_at, lease_view=RELEASED, web_pid=None)
    actions = decide(but(o, label=label)).actions
    assert StopWeb() in actions
    assert (Exit(1) in actions) is leaves


def test_request_is_stored() -> None:
    """While a request is in flight, the state of the label is unknown."""
    o = but(LEADING, label=OFF)
    assert done(o).label == replace(OFF, is_on=None, wanted=True, is_in_flight=True)


def test_repeated_request_keeps_the_known_state() -> None:
    """If the same state is requested again, the known state stays known."""
    assert pod_label_state.asked(ON, wanted=True).is_on is True


def after_answer(label: PodLabel, event: PodLabelAnswered) -> PodLabel | None:
    """Return the state of the label after an answer."""
    return fold(but(LEADING, label=label), event, NOW, POLICY).label


def test_answer_makes_the_label_known() -> None:
    """After an answer, the label is known, and requested again after a long time."""
    known = PodLabel(is_on=True, wanted=True, again_at=NOW + RECHECK_S)
    assert after_answer(PUTTING_ON, PodLabelAnswered()) == known


def test_failed_requests_are_retried_ever_later() -> None:
    """The pause doubles up to a minute, is at least Retry-After, and ends with a success."""
    label, pauses_s = PUTTING_ON, []
    for _ in range(8):
        failed = after_answer(label, PodLabelAnswered("may not"))
        assert failed is not None
        assert (failed.is_on, failed.problem, failed.awaits_removal) == (None, "may not", False)
        pauses_s.append(failed.again_at - NOW)
        label = pod_label_state.asked(failed, wanted=True)
    assert pauses_s == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    slowed = after_answer(PUTTING_ON, PodLabelAnswered("too much to do", 30.0))
    assert slowed is not None
    assert slowed.again_at == NOW + 30.0
    assert after_answer(label, PodLabelAnswered()) == replace(ON, again_at=NOW + RECHECK_S)


def test_new_request_restarts_the_pauses() -> None:
    """The first retry of a new request comes soon, however often the opposite one has failed."""
    weary = replace(REFUSED_ON, failures=9)
    failed = after_answer(pod_label_state.asked(weary, wanted=False), PodLabelAnswered("may not"))
    assert failed is not None
    assert failed.again_at == NOW + pod_label_state.FIRST_RETRY_S


def test_answer_without_a_label_is_ignored() -> None:
    """If no label is kept, an answer changes nothing."""
    assert fold(LEADING, PodLabelAnswered(), NOW, POLICY).label is None


def test_observations_of_these_tests_lead() -> None:
    """The observations of these tests lead, and have the leader's rendering in force."""
    assert LEADING.lease.view is HELD
    assert LEADING.configuration.loading == loaded(LEADER)
