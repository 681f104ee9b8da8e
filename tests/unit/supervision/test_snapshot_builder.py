"""The snapshot: what it shows of an observation, and that it fits into its slot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.known import but
from tests.unit.supervision.test_gate_orders import CLOSED, gated
from tests.unit.supervision.test_plan import (
    EDITED_FOLLOWER,
    FOLLOWER,
    LEADING,
    NOW,
    POLICY,
    RE_READ,
    READY,
    decide,
    rewritten,
)
from wrapper.base.shared_memory import SLOT_BYTES
from wrapper.base.snapshot_channel import SnapshotReader, SnapshotWriter, known_leader
from wrapper.model.events import ConfigurationRejected, ReloadAnswered
from wrapper.model.gate import EndpointReport, GateReport
from wrapper.model.lease import LeaseView
from wrapper.model.roles import Role
from wrapper.model.snapshot import Snapshot
from wrapper.supervision.configuration_state import FailedWrite
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold
from wrapper.supervision.snapshot_builder import LONGEST, MOST_PROBLEMS, Constants, summarize
from wrapper.supervision.supervisor import Supervisor

CONSTANTS = Constants("a", "lease n/l", "http://127.0.0.1:9090", None)


def snapshot_of(o: Observation, policy: Policy = POLICY) -> Snapshot:
    """Return the snapshot of an observation."""
    return summarize(
        o,
        decide(o),
        policy,
        CONSTANTS,
        counters={},
        last_transition_time=0.0,
        configuration_time=0.0,
        now=NOW,
    )


def test_samples_lost_with_a_removed_endpoint_stay_counted() -> None:
    """Samples that were given up for a removed endpoint stay in the snapshot.

    Otherwise neither the metrics nor the alert would show them.
    """
    lost = EndpointReport("thanos", counters={"samples_given_up": 3.0})
    reports = (EndpointReport("mimir"), EndpointReport("old"), lost)
    known = gated(READY, replace(CLOSED, report=GateReport(1, endpoints=reports)))
    found = snapshot_of(known).gate["endpoints"]
    assert [(each["name"], each["url"]) for each in found] == [
        ("mimir", "http://mimir/push"),
        ("thanos", ""),
    ]
    assert found[1]["counters"] == {"samples_given_up": 3.0}


@pytest.mark.parametrize(
    ("count", "lines", "last"),
    [
        (1, 1, "c.yml:1:1: no"),
        (MOST_PROBLEMS, MOST_PROBLEMS, f"c.yml:{MOST_PROBLEMS}:1: no"),
        (MOST_PROBLEMS + 1, MOST_PROBLEMS + 1, "and 1 more; "),
        (100_000, MOST_PROBLEMS + 1, "and 99,900 more; "),
    ],
)
def test_many_problems_are_cut_to_the_first_ones(count: int, lines: int, last: str) -> None:
    """Of very many problems, the snapshot has the first ones and the number of the others.

    Otherwise the snapshot could be too large to be published.
    """
    problem = "\n".join(f"c.yml:{number}:1: no" for number in range(1, count + 1))
    found = snapshot_of(fold(READY, ConfigurationRejected(problem), NOW, POLICY))
    assert not found.configuration_is_valid
    assert len(found.configuration_problem.splitlines()) == lines
    assert found.configuration_problem.splitlines()[-1].startswith(last)


def test_long_problem_is_cut() -> None:
    """A very long problem is cut to the longest length that a snapshot may have."""
    found = snapshot_of(fold(READY, ConfigurationRejected("x" * 10_000_000), NOW, POLICY))
    assert found.configuration_problem == "x" * LONGEST


def test_failed_reload_is_shown_as_a_problem() -> None:
    """If a valid configuration cannot be reloaded, the snapshot gives the reason as a problem."""
    o = but(READY, configuration_loading=rewritten(FOLLOWER, EDITED_FOLLOWER, sent_at=NOW - 0.4))
    refused = ReloadAnswered(EDITED_FOLLOWER.fingerprint, NOW - 0.4, 403, "no lifecycle")
    found = snapshot_of(fold(o, refused, NOW, POLICY))
    assert found.configuration_is_valid
    assert found.configuration_problem.endswith(": no lifecycle")
    assert snapshot_of(o).configuration_problem == ""


def test_follower_with_remote_write_may_write_during_a_reload() -> None:
    """A follower with ``remote_write`` may write until another rendering is in force."""
    writing = replace(FOLLOWER, writes_remotely=True)
    settled = but(READY, configuration_loading=rewritten(writing, writing, sent_at=NOW - 0.4))
    edited = rewritten(writing, EDITED_FOLLOWER, sent_at=NOW - 0.4)
    reloading = but(READY, configuration_loading=edited)
    assert snapshot_of(settled).may_write
    assert snapshot_of(reloading).may_write
    answer = ReloadAnswered(EDITED_FOLLOWER.fingerprint, NOW - 0.4, 200)
    assert not snapshot_of(fold(reloading, answer, NOW, POLICY)).may_write


def test_leader_is_unknown_before_the_lease_is_read() -> None:
    """Before the lease is read, the leader is unknown; an absent lease has none.

    Without an election there is nothing to read, and no problem.
    """
    unread = snapshot_of(but(READY, lease_view=LeaseView()))
    assert known_leader(unread, NOW) is None
    assert unread.lease_problem
    assert unread.lease_transitions is None
    absent = snapshot_of(but(READY, lease_view=LeaseView(heard_at=1.0)))
    assert known_leader(absent, NOW) == ""
    assert absent.lease_transitions == 0
    assert snapshot_of(READY, replace(POLICY, fixed_role=Role.FOLLOWER)).lease_problem == ""


def test_failed_write_is_shown_while_the_rendering_is_needed() -> None:
    """A failed write is shown only if the role needs its rendering.

    For a standby, a failed write of the leader rendering is no problem: its own is in the file.
    """
    said = "the output file cannot be written: disk full"
    failed = FailedWrite("disk full", Role.LEADER, NOW)
    edited = but(LEADING, configuration_renderings=RE_READ, configuration_failed_write=failed)
    assert snapshot_of(edited).configuration_problem == said
    assert snapshot_of(but(READY, configuration_failed_write=failed)).configuration_problem == ""
    failed = replace(failed, role=Role.FOLLOWER)
    edited = but(READY, configuration_renderings=RE_READ, configuration_failed_write=failed)
    assert snapshot_of(edited).configuration_problem == said


def test_snapshot_that_is_too_large_omits_large_parts() -> None:
    """A snapshot that does not fit is published without its large parts, so that it stays fresh."""
    writer = SnapshotWriter()
    supervisor = Supervisor.__new__(Supervisor)
    supervisor._snapshots = writer
    supervisor._put(replace(snapshot_of(READY), targets={"feeds": ["x" * SLOT_BYTES]}))
    found = SnapshotReader(writer.fileno()).read()
    writer.close()
    assert found is not None
    assert (found.stamped_at, found.targets) == (NOW, {})
