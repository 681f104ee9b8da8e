"""The pod's label: when it is asked for, what is known of it, and what may wait for it."""

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
    """Return what the plan has done to the label."""
    return [action.is_on for action in decide(o).actions if isinstance(action, LabelPod)]


@pytest.mark.parametrize(
    ("o", "label", "expected"),
    [
        pytest.param(STARTING, UNKNOWN, [False], id="its first act is to take off what is left"),
        pytest.param(STARTING, TAKING_OFF, [], id="one request at a time"),
        pytest.param(READY, OFF, [], id="a follower without it has nothing to do"),
        pytest.param(READY, ON, [False], id="whatever put it on, a follower has it off"),
        pytest.param(CHOSEN, OFF, [], id="elected is not enough"),
        pytest.param(PROMOTING, OFF, [], id="nor is a promotion under way"),
        pytest.param(LEADING, OFF, [True], id="confirmed, it is put on"),
        pytest.param(LEADING, ON, [], id="once"),
        pytest.param(LEADING, REFUSED_OFF, [True], id="a new wish waits for no back-off"),
        pytest.param(LEADING, REFUSED_ON, [], id="the same one does"),
        pytest.param(LEADING, replace(REFUSED_ON, again_at=NOW), [True], id="until it has passed"),
        pytest.param(LEADING, replace(ON, again_at=NOW), [True], id="it is asked for now and then"),
        pytest.param(READY, replace(OFF, again_at=NOW), [False], id="by a follower as well"),
        pytest.param(
            but(
                LEADING,
                configuration_loading=rewritten(LEADER, EDITED),
                configuration_renderings=Renderings(FOLLOWER, EDITED),
            ),
            ON,
            [],
            id="an edit does not take it off",
        ),
        pytest.param(
            but(CHOSEN, configuration_renderings=ALIKE),
            OFF,
            [True],
            id="without overrides to lead is enough",
        ),
        pytest.param(LOST, ON, [False], id="it goes in the turn that ends leadership"),
        pytest.param(stopping(LEADING), ON, [False], id="asked to stop, likewise"),
        pytest.param(DEMOTING, TAKING_OFF, [], id="and is waited for"),
        pytest.param(LOST, PUTTING_ON, [], id="not before the earlier request has ended"),
        pytest.param(but(LEADING, child_status=1), ON, [False], id="Prometheus has died"),
        pytest.param(LEADING, None, [], id="no label is kept"),
    ],
)
def test_what_is_asked_for(o: Observation, label: PodLabel | None, expected: list[bool]) -> None:
    """The label is on while it leads with the leader's configuration in force, and off else."""
    assert orders(but(o, label=label)) == expected


STEPPING_DOWN = but(DEMOTED, stopping_steps_down_until=130.0, safe_since=NOW - LABEL_WAIT_S / 2)


@pytest.mark.parametrize(
    ("o", "label", "stance"),
    [
        pytest.param(STEPPING_DOWN, None, Stance.RELEASE, id="without a label"),
        pytest.param(STEPPING_DOWN, OFF, Stance.RELEASE, id="with it off"),
        pytest.param(STEPPING_DOWN, TAKING_OFF, Stance.HOLD, id="on its way off"),
        pytest.param(STEPPING_DOWN, PUTTING_ON, Stance.HOLD, id="still on its way on"),
        pytest.param(STEPPING_DOWN, REFUSED_OFF, Stance.RELEASE, id="not where that fails"),
        pytest.param(
            but(STEPPING_DOWN, safe_since=NOW - LABEL_WAIT_S),
            TAKING_OFF,
            Stance.RELEASE,
            id="nor for long",
        ),
        pytest.param(
            but(DEMOTED, label=TAKING_OFF, child_status=1),
            TAKING_OFF,
            Stance.RELEASE,
            id="nor once Prometheus is dead",
        ),
    ],
)
def test_a_release_waits_for_the_label_a_moment(
    o: Observation, label: PodLabel | None, stance: Stance
) -> None:
    """The lease is given back once the label is off, or soon will not be."""
    assert decide(but(o, label=label)).stance is stance


