"""The counters: each fact is counted once, under its name, with labels from a closed set only."""

from __future__ import annotations

import signal

import pytest

from tests.unit.known import but, decided
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.actions import KillGate, ReloadPrometheus, SignalPrometheus
from wrapper.model.configuration import Evidence, Rendering, Renderings
from wrapper.model.events import (
    Event,
    LeaseAsked,
    LoadedObserved,
    PodLabelAnswered,
    ReloadAnswered,
    WebStarted,
    WriteFailed,
)
from wrapper.model.label_values import LEASE_ERRORS
from wrapper.model.roles import Cause, Role
from wrapper.supervision import loaded_rendering
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.counters import Counters
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
POLICY = Policy(LeaseTerms("a", "a-1", 10.0, 8.0, 2.0, 9.2))
STARTED = loaded_rendering.started_with(FOLLOWER, 90.0)
WRITTEN = loaded_rendering.written(loaded_rendering.write_started(STARTED, LEADER), LEADER, 100.0)
NEW = Observation(ConfigurationState(Renderings(FOLLOWER, LEADER), STARTED), 90.0)
PROMOTED = but(NEW, role=Role.LEADER, configuration_loading=WRITTEN)
RELOAD = decided(ReloadPrometheus("l"), role=Role.LEADER)


def shown(*, writes_remotely: bool, is_successful: bool) -> LoadedObserved:
    """Return an observation of what Prometheus has loaded."""
    return LoadedObserved(Evidence("i", writes_remotely, is_successful, 5.0, 100.5))


LOADED = shown(writes_remotely=True, is_successful=True)
REFUSED = shown(writes_remotely=False, is_successful=False)


def count(*happened: Event | Plan, known: Observation = NEW) -> dict[str, float]:
    """Return the totals above 0 after these events and decisions."""
    tally, o = Counters(), known
    for each in happened:
        before, o = o, fold(o, each, 101.0, POLICY)
        tally.count(each, before, o, 101.0, wall=1e9)
    return {name: total for name, total in tally.totals.items() if total}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (WebStarted(1), "web_starts_total"),
        (WriteFailed(LEADER, "disk full"), "config_write_failures_total"),
        (PodLabelAnswered("no"), "pod_label_failures_total"),
        (LeaseAsked(is_renewal=False, duration_s=1, error="timeout"), "lease_errors_total:timeout"),
        (LeaseAsked(is_renewal=True, duration_s=1, error="made up"), "lease_errors_total:other"),
    ],
)
def test_each_event_is_counted_once(event: Event, name: str) -> None:
    """Each event increases exactly one total, by one."""
    assert count(event) == {name: 1.0}


@pytest.mark.parametrize("event", [PodLabelAnswered(), LeaseAsked(is_renewal=False, duration_s=1)])
def test_success_is_not_counted_as_an_error(event: Event) -> None:
    """A pod label that is set and a lease that is read increase no total."""
    assert count(event) == {}


def test_renewal_is_counted_by_its_duration() -> None:
    """A renewal of 0.02 s is counted in the bucket 0.025 and in all above."""
    found = count(LeaseAsked(is_renewal=True, duration_s=0.02))
    assert found["lease_renew_duration_seconds_count"] == 1
    assert found["lease_renew_duration_seconds_sum"] == 0.02
    assert "lease_renew_duration_seconds_bucket_le_0.01" not in found
    assert found["lease_renew_duration_seconds_bucket_le_0.025"] == 1
    assert found["lease_renew_duration_seconds_bucket_le_10.0"] == 1


def test_reload_is_confirmed_once() -> None:
    """A reload is counted once, with the time from the rename (100) to the first proof (101)."""
    found = count(RELOAD, LOADED, LOADED, known=PROMOTED)
    assert found["reloads_confirmed_total"] == 1
    assert found["reload_duration_seconds_sum"] == 1.0
    assert found["config_last_reload_success_timestamp_seconds"] == 1e9


def test_initial_configuration_is_not_counted_as_a_reload() -> None:
    """The configuration of the start sets the time of the last success, but counts as no reload."""
    seen = shown(writes_remotely=False, is_successful=True)
    assert count(seen) == {"config_last_reload_success_timestamp_seconds": 1e9}


@pytest.mark.parametrize(("status", "word"), [(500, "refused"), (403, "failed"), (0, "no_answer")])
def test_failed_reload_is_counted_by_its_reason(status: int, word: str) -> None:
    """A failed reload is counted by the status of its answer, also under the Go program's name."""
    found = count(RELOAD, ReloadAnswered("l", 100.5, status), known=PROMOTED)
    assert found[f"reloads_failed_total:{word}"] == 1
    assert found["notifier_calls_errors"] == 1


def test_refusal_in_the_metrics_is_counted_once() -> None:
    """With SIGHUP there is no answer: a refusal that only the metrics show is counted once."""
    found = count(RELOAD, REFUSED, REFUSED, known=PROMOTED)
    assert found["reloads_failed_total:refused"] == 1
    assert found.get("notifier_calls_errors") == 1


def test_answered_refusal_is_not_counted_again_from_the_metrics() -> None:
    """A refusal by status 500 is not counted again when the metrics show it too."""
    answered = ReloadAnswered("l", 100.5, 500)
    found = count(RELOAD, answered, REFUSED, known=PROMOTED)
    assert found["reloads_failed_total:refused"] == 1
    assert found["notifier_calls_errors"] == 1


def test_change_of_role_is_counted_by_its_cause() -> None:
    """A change of role is counted once, by its cause, in the turn that changes it."""
    leads = decided(role=Role.LEADER, cause=Cause.ACQUIRED)
    found = count(leads, leads, decided(cause=Cause.STEPPING_DOWN))
    assert found["role_transitions_total:acquired"] == 1
    assert found["role_transitions_total:stepping_down"] == 1


@pytest.mark.parametrize(("known", "kills"), [(PROMOTED, 1.0), (NEW, 0.0)])
def test_only_the_kill_of_a_possible_writer_is_fencing(known: Observation, kills: float) -> None:
    """A kill counts as fencing only if Prometheus may write.

    A follower that does not stop is killed too; and a gate is not Prometheus.
    """
    kill, end = (SignalPrometheus(number, "") for number in (signal.SIGKILL, signal.SIGTERM))
    gate = decided(KillGate("it had not closed"), role=known.role)
    found = count(decided(kill, role=known.role), decided(end, role=known.role), gate, known=known)
    assert found.get("fencing_kills_total", 0.0) == kills


def test_time_without_a_leader_adds_up() -> None:
    """The time without a leader is the sum of the times from losing one to finding the next."""
    tally = Counters()
    for leader, now in (("a", 1.0), ("", 3.0), ("", 4.0), ("b", 6.0), ("b", 9.0), ("", 10.0)):
        tally.count_leaderless(leader, now)
    assert tally.totals["leaderless_seconds_total"] == 3.0


def test_every_reason_has_a_total_from_the_start() -> None:
    """Every reason has a total of 0 from the start, so that ``rate`` sees the first increase."""
    names = set(Counters().totals)
    assert {f"role_transitions_total:{cause}" for cause in Cause} < names
    assert {f"lease_errors_total:{word}" for word in LEASE_ERRORS} < names
