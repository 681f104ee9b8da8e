"""What the outside is told fits into its place, whatever it is about."""

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


def told(o: Observation, policy: Policy = POLICY) -> Snapshot:
    """Return what is told of an observation."""
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


def test_samples_lost_with_a_removed_remote_write_stay_counted() -> None:
    """Else nobody would learn of them: neither metrics nor the alert."""
    lost = EndpointReport("thanos", counters={"samples_given_up": 3.0})
    reports = (EndpointReport("mimir"), EndpointReport("old"), lost)
    known = gated(READY, replace(CLOSED, report=GateReport(1, endpoints=reports)))
    found = told(known).gate["endpoints"]
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
def test_very_many_problems_are_told_by_the_first(count: int, lines: int, last: str) -> None:
    """An input of nothing but mistakes must not make the snapshot too large to be published."""
    problem = "\n".join(f"c.yml:{number}:1: no" for number in range(1, count + 1))
    found = told(fold(READY, ConfigurationRejected(problem), NOW, POLICY))
    assert not found.configuration_is_valid
    assert len(found.configuration_problem.splitlines()) == lines
    assert found.configuration_problem.splitlines()[-1].startswith(last)


def test_a_problem_of_great_length_is_cut() -> None:
    """A line is enough to know where to look."""
    found = told(fold(READY, ConfigurationRejected("x" * 10_000_000), NOW, POLICY))
    assert found.configuration_problem == "x" * LONGEST


def test_a_reload_that_does_not_take_place_is_told() -> None:
    """The configuration is good, and yet does not come into force; the log and the API say why."""
    o = but(READY, configuration_loading=rewritten(FOLLOWER, EDITED_FOLLOWER, sent_at=NOW - 0.4))
    refused = ReloadAnswered(EDITED_FOLLOWER.fingerprint, NOW - 0.4, 403, "no lifecycle")
    found = told(fold(o, refused, NOW, POLICY))
    assert found.configuration_is_valid
    assert found.configuration_problem.endswith(": no lifecycle")
    assert told(o).configuration_problem == ""


def test_a_follower_that_writes_may_write_during_a_reload() -> None:
    """One with a remote_write does so until another rendering is known to be in force."""
    writing = replace(FOLLOWER, writes_remotely=True)
    settled = but(READY, configuration_loading=rewritten(writing, writing, sent_at=NOW - 0.4))
    edited = rewritten(writing, EDITED_FOLLOWER, sent_at=NOW - 0.4)
    reloading = but(READY, configuration_loading=edited)
    assert told(settled).may_write
    assert told(reloading).may_write
    answer = ReloadAnswered(EDITED_FOLLOWER.fingerprint, NOW - 0.4, 200)
    assert not told(fold(reloading, answer, NOW, POLICY)).may_write


def test_before_the_lease_is_read_nobody_is_known_to_lead() -> None:
    """It is not known that nobody does; without an election, there is nothing to read."""
    unread = told(but(READY, lease_view=LeaseView()))
    assert known_leader(unread, NOW) is None
    assert unread.lease_problem
    assert unread.lease_transitions is None
    absent = told(but(READY, lease_view=LeaseView(heard_at=1.0)))
    assert known_leader(absent, NOW) == ""
    assert absent.lease_transitions == 0
    assert told(READY, replace(POLICY, fixed_role=Role.FOLLOWER)).lease_problem == ""


def test_a_write_that_failed_is_told_while_it_is_needed() -> None:
    """Not by a standby that could not write the leader's rendering: its own is in the file."""
    said = "the output file cannot be written: disk full"
    failed = FailedWrite("disk full", Role.LEADER, NOW)
    edited = but(LEADING, configuration_renderings=RE_READ, configuration_failed_write=failed)
    assert told(edited).configuration_problem == said
    assert told(but(READY, configuration_failed_write=failed)).configuration_problem == ""
    failed = replace(failed, role=Role.FOLLOWER)
    edited = but(READY, configuration_renderings=RE_READ, configuration_failed_write=failed)
    assert told(edited).configuration_problem == said


def test_what_does_not_fit_is_told_without_what_is_large() -> None:
    """Whatever may be too large one day: the loop goes on, and its word stays fresh."""
    writer = SnapshotWriter()
    supervisor = Supervisor.__new__(Supervisor)
    supervisor._snapshots = writer
    supervisor._put(replace(told(READY), targets={"feeds": ["x" * SLOT_BYTES]}))
    found = SnapshotReader(writer.fileno()).read()
    writer.close()
    assert found is not None
    assert (found.stamped_at, found.targets) == (NOW, {})
