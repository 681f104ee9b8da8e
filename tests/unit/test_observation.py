"""What is known changes as reported, and nothing else does."""

from __future__ import annotations

import signal
from dataclasses import fields, replace
from typing import Any

import pytest

from wrapper.model import (
    ChildExited,
    ChildMeasured,
    ConfigurationRead,
    ConfigurationRejected,
    Event,
    Evidence,
    FeedReported,
    FenceChecked,
    HealthProbed,
    LeaseRecord,
    LeaseReported,
    LeaseView,
    LoadedObserved,
    Pause,
    PauseRead,
    QueueReported,
    ReadinessProbed,
    ReloadAnswered,
    ReloadSent,
    ReloadWanted,
    Rendering,
    Renderings,
    RenderingWritten,
    Role,
    SignalReceived,
    WebExited,
    WebStarted,
    WriteFailed,
    WriteStarted,
)
from wrapper.supervision import acceptance, confirm
from wrapper.supervision.confirm import Outcome
from wrapper.supervision.health import Health
from wrapper.supervision.observation import Observation, Rules, fold, remember
from wrapper.targets.feed import FeedState, QueueState, Verdict

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
EDITED = Renderings(FOLLOWER, replace(LEADER, fingerprint="m"))
RULES = Rules(identity="a", failure_threshold=1, success_threshold=1, step_down_pause_s=30.0)
NEW = Observation(
    renderings=Renderings(FOLLOWER, LEADER),
    loading=confirm.started_with(FOLLOWER, 90.0),
    role_since=90.0,
)
STARTED = confirm.write_started(NEW.loading, LEADER)
WRITTEN = confirm.written(STARTED, LEADER, 100.0)
HELD = LeaseView(last=LeaseRecord("a"), changed_at=99.0, renewed_at=99.0)
ANOTHERS = LeaseView(last=LeaseRecord("b"), changed_at=99.0)


def changes(before: Observation, after: Observation) -> dict[str, Any]:
    """Return the fields that differ, with their new values."""
    names = (field.name for field in fields(Observation))
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: new for name, (old, new) in pairs.items() if old != new}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (SignalReceived(signal.SIGTERM), {"stop_signals": 1, "stop_at": 100.0}),
        (SignalReceived(signal.SIGINT), {"stop_signals": 1, "stop_at": 100.0}),
        (SignalReceived(signal.SIGUSR1), {"steps_down_until": 130.0, "wants_pause": True}),
        (PauseRead(Pause(150.0, 1e9)), {"pause": Pause(150.0, 1e9)}),
        (SignalReceived(signal.SIGHUP), {"wants_configuration": True}),
        (SignalReceived(signal.SIGQUIT), {"passed_on": (signal.SIGQUIT,)}),
        (SignalReceived(signal.SIGUSR2), {"passed_on": (signal.SIGUSR2,)}),
        (ChildExited(-9), {"child_status": -9, "child_exited_at": 100.0}),
        (WebStarted(7), {"web_pid": 7, "web_started_at": 100.0}),
        (ReadinessProbed(is_ready=False, detail="503"), {"readiness_detail": "503"}),
        (ReadinessProbed(is_ready=True), {"is_ready": True, "was_ready": True}),
        (
            HealthProbed(is_healthy=False, detail="503"),
            {"health": Health(is_healthy=False, detail="503")},
        ),
        (LeaseReported(HELD), {"lease": HELD, "last_renewed_at": 99.0}),
        (LeaseReported(ANOTHERS), {"lease": ANOTHERS}),
        (ConfigurationRead(EDITED), {"renderings": EDITED}),
        (ConfigurationRejected("line 3"), {"configuration_problem": "line 3"}),
        (WriteStarted(LEADER), {"loading": STARTED}),
        (RenderingWritten(LEADER), {"loading": WRITTEN}),
        (
            WriteFailed(LEADER, "disk full"),
            {
                "write_problem": "disk full",
                "write_failed_at": 100.0,
                "write_failed_role": Role.LEADER,
            },
        ),
        (ReloadSent("f"), {"loading": confirm.reload_sent(NEW.loading, 100.0)}),
        (FenceChecked(""), {"fence_obstacle": ""}),
        (ChildMeasured({"open_fds": 9.0}), {"usage": {"open_fds": 9.0}}),
    ],
    ids=lambda value: repr(value)[:50] if not isinstance(value, dict) else "",
)
def test_an_event_changes_what_it_is_about(event: Event, expected: dict[str, Any]) -> None:
    """Each event, taken in at 100, changes these fields and no other."""
    assert changes(NEW, fold(NEW, event, 100.0, RULES)) == expected


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        pytest.param(
            replace(NEW, stop_signals=1, stop_at=95.0),
            SignalReceived(signal.SIGTERM),
            {"stop_signals": 2},
            id="a second stop signal counts, the first one's time stays",
        ),
        pytest.param(
            replace(NEW, is_ready=True, was_ready=True),
            ChildExited(0),
            {"child_status": 0, "child_exited_at": 100.0, "is_ready": False},
            id="a child that has ended is not ready",
        ),
        pytest.param(
            replace(NEW, lease=HELD, last_renewed_at=99.0),
            LeaseReported(ANOTHERS),
            {"lease": ANOTHERS},
            id="a lost lease leaves its last moment behind",
        ),
        pytest.param(
            replace(NEW, steps_down_until=130.0),
            LeaseReported(ANOTHERS),
            {"lease": ANOTHERS, "steps_down_until": None},
            id="a step-down ends when another leads",
        ),
        pytest.param(
            replace(NEW, steps_down_until=130.0),
            LeaseReported(HELD),
            {"lease": HELD, "last_renewed_at": 99.0},
            id="not by what we hold ourselves",
        ),
        pytest.param(
            replace(NEW, configuration_problem="line 3"),
            ConfigurationRead(EDITED),
            {"renderings": EDITED, "configuration_problem": ""},
            id="a mended input ends its problem",
        ),
        pytest.param(
            replace(NEW, cools_until=400.0, failed_promotions=6),
            ConfigurationRead(EDITED),
            {"renderings": EDITED, "cools_until": 0.0},
            id="new renderings end a cool-down, and its length is kept for the next",
        ),
        pytest.param(
            replace(NEW, cools_until=400.0),
            ConfigurationRead(NEW.renderings),
            {},
            id="inputs that render as before do not",
        ),
        pytest.param(
            replace(NEW, cools_until=400.0),
            SignalReceived(signal.SIGHUP),
            {"wants_configuration": True, "cools_until": 0.0},
            id="nor does a cool-down outlast one who asks to try again",
        ),
        pytest.param(
            replace(NEW, write_problem="disk full"),
            WriteStarted(LEADER),
            {"loading": STARTED, "write_problem": ""},
            id="a new try to write is not held to the last one",
        ),
        pytest.param(
            replace(NEW, loading=STARTED),
            WriteFailed(LEADER, "disk full"),
            {
                "loading": NEW.loading,
                "write_problem": "disk full",
                "write_failed_at": 100.0,
                "write_failed_role": Role.LEADER,
            },
            id="what could not be written cannot be loaded",
        ),
        pytest.param(
            replace(NEW, web_pid=7, web_started_at=99.0, web_failures=2),
            WebExited(1),
            {"web_pid": None, "web_exited_at": 100.0, "web_failures": 3},
            id="a web server that dies soon adds to its failures",
        ),
        pytest.param(
            replace(NEW, web_pid=7, web_started_at=60.0, web_failures=5),
            WebExited(1),
            {"web_pid": None, "web_exited_at": 100.0, "web_failures": 1},
            id="one that had lasted starts from the beginning",
        ),
    ],
)
def test_an_event_meets_what_was_known(
    before: Observation, event: Event, expected: dict[str, Any]
) -> None:
    """What is known already decides what an event means."""
    assert changes(before, fold(before, event, 100.0, RULES)) == expected


