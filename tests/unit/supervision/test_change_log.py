"""The log lines about changed inputs, with and without the gate, and about Prometheus' exit."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.events import ChildExited, ConfigurationRead
from wrapper.model.gate import Endpoint
from wrapper.model.roles import Cause, Role, Stance
from wrapper.supervision import loaded_rendering
from wrapper.supervision.change_log import ChangeLog
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy

POLICY = Policy(LeaseTerms("a", "a-1", 10.0, 8.0, 2.0, 9.2))
SILENT = Rendering(Role.FOLLOWER, b"", "f", writes_remotely=False)
WRITING = Rendering(Role.LEADER, b"", "l", writes_remotely=True)
BESIDE = replace(
    SILENT, fingerprint="b", writes_remotely=True, endpoints=(Endpoint("a", "http://r"),)
)
GATED = replace(BESIDE, fingerprint="g", is_gated=True)
NONE = Renderings(SILENT, SILENT)
OVERRIDES = Renderings(SILENT, WRITING)
GATE = Renderings(GATED, GATED)
IN_PART = Renderings(BESIDE, BESIDE)
LOST = "the leader no longer has any overrides: all replicas load the same file"
ALL_WRITE = "the follower's part has a remote_write: every replica writes"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (OVERRIDES, OVERRIDES, []),
        (OVERRIDES, NONE, [LOST]),
        (NONE, OVERRIDES, []),
        (OVERRIDES, Renderings(WRITING, SILENT), [ALL_WRITE]),
        (OVERRIDES, GATE, []),
        (GATE, OVERRIDES, []),
        (GATE, NONE, [LOST]),
        (NONE, GATE, []),
        (GATE, IN_PART, [ALL_WRITE]),
        (IN_PART, IN_PART, []),
    ],
)
def test_probable_mistake_in_the_inputs_is_logged_as_a_warning(
    before: Renderings,
    after: Renderings,
    expected: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Lost overrides and a follower that writes are logged as warnings.

    With the gate both renderings may be the same, and both write to it: no warning.
    """
    state = ConfigurationState(before, loaded_rendering.started_with(before.follower, 90.0))
    observation = Observation(state, role_since=90.0, safe_since=90.0)
    with caplog.at_level(logging.WARNING):
        ChangeLog(POLICY).log(ConfigurationRead(after), observation, observation, 100.0)
    assert [record.getMessage() for record in caplog.records] == expected


def test_each_reason_for_the_role_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A new reason is logged once, also if the role stays: users see why it does not lead."""
    state = ConfigurationState(OVERRIDES, loaded_rendering.started_with(SILENT, 90.0))
    follower = Observation(state, role_since=90.0, safe_since=90.0)
    log = ChangeLog(POLICY)
    with caplog.at_level(logging.INFO):
        for role, reason in (
            (Role.FOLLOWER, "Prometheus is not ready"),
            (Role.FOLLOWER, "b holds the lease"),
            (Role.FOLLOWER, "b holds the lease"),
            (Role.LEADER, "holds the lease"),
        ):
            log.log(
                Plan(role, Stance.CONTEND, (), reason, Cause.LOST, 0.0), follower, follower, 100.0
            )
    assert [(each.getMessage(), vars(each)["reason"]) for each in caplog.records] == [
        ("starting as follower", "Prometheus is not ready"),
        ("still follower", "b holds the lease"),
        ("role changed", "holds the lease"),
    ]


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (ChildState(), ["Prometheus has exited"]),
        (ChildState(terminated_at=95.0), []),
        (ChildState(killed_at=95.0), []),
    ],
)
def test_unrequested_exit_of_prometheus_is_logged_as_an_error(
    child: ChildState, expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An exit of Prometheus is logged as an error unless this program ended it.

    This program exits too, and its last log lines must give the reason.
    """
    loading = loaded_rendering.started_with(SILENT, 90.0)
    state = ConfigurationState(NONE, loading)
    before = Observation(state, role_since=90.0, safe_since=90.0, child=child)
    with caplog.at_level(logging.ERROR):
        ChangeLog(POLICY).log(ChildExited(1), before, before, 100.0)
    assert [record.getMessage() for record in caplog.records] == expected
