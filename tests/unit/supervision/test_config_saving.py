"""The configuration in force is saved for the next start, and used if Prometheus fails."""

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
    """Return the renderings that one turn of the loop saves."""
    actions = plan(o, policy, now).actions
    return [each.renderings for each in actions if isinstance(each, SaveRenderings)]


def test_renderings_in_force_are_saved_once() -> None:
    """The renderings in force are saved once; new ones are saved when they are good."""
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


def test_last_leader_rendering_is_saved_until_a_newer_one_is_loaded() -> None:
    """While only a follower has loaded a new input, the last good leader rendering is saved too.

    Whether the new leader rendering can be loaded is not known yet.
    """
    assert saved(but(IN_FORCE, configuration_rollback=started_with(BOTH, LEADER))) == [
        SavedRenderings(BOTH)
    ]
    newer = started_with(RE_READ, LEADER)
    assert saved(but(IN_FORCE, configuration_rollback=newer)) == [SavedRenderings(RE_READ, LEADER)]


def test_replica_is_not_ready_before_the_newest_input_was_tried() -> None:
    """A replica does not lead before Prometheus has loaded the newest input after a failed start.

    Otherwise the promotion would be the first to try it, and could fail; the saved renderings could
    lead at once.
    """
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
    ids=["Prometheus was never ready", "rendering not confirmed", "no rendering was ever good"],
)
def test_unconfirmed_renderings_are_not_saved(o: Observation) -> None:
    """Renderings that are not confirmed to be in force are not saved.

    They may be what the next start fails with.
    """
    assert saved(o) == []


def test_plain_prometheus_has_nothing_to_save() -> None:
    """If Prometheus reads its own file, nothing is rendered and nothing is saved."""
    assert saved(IN_FORCE, replace(POLICY, is_plain=True)) == []


def test_failed_save_is_retried_later() -> None:
    """A save that failed is retried after a pause, not at every turn of the loop."""
    failed = config_saving.ended(SavedRenderings(BOTH), "no space", 100.0)
    o = but(IN_FORCE, configuration_saving=failed)
    assert saved(o, now=100.0 + RETRY_S - 0.1) == []
    assert saved(o, now=100.0 + RETRY_S) == [SavedRenderings(BOTH)]


def exits(o: Observation, policy: Policy = RESTARTABLE) -> list[Exit]:
    """Return the exit actions of one turn of the loop."""
    return [each for each in plan(o, policy, 100.0).actions if isinstance(each, Exit)]


def test_saved_renderings_are_used_if_prometheus_exits_before_ready() -> None:
    """If Prometheus fails before it is ready, the program re-executes with the saved renderings.

    The configuration may be the cause.
    """
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
        "no other renderings are saved",
        "Prometheus was ready",
        "Prometheus exited with status 0",
        "Prometheus was killed by another program",
        "a stop was requested",
        "this program killed Prometheus",
    ],
)
def test_other_exits_of_prometheus_do_not_re_execute(o: Observation, policy: Policy) -> None:
    """After any other exit of Prometheus, the program exits with its status."""
    assert [each.re_executes for each in exits(o, policy)] == [False]