def test_what_prometheus_says_reaches_the_loading() -> None:
    """Evidence and answers are folded into what is known to be in force."""
    before = replace(NEW, loading=confirm.reload_sent(WRITTEN, 100.0))
    evidence = Evidence("i", True, True, 5.0, 101.0)  # noqa: FBT003
    seen = fold(before, LoadedObserved(evidence), 101.0, RULES)
    assert seen.loading.outcome is Outcome.LOADED
    told = fold(before, ReloadAnswered("l", 100.0, 200), 101.0, RULES)
    assert told.loading.is_settled


@pytest.mark.parametrize(
    ("observation", "may_write"),
    [
        pytest.param(NEW, False, id="a follower may not"),
        pytest.param(replace(NEW, loading=STARTED), True, id="from before the rename it may"),
        pytest.param(replace(NEW, loading=WRITTEN, child_status=0), False, id="the dead may not"),
    ],
)
def test_a_possible_writer(observation: Observation, *, may_write: bool) -> None:
    """A living Prometheus that may have the leader's part is one."""
    assert observation.may_write is may_write


def test_a_decision_is_remembered_with_its_time() -> None:
    """A new role counts from now, the same one from before; one look's orders are forgotten."""
    asked = replace(NEW, wants_configuration=True, passed_on=(3,))
    led = remember(asked, Role.LEADER, 100.0)
    assert (led.role, led.role_since) == (Role.LEADER, 100.0)
    assert (led.wants_configuration, led.passed_on) == (False, ())
    assert remember(led, Role.LEADER, 105.0).role_since == 100.0


def test_safe_is_since_it_cannot_write() -> None:
    """The moment stays while nothing is written, and is gone while it may be."""
    safe = remember(remember(NEW, Role.FOLLOWER, 100.0), Role.FOLLOWER, 101.0)
    assert safe.safe_since == 100.0
    assert remember(replace(safe, loading=WRITTEN), Role.LEADER, 102.0).safe_since is None


