"""How events and decisions change the observation: the named fields, and no others."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.known import but, changes, decided
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.actions import (
    Action,
    ArmSwitch,
    ReloadPrometheus,
    SignalPrometheus,
    StopWeb,
    WriteRendering,
)
from wrapper.model.configuration import Evidence, Rendering, Renderings
from wrapper.model.events import (
    ChildExited,
    ChildMeasured,
    ConfigurationRead,
    ConfigurationRejected,
    Event,
    FeedReported,
    FenceChecked,
    HealthProbed,
    LeaseReported,
    LoadedObserved,
    PauseRead,
    QueueReported,
    ReadinessProbed,
    ReloadAnswered,
    ReloadWanted,
    RenderingWritten,
    SignalReceived,
    WebExited,
    WebStarted,
    WriteFailed,
)
from wrapper.model.lease import LeaseRecord, LeaseView
from wrapper.model.pause import Pause
from wrapper.model.roles import Role, Verdict
from wrapper.supervision import config_rollback, loaded_rendering
from wrapper.supervision.child_state import Health
from wrapper.supervision.configuration_state import ConfigurationState, FailedWrite
from wrapper.supervision.loaded_rendering import Outcome
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
EDITED = Renderings(FOLLOWER, replace(LEADER, fingerprint="m"))
TERMS = LeaseTerms("a", "a-1", 10.0, 8.0, 2.0, 9.2)
POLICY = Policy(TERMS, failure_threshold=1, success_threshold=1, step_down_pause_s=30.0)
NEW = Observation(
    ConfigurationState(Renderings(FOLLOWER, LEADER), loaded_rendering.started_with(FOLLOWER, 90.0)),
    role_since=90.0,
    safe_since=90.0,
)
STARTED = loaded_rendering.write_started(NEW.configuration.loading, LEADER)
WRITTEN = loaded_rendering.written(STARTED, LEADER, 100.0)
HELD = LeaseView(last=LeaseRecord("a"), changed_at=99.0, renewed_at=99.0)
ANOTHERS = LeaseView(last=LeaseRecord("b"), changed_at=99.0)
FREE = LeaseView(last=LeaseRecord(), changed_at=99.0, released_at=99.0)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            SignalReceived(signal.SIGTERM),
            {"stopping_signalled_at": 100.0, "stopping_stop_at": 100.0},
        ),
        (
            SignalReceived(signal.SIGINT),
            {"stopping_signalled_at": 100.0, "stopping_stop_at": 100.0},
        ),
        (
            SignalReceived(signal.SIGUSR1),
            {"stopping_steps_down_until": 130.0, "pending_pause": True},
        ),
        (PauseRead(Pause(150.0, 1e9)), {"stopping_pause": Pause(150.0, 1e9)}),
        (SignalReceived(signal.SIGHUP), {"pending_configuration": True}),
        (SignalReceived(signal.SIGQUIT), {"pending_signals": (signal.SIGQUIT,)}),
        (SignalReceived(signal.SIGUSR2), {"pending_signals": (signal.SIGUSR2,)}),
        (ChildExited(-9), {"child_status": -9, "child_exited_at": 100.0}),
        (WebStarted(7), {"web_pid": 7, "web_started_at": 100.0}),
        (ReadinessProbed(is_ready=False, detail="503"), {"child_readiness_detail": "503"}),
        (ReadinessProbed(is_ready=True), {"child_is_ready": True, "child_was_ready": True}),
        (
            HealthProbed(is_healthy=False, detail="503"),
            {"child_health": Health(is_healthy=False, detail="503")},
        ),
        (LeaseReported(HELD), {"lease_view": HELD, "lease_last_renewed_at": 99.0}),
        (LeaseReported(ANOTHERS), {"lease_view": ANOTHERS}),
        (ConfigurationRead(EDITED), {"configuration_renderings": EDITED}),
        (ConfigurationRejected("line 3"), {"configuration_problem": "line 3"}),
        (RenderingWritten(LEADER), {"configuration_loading": WRITTEN}),
        (
            WriteFailed(LEADER, "disk full"),
            {"configuration_failed_write": FailedWrite("disk full", Role.LEADER, 100.0)},
        ),
        (FenceChecked(""), {"fencing_obstacle": ""}),
        (ChildMeasured({"open_fds": 9.0}), {"child_usage": {"open_fds": 9.0}}),
    ],
    ids=lambda value: repr(value)[:50] if not isinstance(value, dict) else "",
)
def test_event_changes_only_its_fields(event: Event, expected: dict[str, Any]) -> None:
    """Each event, folded in at 100, changes these fields and no others."""
    assert changes(NEW, fold(NEW, event, 100.0, POLICY)) == expected


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        pytest.param(
            but(NEW, stopping_signalled_at=99.0, stopping_stop_at=99.0),
            SignalReceived(signal.SIGTERM),
            {"stopping_is_urgent": True},
            id="a second stop signal is urgent and keeps the first one's time",
        ),
        pytest.param(
            but(NEW, stopping_signalled_at=99.1, stopping_stop_at=99.1),
            SignalReceived(signal.SIGINT),
            {},
            id="a stop signal within a second of the first is the same request",
        ),
        pytest.param(
            but(NEW, stopping_signalled_at=97.0, stopping_stop_at=97.0, stopping_is_urgent=True),
            SignalReceived(signal.SIGTERM),
            {},
            id="a third stop signal changes nothing",
        ),
        pytest.param(
            but(NEW, stopping_stop_at=90.0, stopping_failure="a thread ended"),
            SignalReceived(signal.SIGTERM),
            {"stopping_signalled_at": 100.0},
            id="after a failure, the first stop signal is not urgent",
        ),
        pytest.param(
            but(NEW, child_is_ready=True, child_was_ready=True),
            ChildExited(0),
            {"child_status": 0, "child_exited_at": 100.0, "child_is_ready": False},
            id="a child that has ended is not ready",
        ),
        pytest.param(
            but(NEW, child_is_ready=True, child_was_ready=True),
            ReadinessProbed(is_ready=False, detail="HTTP 503"),
            {"child_is_ready": False, "child_readiness_detail": "HTTP 503"},
            id="a child that is no longer ready still was ready",
        ),
        pytest.param(
            but(NEW, lease_view=HELD, lease_last_renewed_at=99.0),
            LeaseReported(ANOTHERS),
            {"lease_view": ANOTHERS},
            id="a lost lease keeps the time of its last renewal",
        ),
        pytest.param(
            but(NEW, stopping_steps_down_until=130.0),
            LeaseReported(ANOTHERS),
            {"lease_view": ANOTHERS, "stopping_steps_down_until": None},
            id="a step-down ends when another replica leads",
        ),
        pytest.param(
            but(NEW, stopping_steps_down_until=130.0),
            LeaseReported(HELD),
            {"lease_view": HELD, "lease_last_renewed_at": 99.0},
            id="a step-down does not end by our own lease",
        ),
        pytest.param(
            but(NEW, stopping_steps_down_until=130.0),
            LeaseReported(FREE),
            {"lease_view": FREE},
            id="a step-down does not end by our own release",
        ),
        pytest.param(
            but(NEW, configuration_problem="line 3"),
            ConfigurationRead(EDITED),
            {"configuration_renderings": EDITED, "configuration_problem": ""},
            id="a valid input ends the problem of an invalid one",
        ),
        pytest.param(
            but(NEW, promotion_cools_until=400.0, promotion_failures=6),
            ConfigurationRead(EDITED),
            {"configuration_renderings": EDITED, "promotion_cools_until": 0.0},
            id="new renderings end a cool-down, and its length is kept for the next",
        ),
        pytest.param(
            but(NEW, promotion_cools_until=400.0),
            ConfigurationRead(NEW.configuration.renderings),
            {},
            id="inputs that render as before do not end a cool-down",
        ),
        pytest.param(
            but(NEW, promotion_cools_until=400.0),
            SignalReceived(signal.SIGHUP),
            {"pending_configuration": True, "promotion_cools_until": 0.0},
            id="SIGHUP ends a cool-down",
        ),
        pytest.param(
            but(NEW, configuration_loading=STARTED),
            WriteFailed(LEADER, "disk full"),
            {
                "configuration_loading": NEW.configuration.loading,
                "configuration_failed_write": FailedWrite("disk full", Role.LEADER, 100.0),
            },
            id="a rendering that could not be written cannot be loaded",
        ),
        pytest.param(
            but(NEW, web_pid=7, web_started_at=99.0, web_failures=2),
            WebExited(1),
            {"web_pid": None, "web_exited_at": 100.0, "web_failures": 3},
            id="a web server that exits soon adds to its failures",
        ),
        pytest.param(
            but(NEW, web_pid=7, web_started_at=60.0, web_failures=5),
            WebExited(1),
            {"web_pid": None, "web_exited_at": 100.0, "web_failures": 1},
            id="a web server that ran for long restarts the count of failures",
        ),
    ],
)
def test_effect_of_an_event_depends_on_the_observation(
    before: Observation, event: Event, expected: dict[str, Any]
) -> None:
    """What is already observed decides the effect of an event."""
    assert changes(before, fold(before, event, 100.0, POLICY)) == expected


def test_evidence_and_answers_change_the_loading() -> None:
    """Evidence and the answer to a reload request confirm the written rendering."""
    before = but(NEW, configuration_loading=loaded_rendering.reload_sent(WRITTEN, 100.0))
    evidence = Evidence("i", True, True, 5.0, 101.0)  # noqa: FBT003
    seen = fold(before, LoadedObserved(evidence), 101.0, POLICY)
    assert seen.configuration.loading.outcome is Outcome.LOADED
    told = fold(before, ReloadAnswered("l", 100.0, 200), 101.0, POLICY)
    assert told.configuration.loading.is_settled


@pytest.mark.parametrize(
    ("observation", "may_write"),
    [
        pytest.param(NEW, False, id="a follower may not write"),
        pytest.param(
            but(NEW, configuration_loading=STARTED),
            True,
            id="a leader rendering counts from before its rename",
        ),
        pytest.param(
            but(NEW, configuration_loading=WRITTEN, child_status=0),
            False,
            id="a dead Prometheus may not write",
        ),
    ],
)
def test_possible_writer_may_have_loaded_the_leader_rendering(
    observation: Observation, *, may_write: bool
) -> None:
    """A running Prometheus that may have loaded the leader rendering is a possible writer."""
    assert observation.writer.may_write is may_write


def test_new_role_is_stored_with_its_time() -> None:
    """A new role counts from now, an unchanged one from before; pending orders are cleared."""
    asked = but(NEW, pending_configuration=True, pending_signals=(3,))
    led = fold(asked, decided(role=Role.LEADER), 100.0, POLICY)
    assert (led.role, led.role_since) == (Role.LEADER, 100.0)
    assert (led.pending.configuration, led.pending.signals) == (False, ())
    assert fold(led, decided(role=Role.LEADER), 105.0, POLICY).role_since == 100.0


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(
            WriteRendering(LEADER),
            {
                "configuration_loading": STARTED,
                "configuration_failed_write": FailedWrite(),
                "safe_since": None,
            },
            id="a write counts as possibly loaded and clears the last failed write",
        ),
        pytest.param(
            ReloadPrometheus("f"),
            {
                "configuration_loading": loaded_rendering.reload_sent(
                    NEW.configuration.loading, 100.0
                )
            },
            id="a reload has been sent",
        ),
        pytest.param(ArmSwitch(108.0), {"fencing_switch_at": 108.0}, id="the switch is armed"),
        pytest.param(
            SignalPrometheus(signal.SIGKILL), {"child_killed_at": 100.0}, id="it was killed"
        ),
        pytest.param(StopWeb(), {"web_stopped_at": 100.0}, id="the web server has been stopped"),
    ],
)
def test_decided_action_changes_only_its_fields(action: Action, expected: dict[str, Any]) -> None:
    """Each decided action changes these fields and no others, before it is performed."""
    before = but(NEW, configuration_failed_write=FailedWrite("disk full", Role.LEADER, 99.0))
    assert changes(before, fold(before, decided(action), 100.0, POLICY)) == expected


def test_safe_since_is_kept_until_prometheus_may_write() -> None:
    """``safe_since`` stays while Prometheus cannot write, and is None while it may."""
    o = fold(but(NEW, safe_since=None), decided(), 100.0, POLICY)
    safe = fold(o, decided(), 101.0, POLICY)
    assert safe.safe_since == 100.0
    writing = but(safe, configuration_loading=WRITTEN)
    assert fold(writing, decided(role=Role.LEADER), 102.0, POLICY).safe_since is None


@pytest.mark.parametrize(
    ("loading", "now", "failures"),
    [
        pytest.param(
            loaded_rendering.started_with(LEADER, 60.0),
            100.0,
            3,
            id="not before the leader rendering is loaded",
        ),
        pytest.param(
            replace(loaded_rendering.started_with(LEADER, 60.0), outcome=Outcome.LOADED),
            80.0,
            3,
            id="not after a short time",
        ),
        pytest.param(
            replace(loaded_rendering.started_with(LEADER, 60.0), outcome=Outcome.LOADED),
            100.0,
            0,
            id="after half a minute as leader",
        ),
    ],
)
def test_failed_promotions_are_forgotten_after_a_lasting_one(
    loading: loaded_rendering.LoadState, now: float, failures: int
) -> None:
    """The count of failed promotions is reset after half a minute as a confirmed leader."""
    leading = but(
        NEW, role=Role.LEADER, role_since=60.0, configuration_loading=loading, promotion_failures=3
    )
    after = fold(leading, decided(role=Role.LEADER), now, POLICY)
    assert after.promotion.failures == failures
    following = fold(but(leading, role=Role.FOLLOWER), decided(), now, POLICY)
    assert following.promotion.failures == 3, "a follower does not reset the count"


@pytest.mark.parametrize(("until_at", "stays"), [(150.0, True), (99.0, False)])
def test_paused_replica_does_not_step_down_again(until_at: float, stays: bool) -> None:
    """If SIGUSR1 arrives during a pause, the file is read again, and no new step-down begins.

    The signal then means that the file has changed: perhaps the pause is over.
    """
    paused = but(NEW, stopping_pause=Pause(until_at, 1e9))
    after = fold(paused, SignalReceived(signal.SIGUSR1), 100.0, POLICY)
    assert after.pending.pause
    assert (after.stopping.steps_down_until is None) is stays


# --- rule files beside the configuration ----------------------------------------------------------

BAD = ReloadAnswered("l", 101.0, 500, "group x: no")
SEEN = Evidence("i", writes_remotely=True, is_successful=True, success_time=1.0, asked_at=100.5)
LED = but(
    NEW,
    role=Role.LEADER,
    configuration_rollback=config_rollback.started_with(NEW.configuration.renderings),
    configuration_loading=replace(WRITTEN, possibly_in_force=(LEADER,), outcome=Outcome.LOADED),
)


def after(
    o: Observation, *happened: Event | ReloadPrometheus | WriteRendering, now: float = 102.0
) -> Observation:
    """Return the observation after these events and decided actions."""
    for each in happened:
        if isinstance(each, ReloadPrometheus | WriteRendering):
            o = fold(o, decided(each, role=o.role), now, POLICY)
        else:
            o = fold(o, each, now, POLICY)
    return o


@pytest.mark.parametrize(
    "refusal",
    [BAD, LoadedObserved(replace(SEEN, is_successful=False, asked_at=101.5))],
    ids=["by answer", "by metrics"],
)
def test_refusal_of_changed_files_is_not_one_of_the_configuration(refusal: Event) -> None:
    """If changed files cause the refusal, the configuration stays loaded and is not rejected."""
    wants = after(LED, ReloadWanted(1, has_changed_files=True), now=100.0)
    o = after(wants, LoadedObserved(SEEN), ReloadPrometheus("l"), refusal)
    assert o.reload.verdict is Verdict.REFUSED
    assert o.configuration.loading.outcome is Outcome.LOADED
    assert o.configuration.rejection == ""


@pytest.mark.parametrize(
    "refusal",
    [BAD, LoadedObserved(replace(SEEN, is_successful=False, asked_at=101.5))],
    ids=["by answer", "by metrics"],
)
def test_refusal_with_an_unconfirmed_configuration_is_ambiguous(refusal: Event) -> None:
    """If a rendering is not confirmed, a refusal may be due to it or to the changed files."""
    edited = EDITED.leader
    pending = after(LED, WriteRendering(edited), RenderingWritten(edited), now=99.5)
    for before, is_ambiguous in ((pending, True), (LED, False)):
        wants = after(before, ReloadWanted(1, has_changed_files=True), now=100.0)
        o = after(wants, LoadedObserved(SEEN), ReloadPrometheus("l"), refusal)
        assert (o.reload.verdict, o.reload.is_ambiguous) == (Verdict.REFUSED, is_ambiguous)
        assert o.reload.may_explain_refusal
    again = after(o, ReloadWanted(2, has_changed_files=True), now=103.0)
    assert not again.reload.is_ambiguous


def test_refusal_without_changed_files_is_one_of_the_configuration() -> None:
    """If a reload was requested without changed files, its refusal is one of the configuration."""
    o = after(LED, ReloadWanted(1, has_changed_files=False), now=100.0)
    o = after(o, LoadedObserved(SEEN), ReloadPrometheus("l"), BAD)
    assert o.reload.verdict is Verdict.REFUSED
    assert o.configuration.loading.outcome is Outcome.REFUSED


def test_request_during_a_reload_needs_two_successes() -> None:
    """While a rendering is not confirmed, a requested reload needs two successes, otherwise one."""
    pending = after(but(NEW, configuration_loading=WRITTEN), ReloadPrometheus("l"))
    assert after(pending, ReloadWanted(1, has_changed_files=True)).reload.successes == 2
    assert after(LED, ReloadWanted(1, has_changed_files=True)).reload.successes == 1


def test_evidence_is_wanted_while_a_reload_is_pending() -> None:
    """Evidence is wanted while a requested reload is pending, also if everything else is known."""
    known = but(
        LED, configuration_loading=replace(LED.configuration.loading, shown_hashes={"l": "i"})
    )
    assert not known.wants_evidence
    assert after(known, ReloadWanted(1, has_changed_files=True)).wants_evidence


def test_feeds_and_queue_have_their_last_report() -> None:
    """The observation has the last report of each feed's file, and that of the queue."""
    first, second = {"file": "/t.json", "groups": 1}, {"file": "/r.yml", "groups": 3}
    newer, queue = {**first, "groups": 2}, {"queue": "q", "is_connected": True}
    o = after(NEW, *(FeedReported(state) for state in (first, second, newer)))
    o = after(o, QueueReported(queue))
    assert o.targets.feeds == {"/t.json": newer, "/r.yml": second}
    assert o.targets.queue == queue