@pytest.mark.parametrize(
    ("safe_since", "wait_s"), [(NOW - LABEL_WAIT_S / 2, LABEL_WAIT_S / 2), (None, LABEL_WAIT_S)]
)
def test_the_end_of_that_moment_is_woken_for(safe_since: float | None, wait_s: float) -> None:
    """The lease is not held until something else happens."""
    decided = decide(but(STEPPING_DOWN, label=TAKING_OFF, safe_since=safe_since))
    assert decided.stance is Stance.HOLD
    assert decided.wake_at == pytest.approx(NOW + wait_s)


def test_a_leader_is_woken_no_more_often() -> None:
    """While it may write, no release can be due."""
    o = but(LEADING, safe_since=None)
    assert decide(but(o, label=ON)).wake_at == decide(o).wake_at


@pytest.mark.parametrize("label", [PUTTING_ON, TAKING_OFF, REFUSED_OFF, UNKNOWN])
def test_leading_and_its_end_do_not_depend_on_the_label(label: PodLabel) -> None:
    """Whatever becomes of it: the same role, stance and actions, while a writer is at work."""
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
        pytest.param(HANDED_OVER, TAKING_OFF, False, id="it is on its way off"),
        pytest.param(HANDED_OVER, REFUSED_OFF, True, id="it cannot be taken off"),
        pytest.param(OVERDUE, TAKING_OFF, True, id="it takes too long"),
    ],
)
def test_prometheus_stops_when_no_client_is_sent_to_it(
    o: Observation, label: PodLabel, *, stops: bool
) -> None:
    """Asked to stop, it goes on until the label is off, for one retry period at most."""
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
def test_who_lost_prometheus_leaves_when_the_label_is_off(
    label: PodLabel | None, exited_at: float, *, leaves: bool
) -> None:
    """The container's restart would find it on; for one retry period at most."""
    o = but(DEMOTED, child_status=1, child_exited_at=exited_at, lease_view=RELEASED, web_pid=None)
    actions = decide(but(o, label=label)).actions
    assert StopWeb() in actions
    assert (Exit(1) in actions) is leaves


def test_an_order_is_noted() -> None:
    """Until the answer has come, a change is not known to have come either."""
    o = but(LEADING, label=OFF)
    assert done(o).label == replace(OFF, is_on=None, wanted=True, is_in_flight=True)


def test_a_repeated_order_is_no_change() -> None:
    """While it is asked for again, what is known stays known."""
    assert pod_label_state.asked(ON, wanted=True).is_on is True


def told(label: PodLabel, event: PodLabelAnswered) -> PodLabel | None:
    """Return what is known of the label after an answer."""
    return fold(but(LEADING, label=label), event, NOW, POLICY).label


def test_an_answer_makes_it_known() -> None:
    """It is asked for again a good while later."""
    known = PodLabel(is_on=True, wanted=True, again_at=NOW + RECHECK_S)
    assert told(PUTTING_ON, PodLabelAnswered()) == known


def test_failures_are_tried_again_ever_later() -> None:
    """The pause doubles up to a minute, is at least what the server asks for; a success ends it."""
    label, pauses_s = PUTTING_ON, []
    for _ in range(8):
        failed = told(label, PodLabelAnswered("may not"))
        assert failed is not None
        assert (failed.is_on, failed.problem, failed.awaits_removal) == (None, "may not", False)
        pauses_s.append(failed.again_at - NOW)
        label = pod_label_state.asked(failed, wanted=True)
    assert pauses_s == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    slowed = told(PUTTING_ON, PodLabelAnswered("too much to do", 30.0))
    assert slowed is not None
    assert slowed.again_at == NOW + 30.0
    assert told(label, PodLabelAnswered()) == replace(ON, again_at=NOW + RECHECK_S)


def test_a_new_wish_begins_anew() -> None:
    """Its first retry comes soon, however often the opposite has failed."""
    weary = replace(REFUSED_ON, failures=9)
    failed = told(pod_label_state.asked(weary, wanted=False), PodLabelAnswered("may not"))
    assert failed is not None
    assert failed.again_at == NOW + pod_label_state.FIRST_RETRY_S


def test_an_answer_without_a_label_counts_for_nothing() -> None:
    """Where no label is kept, nothing is known of one."""
    assert fold(LEADING, PodLabelAnswered(), NOW, POLICY).label is None


def test_a_leaders_pod_is_labelled_while_its_lease_is_held() -> None:
    """What the rows above begin from: these observations do lead, and have what they lead with."""
    assert LEADING.lease.view is HELD
    assert LEADING.configuration.loading == loaded(LEADER)