@pytest.mark.parametrize(
    ("loading", "now", "failures"),
    [
        pytest.param(confirm.started_with(LEADER, 60.0), 100.0, 3, id="not before it has loaded"),
        pytest.param(
            replace(confirm.started_with(LEADER, 60.0), outcome=Outcome.LOADED),
            80.0,
            3,
            id="nor after a short while",
        ),
        pytest.param(
            replace(confirm.started_with(LEADER, 60.0), outcome=Outcome.LOADED),
            100.0,
            0,
            id="a promotion that has lasted is forgiven the failed ones before",
        ),
    ],
)
def test_failed_promotions_are_forgotten(
    loading: confirm.Loading, now: float, failures: int
) -> None:
    """Only a leader that has been one for half a minute starts from the beginning."""
    leading = replace(NEW, role=Role.LEADER, role_since=60.0, loading=loading, failed_promotions=3)
    assert remember(leading, Role.LEADER, now).failed_promotions == failures


@pytest.mark.parametrize(("until_at", "stays"), [(150.0, True), (99.0, False)])
def test_who_keeps_out_already_is_not_made_to_step_down_again(until_at: float, stays: bool) -> None:
    """SIGUSR1 then says that the file has changed: perhaps it is to keep out no longer."""
    paused = replace(NEW, pause=Pause(until_at, 1e9))
    after = fold(paused, SignalReceived(signal.SIGUSR1), 100.0, RULES)
    assert after.wants_pause
    assert (after.steps_down_until is None) is stays


# --- rules beside the configuration ---------------------------------------------------------------

BAD = ReloadAnswered("l", 101.0, 500, "group x: no")
SEEN = Evidence("i", writes_remotely=True, is_successful=True, success_time=1.0, asked_at=100.5)
LED = replace(
    NEW,
    role=Role.LEADER,
    acceptance=acceptance.started_with(NEW.renderings),
    loading=replace(WRITTEN, candidates=(LEADER,), outcome=Outcome.LOADED),
)


def after(o: Observation, *events: Event, now: float = 102.0) -> Observation:
    """Return it with events taken in."""
    for event in events:
        o = fold(o, event, now, RULES)
    return o


@pytest.mark.parametrize(
    "refusal",
    [BAD, LoadedObserved(replace(SEEN, is_successful=False, asked_at=101.5))],
    ids=["by answer", "by metrics"],
)
def test_a_refusal_of_new_rules_is_not_the_configurations(refusal: Event) -> None:
    """It is theirs while they are suspect, and only theirs."""
    wants = after(LED, ReloadWanted(1, has_new_rules=True), now=100.0)
    o = after(wants, LoadedObserved(SEEN), ReloadSent("l"), refusal)
    assert o.rules.verdict is Verdict.REFUSED
    assert o.loading.outcome is Outcome.LOADED
    assert o.rejection == ""


@pytest.mark.parametrize(
    "refusal",
    [BAD, LoadedObserved(replace(SEEN, is_successful=False, asked_at=101.5))],
    ids=["by answer", "by metrics"],
)
def test_a_refusal_beside_a_configuration_is_in_doubt(refusal: Event) -> None:
    """A rendering that is not known to be in force may be the reason as well."""
    edited = EDITED.leader
    pending = after(LED, WriteStarted(edited), RenderingWritten(edited), now=99.5)
    for before, verdict in ((pending, Verdict.DOUBTED), (LED, Verdict.REFUSED)):
        wants = after(before, ReloadWanted(1, has_new_rules=True), now=100.0)
        o = after(wants, LoadedObserved(SEEN), ReloadSent("l"), refusal)
        assert (o.rules.verdict, o.rules.told_verdict) == (Verdict.REFUSED, verdict)
        assert o.rules.suspects_rules
    again = after(o, ReloadWanted(2, has_new_rules=True), now=103.0)
    assert not again.rules.is_in_doubt


def test_a_refusal_without_new_rules_is_the_configurations() -> None:
    """Somebody only asked for a reload."""
    o = after(LED, ReloadWanted(1, has_new_rules=False), now=100.0)
    o = after(o, LoadedObserved(SEEN), ReloadSent("l"), BAD)
    assert o.rules.verdict is Verdict.REFUSED
    assert o.loading.outcome is Outcome.REFUSED


def test_a_reload_under_way_counts_for_what_it_has_read() -> None:
    """A rendering that is not confirmed yet makes new rules wait for two successes."""
    pending = after(replace(NEW, loading=WRITTEN), ReloadSent("l"))
    assert after(pending, ReloadWanted(1, has_new_rules=True)).rules.successes == 2
    assert after(LED, ReloadWanted(1, has_new_rules=True)).rules.successes == 1


def test_evidence_is_wanted_while_rules_wait() -> None:
    """Also where nothing else is to be learned."""
    known = replace(LED, loading=replace(LED.loading, images={"l": "i"}))
    assert not known.wants_evidence
    assert after(known, ReloadWanted(1, has_new_rules=True)).wants_evidence


def test_feeds_and_queue_are_known_by_their_last_report() -> None:
    """One state for each file, and one for the queue."""
    first, second = FeedState("/t.json", "http://p", "targets"), FeedState("/r.yml", "x", "rules")
    newer, queue = replace(first, groups=2), QueueState("q", is_connected=True)
    o = after(NEW, *(FeedReported(state) for state in (first, second, newer)))
    o = after(o, QueueReported(queue))
    assert o.feeds == {"/t.json": newer, "/r.yml": second}
    assert o.queue == queue
