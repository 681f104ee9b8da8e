"""When the configuration in force is saved for the next start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.known import but
from tests.unit.supervision.test_plan import FOLLOWER, LEADER, POLICY, RE_READ, STARTING, loaded
from wrapper.model.actions import Exit, SaveRenderings
from wrapper.model.configuration import Renderings, SavedRenderings
from wrapper.model.roles import Cause, Role
from wrapper.supervision import config_saving
from wrapper.supervision.config_rollback import started_with
from wrapper.supervision.config_saving import RETRY_S, Saving
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import plan
from wrapper.supervision.policy import Policy

BOTH = Renderings(FOLLOWER, LEADER)
IN_FORCE = but(
    STARTING,
    configuration_loading=loaded(FOLLOWER),
    configuration_rollback=started_with(BOTH),
    child_was_ready=True,
    child_is_ready=True,
)
ENDED = but(STARTING, child_status=2, child_exited_at=99.0, web_pid=None, web_stopped_at=99.0)
RESTARTABLE = replace(POLICY, can_re_execute=True)


def saved(o: Observation, policy: Policy = POLICY, now: float = 100.0) -> list[SavedRenderings]:
    """Return what a turn saves."""
    actions = plan(o, policy, now).actions
    return [each.renderings for each in actions if isinstance(each, SaveRenderings)]


def test_what_is_in_force_is_saved_once() -> None:
    """Not again while that is under way, nor when it is done."""
    assert saved(IN_FORCE) == [SavedRenderings(BOTH)]
    started = but(
        IN_FORCE, configuration_saving=config_saving.started(Saving(), SavedRenderings(BOTH))
    )
    assert saved(started) == []
    done = but(started, configuration_saving=config_saving.ended(SavedRenderings(BOTH), "", 100.0))
    assert saved(done) == []
    assert saved(but(done, configuration_rollback=started_with(RE_READ))) == [
        SavedRenderings(RE_READ)
    ]


def test_what_a_leader_ran_with_outlives_an_input_that_only_a_follower_has_loaded() -> None:
    """Whether the new leader's part can be loaded is not known yet."""
    assert saved(but(IN_FORCE, configuration_rollback=started_with(BOTH, LEADER))) == [
        SavedRenderings(BOTH)
    ]
    newer = started_with(RE_READ, LEADER)
    assert saved(but(IN_FORCE, configuration_rollback=newer)) == [SavedRenderings(RE_READ, LEADER)]


def test_nobody_leads_before_the_newest_input_was_tried() -> None:
    """A promotion would be the first to try it, and fail: what was saved can lead at once."""
    on_trial = but(IN_FORCE, configuration_rollback=started_with(BOTH, LEADER, "it ended"))
    newest = but(on_trial, configuration_renderings=RE_READ)
    assert newest.child.is_ready
    assert plan(newest, POLICY, 100.0).cause is Cause.NOT_READY
    assert newest.configuration.target(Role.FOLLOWER) == RE_READ.follower


@pytest.mark.parametrize(
    "o",
    [
        but(IN_FORCE, child_was_ready=False),
        but(IN_FORCE, configuration_loading=STARTING.configuration.loading),
        but(IN_FORCE, configuration_rollback=replace(IN_FORCE.configuration.rollback, good=None)),
    ],
    ids=["Prometheus was never ready", "not confirmed", "nothing was ever good"],
)
def test_what_is_not_known_to_be_in_force_is_not_saved(o: Observation) -> None:
    """It may be what a start fails with."""
    assert saved(o) == []


def test_a_prometheus_with_a_file_of_its_own_has_nothing_to_save() -> None:
    """Nobody renders for it."""
    assert saved(IN_FORCE, replace(POLICY, is_plain=True)) == []


def test_what_could_not_be_written_is_tried_again_later() -> None:
    """A full disk is no reason to write at every turn."""
    failed = config_saving.ended(SavedRenderings(BOTH), "no space", 100.0)
    o = but(IN_FORCE, configuration_saving=failed)
    assert saved(o, now=100.0 + RETRY_S - 0.1) == []
    assert saved(o, now=100.0 + RETRY_S) == [SavedRenderings(BOTH)]


def exits(o: Observation, policy: Policy = RESTARTABLE) -> list[Exit]:
    """Return how a turn leaves."""
    return [each for each in plan(o, policy, 100.0).actions if isinstance(each, Exit)]


def test_a_prometheus_that_ends_before_it_is_ready_is_started_with_what_was_saved() -> None:
    """Its configuration may be the reason."""
    assert exits(ENDED) == [Exit(2, re_executes=True)]
    assert plan(ENDED, RESTARTABLE, 100.0).cause is Cause.EXITED


@pytest.mark.parametrize(
    ("o", "policy"),
    [
        (ENDED, POLICY),
        (but(ENDED, child_was_ready=True), RESTARTABLE),
        (but(ENDED, child_status=0), RESTARTABLE),
        (but(ENDED, child_status=-9), RESTARTABLE),
        (but(ENDED, stopping_stop_at=98.0), RESTARTABLE),
        (but(ENDED, child_killed_at=98.0), RESTARTABLE),
    ],
    ids=[
        "nothing else is saved",
        "it was ready",
        "it ended in order",
        "it was killed",
        "it was asked to stop",
        "it was killed by us",
    ],
)
def test_any_other_end_of_prometheus_is_the_end(o: Observation, policy: Policy) -> None:
    """The exit status is passed on."""
    assert [each.re_executes for each in exits(o, policy)] == [False]
