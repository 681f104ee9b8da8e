"""The last moment: the dead-man's switch and the kill of Prometheus use the same formula."""

from __future__ import annotations

import signal
from dataclasses import fields
from typing import Any

import pytest

from wrapper.base.thread_group import ThreadGroup
from wrapper.model.actions import ArmSwitch, SignalPrometheus
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.lease import LeaseRecord, LeaseView
from wrapper.model.roles import Role
from wrapper.options.loading import load
from wrapper.options.prometheus_args import ChildArguments
from wrapper.startup import assembly
from wrapper.startup.startup_state import StartupState
from wrapper.supervision import loaded_rendering
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.observation import LeaseState, Observation
from wrapper.supervision.performer import Performer, PerformerParts
from wrapper.supervision.plan import plan
from wrapper.supervision.policy import Policy

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
RENEWED_AT = 99.0
WRITING = Observation(
    ConfigurationState(Renderings(FOLLOWER, LEADER), loaded_rendering.started_with(LEADER, 50.0)),
    role=Role.LEADER,
    role_since=60.0,
    lease=LeaseState(
        LeaseView(last=LeaseRecord("a", 15.0), renewed_at=RENEWED_AT), last_renewed_at=RENEWED_AT
    ),
)


class Switch:
    """Records the times to which the kernel's timer would be set."""

    def __init__(self) -> None:
        self.armed: list[float] = []

    def arm(self, at: float) -> None:
        """Record the time."""
        self.armed.append(at)


def policy_of(*times: str) -> Policy:
    """Return the policy that results from these flags."""
    child = ("prometheus", "--config.file=p.yml")
    argv = ("--config=c.yml", "--lease-lock=file:/l", *times, "--", *child)
    settings = load(argv, {}, hostname="host", incarnation="random")
    nothing_read: Any = None
    start = StartupState(settings, ChildArguments.parse(child), nothing_read, None)
    return Policy(terms=assembly._terms(start))


@pytest.mark.parametrize(
    ("times", "last_moment_s"),
    [
        pytest.param((), 13.95, id="15 s"),
        pytest.param(("--lease-duration=10s", "--lease-renew-deadline=8s"), 9.2, id="10 s"),
        pytest.param(
            ("--lease-duration=3s", "--lease-renew-deadline=2s", "--lease-retry-period=500ms"),
            2.55,
            id="3 s",
        ),
    ],
)
def test_last_moment_is_95_percent_of_the_lease_less_300_ms(
    times: tuple[str, ...], last_moment_s: float
) -> None:
    """The last moment counts from the last renewal; the supervisor's kill comes 50 ms earlier."""
    policy = policy_of(*times)
    last_moment = RENEWED_AT + last_moment_s

    [armed] = [each for each in plan(WRITING, policy, RENEWED_AT).actions if _arms(each)]
    switch = Switch()
    parts: Any = dict.fromkeys(field.name for field in fields(PerformerParts))
    performer = Performer(
        PerformerParts(**parts | {"switch": switch}), lambda _: None, ThreadGroup(lambda _: None)
    )
    performer.perform(armed)
    assert switch.armed == [pytest.approx(last_moment)]

    kills_at = last_moment - 0.05
    assert not any(map(_kills, plan(WRITING, policy, kills_at - 0.001).actions))
    assert any(map(_kills, plan(WRITING, policy, kills_at + 0.001).actions))


def _arms(action: object) -> bool:
    return isinstance(action, ArmSwitch)


def _kills(action: object) -> bool:
    return isinstance(action, SignalPrometheus) and action.number == signal.SIGKILL
