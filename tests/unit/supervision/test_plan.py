"""The decision: for each situation who this replica should be, what it does, and why."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.unit.known import but
from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.actions import (
    Action,
    AnswerReload,
    ArmSwitch,
    DisarmSwitch,
    Exit,
    ReadConfiguration,
    ReadPause,
    ReloadPrometheus,
    SignalPrometheus,
    StartWeb,
    StopWeb,
    WriteRendering,
)
from wrapper.model.configuration import Evidence, Rendering, Renderings
from wrapper.model.events import ReloadAnswered, ReloadWanted, SignalReceived, ThreadEnded
from wrapper.model.gate import GateReport
from wrapper.model.lease import LeaseRecord, LeaseView, ObservedLease
from wrapper.model.pause import Pause
from wrapper.model.roles import Cause, Role, Stance, Verdict
from wrapper.supervision import loaded_rendering, requested_reload
from wrapper.supervision.child_state import Health
from wrapper.supervision.config_loading import load_actions
from wrapper.supervision.configuration_state import ConfigurationState, FailedWrite
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.loaded_rendering import LoadState, Outcome
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan, plan
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold
from wrapper.supervision.requested_reload import RequestedReload
from wrapper.supervision.shutdown import FAILED

FOLLOWER = Rendering(Role.FOLLOWER, b"f", "f", writes_remotely=False)
LEADER = Rendering(Role.LEADER, b"l", "l", writes_remotely=True)
EDITED = Rendering(Role.LEADER, b"m", "m", writes_remotely=True)
EDITED_FOLLOWER = Rendering(Role.FOLLOWER, b"g", "g", writes_remotely=False)
RE_READ = Renderings(EDITED_FOLLOWER, EDITED)
ALIKE = Renderings(FOLLOWER, replace(LEADER, fingerprint="f"))
TERMS = LeaseTerms("a", "a-1", 10.0, 8.0, 2.0, 9.2)
POLICY = Policy(terms=TERMS, shorten_lease="kubectl …")
SIDECAR = replace(POLICY, owns_child=False)
FIXED_LEADER = replace(POLICY, fixed_role=Role.LEADER)
FIXED_FOLLOWER = replace(POLICY, fixed_role=Role.FOLLOWER)
PLAIN = replace(FIXED_LEADER, is_plain=True)

NOW = 100.0
HELD = LeaseView(last=LeaseRecord("a", 10.0, incarnation="a-1"), renewed_at=99.0)
STALE = replace(HELD, renewed_at=92.0, problem="no answer")
ANOTHERS = LeaseView(last=LeaseRecord("b", 10.0))
OVERDUE = LeaseView(
    seen=ObservedLease(LeaseRecord("b", 2147483647.0), "7"),
    last=LeaseRecord("b", 2147483647.0),
    changed_at=NOW - 30,
    free_at=NOW + 2147483617.0,
)
UNANSWERED = LeaseView(sent=LeaseRecord("a", 10.0, incarnation="a-1"))
RELEASED = LeaseView(last=LeaseRecord(), released_at=NOW - 0.5)


def loaded(rendering: Rendering) -> LoadState:
    """Return the state of a Prometheus that has this and nothing else in force."""
    return replace(loaded_rendering.started_with(rendering, 50.0), outcome=Outcome.LOADED)


def rewritten(old: Rendering, new: Rendering, *, sent_at: float | None = None) -> LoadState:
    """Return the state after a rename at 99.5, reloaded at ``sent_at`` if at all."""
    loading = loaded_rendering.written(
        loaded_rendering.write_started(loaded(old), new), new, NOW - 0.5
    )
    return loading if sent_at is None else loaded_rendering.reload_sent(loading, sent_at)


STARTING = but(
    Observation(
        ConfigurationState(
            Renderings(FOLLOWER, LEADER), loaded_rendering.started_with(FOLLOWER, 50.0)
        ),
        role_since=50.0,
        safe_since=50.0,
    ),
    web_pid=7,
    child_pid=8,
)
READY = but(
    STARTING,
    configuration_loading=loaded(FOLLOWER),
    child_is_ready=True,
    child_was_ready=True,
    fencing_obstacle="",
)
CHOSEN = but(READY, lease_view=HELD, lease_last_renewed_at=99.0)
PROMOTING = but(
    CHOSEN,
    role=Role.LEADER,
    role_since=99.0,
    fencing_switch_at=108.2,
    safe_since=None,
    configuration_loading=rewritten(FOLLOWER, LEADER, sent_at=NOW - 0.5),
)
LEADING = but(PROMOTING, role_since=60.0, configuration_loading=loaded(LEADER))
LOST = but(LEADING, lease_view=STALE, lease_last_renewed_at=92.0, fencing_switch_at=101.2)
DEMOTING = but(
    LEADING,
    role=Role.FOLLOWER,
    role_since=99.0,
    configuration_loading=rewritten(LEADER, FOLLOWER, sent_at=NOW - 0.5),
)
LOST_DEMOTING = but(DEMOTING, lease_view=STALE, lease_last_renewed_at=92.0, fencing_switch_at=101.2)
DEMOTED = but(LEADING, role=Role.FOLLOWER, role_since=99.0, configuration_loading=loaded(FOLLOWER))
UNHEALTHY = Health(is_healthy=False, detail="no answer")


def stopping(o: Observation, *, is_urgent: bool = False, since: float = 99.0) -> Observation:
    """Return it after stop signals."""
    return but(
        o,
        stopping_stop_at=since,
        stopping_signalled_at=since,
        stopping_is_urgent=is_urgent,
        role=Role.FOLLOWER,
        role_since=since,
    )


def decide(o: Observation, policy: Policy = POLICY, now: float = NOW) -> Plan:
    """Return the plan for an observation."""
    return plan(o, policy, now)


def done(o: Observation, now: float = NOW) -> Observation:
    """Return what is known once it was decided."""
    return fold(o, decide(o, now=now), now, POLICY)


def kill(reason: str) -> SignalPrometheus:
    """Return the last resort."""
    return SignalPrometheus(signal.SIGKILL, reason)


TERMINATE = SignalPrometheus(signal.SIGTERM, "asked to stop")
TOO_LATE = "its demotion was not confirmed before another replica may acquire the lease"


@pytest.mark.parametrize(
    ("o", "role", "stance", "cause"),
    [
        pytest.param(STARTING, "follower", "release", Cause.NOT_READY, id="it waits until ready"),
        pytest.param(
            but(STARTING, child_readiness_detail="HTTP 503"),
            "follower",
            "release",
            Cause.NOT_READY,
            id="and says what Prometheus answers",
        ),
        pytest.param(
            but(READY, fencing_obstacle=None),
            "follower",
            "release",
            Cause.UNFENCED,
            id="it contends only when the fence has been checked",
        ),
        pytest.param(
            but(READY, fencing_obstacle="it is a script"),
            "follower",
            "release",
            Cause.UNFENCED,
            id="and only when it holds",
        ),
        pytest.param(READY, "follower", "contend", Cause.LOST, id="ready, it contends"),
        pytest.param(
            but(READY, lease_view=ANOTHERS),
            "follower",
            "contend",
            Cause.LOST,
            id="another leads",
        ),
        pytest.param(
            but(READY, lease_view=OVERDUE),
            "follower",
            "contend",
            Cause.LOST,
            id="another may have gone, and is waited for",
        ),
        pytest.param(
            but(READY, lease_view=replace(OVERDUE, seen=ObservedLease(None))),
            "follower",
            "contend",
            Cause.LOST,
            id="and its lease was deleted",
        ),
        pytest.param(
            but(READY, lease_view=LeaseView(last=LeaseRecord("a", 10.0))),
            "follower",
            "contend",
            Cause.LOST,
            id="a namesake leads",
        ),
        pytest.param(
            but(READY, lease_view=replace(ANOTHERS, problem="no answer")),
            "follower",
            "contend",
            Cause.NOT_RENEWED,
            id="nobody can be asked",
        ),
        pytest.param(LEADING, "leader", "contend", Cause.ACQUIRED, id="it leads"),
        pytest.param(
            LOST,
            "follower",
            "contend",
            Cause.NOT_RENEWED,
            id="a lease that is not renewed ends leadership",
        ),
        pytest.param(
            but(LEADING, lease_view=ANOTHERS),
            "follower",
            "contend",
            Cause.LOST,
            id="so does one that another took",
        ),
        pytest.param(
            stopping(LEADING), "follower", "hold", Cause.STOPPING, id="asked to stop, it holds on"
        ),
        pytest.param(
            stopping(DEMOTED), "follower", "release", Cause.STOPPING, id="until it is demoted"
        ),
        pytest.param(
            but(LEADING, child_health=UNHEALTHY),
            "follower",
            "hold",
            Cause.UNHEALTHY,
            id="unhealthy, likewise",
        ),
        pytest.param(
            but(DEMOTED, child_health=UNHEALTHY),
            "follower",
            "release",
            Cause.UNHEALTHY,
            id="and gives back once demoted",
        ),
        pytest.param(
            but(LEADING, stopping_steps_down_until=130.0),
            "follower",
            "hold",
            Cause.STEPPING_DOWN,
            id="asked to step down",
        ),
        pytest.param(
            but(DEMOTED, stopping_steps_down_until=130.0),
            "follower",
            "release",
            Cause.STEPPING_DOWN,
            id="which gives back too",
        ),
        pytest.param(
            but(READY, stopping_steps_down_until=99.0),
            "follower",
            "contend",
            Cause.LOST,
            id="and lasts only a while",
        ),
        pytest.param(
            but(READY, promotion_cools_until=110.0, promotion_problem="it was refused"),
            "follower",
            "release",
            Cause.COOLING_DOWN,
            id="it cools down after a failed promotion",
        ),
        pytest.param(
            but(CHOSEN, lease_release_ordered_at=99.5),
            "follower",
            "contend",
            Cause.GIVEN_BACK,
            id="a lease that may be on its way back does not count",
        ),
        pytest.param(
            but(CHOSEN, lease_release_ordered_at=98.5),
            "leader",
            "contend",
            Cause.ACQUIRED,
            id="until it was renewed after that order",
        ),
        pytest.param(
            but(LEADING, child_status=-9, child_exited_at=NOW),
            "follower",
            "hold",
            Cause.EXITED,
            id="dead, it first says that it does not lead",
        ),
        pytest.param(
            but(DEMOTED, child_status=-9, child_exited_at=NOW),
            "follower",
            "release",
            Cause.EXITED,
            id="then gives the lease back",
        ),
        pytest.param(
            but(LEADING, configuration_loading=loaded(FOLLOWER), child_health=UNHEALTHY),
            "follower",
            "hold",
            Cause.UNHEALTHY,
            id="one that cannot write says so first, too",
        ),
    ],
)
def test_who_to_be(o: Observation, role: str, stance: str, cause: Cause) -> None:
    """Role, stance and why."""
    decided = decide(o)
    assert (decided.role.value, decided.stance.value, decided.cause) == (role, stance, cause)


@pytest.mark.parametrize(
    ("o", "words"),
    [
        (but(STARTING, child_readiness_detail="HTTP 503"), ["HTTP 503"]),
        (but(READY, fencing_obstacle="it is a script"), ["it is a script"]),
        (but(LEADING, child_health=UNHEALTHY), ["no answer"]),
        (but(READY, lease_view=ANOTHERS), ["b holds"]),
        (
            but(READY, lease_view=replace(ANOTHERS, problem="no answer")),
            ["the lease cannot be used: no answer"],
        ),
        (LOST, ["no answer"]),
        (
            but(READY, promotion_cools_until=110.0, promotion_problem="it was refused"),
            ["it was refused"],
        ),
        (but(READY, lease_view=OVERDUE), ["b holds", "30 s", "2147483647", "kubectl …"]),
        (
            but(READY, lease_view=replace(OVERDUE, seen=ObservedLease(None))),
            ["deleted", "restart this replica"],
        ),
        (but(DEMOTED, child_status=-9, child_exited_at=NOW), ["137"]),
    ],
)
def test_the_reason_names_what_is_known(o: Observation, words: list[str]) -> None:
    """The sentence is for people: it holds what they need to find the cause, and the cure."""
    reason = decide(o).reason
    assert [word for word in words if word in reason] == words


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(READY, (), id="a follower in its place has nothing to do"),
        pytest.param(
            CHOSEN,
            (ArmSwitch(108.2), WriteRendering(LEADER)),
            id="a promotion arms the switch, then writes",
        ),
        pytest.param(
            but(PROMOTING, configuration_loading=rewritten(FOLLOWER, LEADER)),
            (ReloadPrometheus("l"),),
            id="what was written is reloaded",
        ),
        pytest.param(PROMOTING, (), id="then it waits for the proof"),
        pytest.param(
            but(PROMOTING, configuration_loading=rewritten(FOLLOWER, LEADER, sent_at=90.0)),
            (ReloadPrometheus("l"),),
            id="and reloads again when none has come",
        ),
        pytest.param(LEADING, (), id="a leader in its place has nothing to do"),
        pytest.param(
            but(LEADING, lease_view=replace(HELD, renewed_at=99.5), lease_last_renewed_at=99.5),
            (ArmSwitch(108.7),),
            id="a renewal puts the switch off",
        ),
        pytest.param(
            but(LEADING, configuration_renderings=Renderings(FOLLOWER, EDITED)),
            (WriteRendering(EDITED),),
            id="an edit is written",
        ),
        pytest.param(
            but(
                LEADING,
                configuration_loading=loaded_rendering.write_started(loaded(LEADER), EDITED),
            ),
            (),
            id="one write at a time",
        ),
        pytest.param(LOST, (WriteRendering(FOLLOWER),), id="a lost lease demotes"),
        pytest.param(
            but(LOST_DEMOTING, configuration_loading=rewritten(LEADER, FOLLOWER)),
            (ReloadPrometheus("f"),),
            id="which is reloaded as well",
        ),
        pytest.param(LOST_DEMOTING, (), id="and waited for"),
        pytest.param(
            but(LOST_DEMOTING, configuration_loading=loaded(FOLLOWER)),
            (DisarmSwitch(),),
            id="once confirmed, the switch is taken back",
        ),
        pytest.param(
            but(CHOSEN, configuration_renderings=ALIKE),
            (),
            id="without overrides a leader reads what a follower reads",
        ),
        pytest.param(
            but(CHOSEN, configuration_loading=rewritten(FOLLOWER, FOLLOWER)),
            (ArmSwitch(108.2), WriteRendering(LEADER)),
            id="a promotion needs no reload of what it replaces",
        ),
        pytest.param(
            but(STARTING, configuration_renderings=RE_READ),
            (),
            id="nothing is written before Prometheus has read its first file",
        ),
        pytest.param(
            but(READY, configuration_renderings=RE_READ),
            (WriteRendering(EDITED_FOLLOWER),),
            id="then an edit is",
        ),
        pytest.param(
            but(STARTING, configuration_loading=rewritten(FOLLOWER, FOLLOWER)),
            (),
            id="a Prometheus that has never been ready is not reloaded",
        ),
        pytest.param(
            but(READY, pending_configuration=True),
            (ReadConfiguration(), ReloadPrometheus("f")),
            id="SIGHUP reads the inputs and reloads",
        ),
        pytest.param(
            but(READY, pending_signals=(signal.SIGQUIT,)),
            (SignalPrometheus(signal.SIGQUIT),),
            id="SIGQUIT is passed on",
        ),
        pytest.param(but(READY, web_pid=None), (StartWeb(),), id="the web server is started"),
        pytest.param(
            but(READY, web_pid=None, role_since=NOW - 0.4), (), id="after a possible promotion"
        ),
        pytest.param(
            but(LEADING, web_pid=None, role_since=NOW - 0.1),
            (StartWeb(),),
            id="at once after a promotion",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.9, web_failures=1),
            (),
            id="one that died is not started at once",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.7, web_failures=1),
            (StartWeb(),),
            id="but after a pause",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.0, web_failures=5),
            (),
            id="that grows",
        ),
        pytest.param(
            but(READY, web_pid=None, web_stopped_at=99.0), (), id="one that was ended stays so"
        ),
    ],
)
def test_what_to_do(o: Observation, actions: tuple[Action, ...]) -> None:
    """The actions of each situation, in their order."""
    assert decide(o).actions == actions


@pytest.mark.parametrize(
    ("o", "now", "reason"),
    [
        pytest.param(LOST_DEMOTING, 101.1, "", id="just before the last moment it still waits"),
        pytest.param(LOST_DEMOTING, 101.2, TOO_LATE, id="at the last moment it kills"),
        pytest.param(
            but(LOST_DEMOTING, lease_view=ANOTHERS),
            101.2,
            TOO_LATE,
            id="by the last renewal, also when another has the lease",
        ),
        pytest.param(
            but(
                LOST_DEMOTING,
                configuration_loading=loaded(LEADER),
                configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER),
            ),
            NOW,
            "the follower rendering cannot be written: disk full",
            id="a demotion that cannot be written kills at once",
        ),
        pytest.param(
            but(
                LEADING,
                configuration_loading=loaded_rendering.write_started(loaded(LEADER), EDITED),
                configuration_failed_write=FailedWrite("disk full", Role.LEADER),
            ),
            NOW,
            "",
            id="a leader's edit that cannot be written does not",
        ),
        pytest.param(
            but(DEMOTING, child_health=UNHEALTHY, role_since=93.0),
            NOW,
            "",
            id="a demotion has its grace",
        ),
        pytest.param(
            but(DEMOTING, child_health=UNHEALTHY, role_since=92.0),
            NOW,
            "its demotion was not confirmed within 8 s",
            id="and no more, although the lease is renewed",
        ),
        pytest.param(
            but(LOST_DEMOTING, role_since=80.0),
            NOW,
            "",
            id="a lost lease waits for its last moment instead",
        ),
        pytest.param(
            stopping(DEMOTING, is_urgent=True),
            NOW,
            "received a second stop signal",
            id="a second stop signal cuts it short",
        ),
        pytest.param(
            stopping(but(DEMOTING, child_health=UNHEALTHY), is_urgent=True, since=92.0),
            NOW,
            "its demotion was not confirmed within 8 s",
            id="of two reasons, one is given",
        ),
        pytest.param(
            but(LEADING, lease_view=LeaseView(), lease_last_renewed_at=None),
            NOW,
            "it may write without a lease",
            id="a writer without any lease is killed",
        ),
    ],
)
def test_when_prometheus_is_killed(o: Observation, now: float, reason: str) -> None:
    """The last resort is taken for these reasons only."""
    kills = [a for a in decide(o, now=now).actions if a == kill(reason)]
    others = [a for a in decide(o, now=now).actions if isinstance(a, SignalPrometheus)]
    assert len(kills) == bool(reason)
    assert len(others) == bool(reason)


def test_it_is_killed_once() -> None:
    """Killed, nothing else is done to it, and the switch stays armed."""
    o = but(LOST_DEMOTING, child_killed_at=101.2)
    assert decide(o, now=101.3).actions == ()


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(stopping(READY), (TERMINATE,), id="a follower has nothing to hand over"),
        pytest.param(stopping(LEADING), (WriteRendering(FOLLOWER),), id="a leader demotes"),
        pytest.param(stopping(DEMOTING), (), id="and waits for the proof"),
        pytest.param(
            stopping(but(DEMOTED, safe_since=99.9)),
            (DisarmSwitch(),),
            id="demoted, it waits until the lease is given back",
        ),
        pytest.param(
            stopping(but(DEMOTED, safe_since=97.0, fencing_switch_at=None), since=97.0),
            (TERMINATE,),
            id="for a retry period at most",
        ),
        pytest.param(
            stopping(but(DEMOTED, safe_since=50.0, fencing_switch_at=None), since=99.0),
            (),
            id="which starts when it was asked to stop",
        ),
        pytest.param(
            stopping(but(DEMOTED, lease_view=RELEASED, fencing_switch_at=None)),
            (),
            id="given back, it waits for a successor",
        ),
        pytest.param(
            stopping(
                but(
                    DEMOTED,
                    lease_view=replace(ANOTHERS, released_at=NOW - 0.5),
                    fencing_switch_at=None,
                )
            ),
            (TERMINATE,),
            id="until it has seen one",
        ),
        pytest.param(
            stopping(
                but(
                    DEMOTED,
                    lease_view=replace(ANOTHERS, released_at=NOW - 0.5, changed_at=NOW - 0.2),
                    fencing_switch_at=None,
                )
            ),
            (),
            id="and a moment longer, for others who forward to the leader",
        ),
        pytest.param(
            stopping(
                but(
                    DEMOTED, lease_view=replace(RELEASED, released_at=98.9), fencing_switch_at=None
                ),
                since=98.0,
            ),
            (TERMINATE,),
            id="or for a second at most",
        ),
        pytest.param(
            stopping(but(READY, lease_view=replace(RELEASED, released_at=98.9)), since=99.5),
            (TERMINATE,),
            id="a lease that was given back before needs no successor",
        ),
        pytest.param(
            stopping(but(READY, lease_view=UNANSWERED), since=98.1),
            (),
            id="it reads first whether it has acquired the lease",
        ),
        pytest.param(
            stopping(but(READY, lease_view=UNANSWERED), since=98.0),
            (TERMINATE,),
            id="for a retry period at most",
        ),
        pytest.param(
            stopping(but(READY, child_terminated_at=90.0)), (), id="Prometheus has time to end"
        ),
        pytest.param(
            stopping(but(READY, child_terminated_at=80.0)),
            (kill("it did not stop within 20 s"),),
            id="but not for ever",
        ),
        pytest.param(
            stopping(READY, is_urgent=True),
            (kill("received a second stop signal"),),
            id="a second signal kills a follower too",
        ),
    ],
)
def test_an_ordered_stop(o: Observation, actions: tuple[Action, ...]) -> None:
    """Demote, give back, see a successor, stop: each phase does its own and no more."""
    assert decide(o).actions == actions


DEAD = but(DEMOTED, child_status=0, child_exited_at=99.5, fencing_switch_at=None)
GONE = but(DEAD, lease_view=RELEASED, web_pid=None, web_stopped_at=99.6)
FAILURE = "thread writer ended unexpectedly: an error"


@pytest.mark.parametrize("o", [CHOSEN, LEADING, PROMOTING, DEMOTING, STARTING])
def test_a_thread_that_ends_ends_leadership(o: Observation) -> None:
    """The replica demotes and gives the lease back in order, as if asked to stop."""
    failed = fold(o, ThreadEnded("writer", "an error"), NOW, POLICY)
    decided = decide(failed)
    assert decided.cause is Cause.THREAD_ENDED
    assert decided.reason == FAILURE
    asked = decide(fold(o, SignalReceived(signal.SIGTERM), NOW, POLICY))
    assert (decided.role, decided.stance) == (asked.role, asked.stance)
    ended = fold(failed, ThreadEnded("keep", "another"), NOW, POLICY)
    assert ended.stopping.failure == FAILURE
    assert decide(
        stopping(but(READY, stopping_failure=FAILURE, lease_view=LeaseView()))
    ).actions == (SignalPrometheus(signal.SIGTERM, FAILURE),)


@pytest.mark.parametrize(
    ("killed_at", "failure", "actions"),
    [
        pytest.param(98.5, FAILURE, (), id="its end is waited for"),
        pytest.param(97.9, FAILURE, (StopWeb(),), id="but not for ever"),
        pytest.param(80.1, "", (), id="longer while all threads run"),
        pytest.param(79.9, "", (StopWeb(),), id="but not for ever either"),
    ],
)
def test_a_killed_prometheus_whose_end_nobody_tells(
    killed_at: float, failure: str, actions: tuple[Action, ...]
) -> None:
    """The thread that would tell has ended, or the signal does not end Prometheus."""
    killed = stopping(
        but(READY, lease_view=RELEASED, child_killed_at=killed_at, stopping_failure=failure)
    )
    assert decide(killed).actions == actions
    gone = but(killed, web_pid=None, web_stopped_at=99.0)
    assert decide(gone).actions == ((Exit(FAILED),) if actions else ())


@pytest.mark.parametrize("is_urgent", [False, True])
def test_a_writer_that_cannot_be_killed_keeps_the_lease(is_urgent: bool) -> None:
    """The stop ends, but the others have to wait until the lease expires."""
    o = but(
        DEMOTING, child_terminated_at=20.0, child_killed_at=79.0, web_pid=None, web_stopped_at=99.0
    )
    decided = decide(stopping(o, is_urgent=is_urgent))
    assert decided.stance is Stance.HOLD
    assert decided.actions[-1] == Exit(FAILED)


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(DEAD, (StopWeb(),), id="the web server is ended"),
        pytest.param(
            but(DEAD, fencing_switch_at=108.2),
            (DisarmSwitch(), StopWeb()),
            id="the switch taken back",
        ),
        pytest.param(
            but(GONE, lease_view=HELD), (), id="it does not leave before the lease is given back"
        ),
        pytest.param(
            but(GONE, lease_view=HELD, child_exited_at=98.0),
            (Exit(0),),
            id="unless that takes longer than a retry period",
        ),
        pytest.param(
            but(GONE, lease_view=UNANSWERED),
            (),
            id="it reads first whether it has acquired the lease",
        ),
        pytest.param(
            but(GONE, lease_view=LeaseView(sent=LeaseRecord())),
            (Exit(0),),
            id="a release without an answer is not waited for",
        ),
        pytest.param(
            but(GONE, lease_view=replace(ANOTHERS, seen=OVERDUE.seen, sent=HELD.last)),
            (Exit(0),),
            id="another has acquired it",
        ),
        pytest.param(GONE, (Exit(0),), id="then it leaves with Prometheus' status"),
        pytest.param(
            but(GONE, child_status=-signal.SIGKILL), (Exit(137),), id="killed: 128 and signal"
        ),
        pytest.param(but(GONE, child_status=2), (Exit(2),), id="failed: its own"),
        pytest.param(
            but(GONE, stopping_failure=FAILURE), (Exit(FAILED),), id="a thread's end: another"
        ),
        pytest.param(but(GONE, web_pid=7), (), id="a web server that still ends is waited for"),
        pytest.param(but(GONE, web_pid=7, web_stopped_at=98.9), (Exit(0),), id="for a second"),
        pytest.param(
            stopping(but(GONE, web_pid=7, web_stopped_at=98.9)),
            (),
            id="for its grace when it was asked to stop",
        ),
        pytest.param(
            but(DEAD, lease_view=RELEASED, web_pid=None),
            (StopWeb(), Exit(0)),
            id="without a web server nothing is waited for",
        ),
    ],
)
def test_after_prometheus_has_ended(o: Observation, actions: tuple[Action, ...]) -> None:
    """Give the lease back, end the web server, leave with the status."""
    decided = decide(o)
    assert decided.actions == actions
    assert decided.stance is Stance.RELEASE


REFUSED = replace(PROMOTING.configuration.loading, outcome=Outcome.REFUSED, problem="no such file")


@pytest.mark.parametrize(
    ("o", "now", "reason"),
    [
        pytest.param(PROMOTING, NOW, "", id="one under way has its time"),
        pytest.param(
            but(PROMOTING, configuration_loading=REFUSED),
            NOW,
            "no such file",
            id="a refused one is given up",
        ),
        pytest.param(
            but(PROMOTING, lease_view=replace(HELD, renewed_at=149.0)),
            149.5,
            "50 s",
            id="so is one that is never confirmed",
        ),
        pytest.param(
            but(
                CHOSEN,
                role=Role.LEADER,
                configuration_failed_write=FailedWrite("disk full", Role.LEADER, NOW),
            ),
            NOW,
            "disk full",
            id="and one that cannot be written",
        ),
        pytest.param(
            but(
                CHOSEN,
                role=Role.LEADER,
                configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER),
            ),
            NOW,
            "",
            id="a follower's write that failed before is another matter",
        ),
        pytest.param(
            but(
                LEADING,
                configuration_renderings=Renderings(FOLLOWER, EDITED),
                configuration_loading=replace(
                    rewritten(LEADER, EDITED, sent_at=99.5), outcome=Outcome.REFUSED
                ),
            ),
            NOW,
            "",
            id="a leader whose edit is refused stays leader",
        ),
        pytest.param(
            but(LEADING, configuration_failed_write=FailedWrite("disk full", Role.LEADER)),
            NOW,
            "",
            id="and one whose edit cannot be written",
        ),
        pytest.param(LEADING, NOW, "", id="a confirmed one is none"),
    ],
)
def test_a_promotion_is_given_up(o: Observation, now: float, reason: str) -> None:
    """It is given up with its reason, or goes on."""
    decided = decide(o, now=now)
    assert decided.gives_up_promotion is bool(reason)
    assert decided.role is (Role.FOLLOWER if reason else Role.LEADER)
    assert decided.cause is (Cause.PROMOTION_FAILED if reason else Cause.ACQUIRED)
    assert reason in decided.reason


def test_each_failed_promotion_cools_down_for_longer() -> None:
    """The pause doubles up to five minutes, and the reason is kept."""
    o, pauses = but(PROMOTING, configuration_loading=REFUSED), []
    for _ in range(7):
        o = but(done(o), role=Role.LEADER)
        pauses.append(o.promotion.cools_until - NOW)
        o = but(o, promotion_cools_until=0.0)
    assert pauses == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert "no such file" in o.promotion.problem


def test_a_failed_promotion_does_not_fail_twice() -> None:
    """The turn after it is a demotion as any other."""
    refused = but(PROMOTING, configuration_loading=REFUSED)
    assert decide(refused).actions == (WriteRendering(FOLLOWER),)
    o = done(refused)
    assert not decide(o).gives_up_promotion
    assert decide(o).actions == ()


@pytest.mark.parametrize(
    ("o", "now", "actions"),
    [
        pytest.param(
            but(READY, configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER, 99.5)),
            NOW,
            (),
            id="not soon",
        ),
        pytest.param(
            but(READY, configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER, 98.9)),
            NOW,
            (WriteRendering(replace(FOLLOWER, fingerprint="g")),),
            id="after a second",
        ),
    ],
)
def test_a_failed_write_is_tried_again(
    o: Observation, now: float, actions: tuple[Action, ...]
) -> None:
    """A follower's edit that could not be written is written later."""
    edited = but(o, configuration_renderings=Renderings(replace(FOLLOWER, fingerprint="g"), LEADER))
    assert decide(edited, now=now).actions == actions


def test_an_ambiguous_demotion_reloads_once_more() -> None:
    """Where content cannot tell, another reload comes after half a second, not after ten."""
    hasty = rewritten(FOLLOWER, LEADER)
    hasty = loaded_rendering.reload_sent(loaded_rendering.written(hasty, FOLLOWER, 99.0), 99.0)
    evidence = Evidence("i", False, True, 1.0, 99.1)  # noqa: FBT003
    o = but(
        LOST_DEMOTING,
        lease_view=ANOTHERS,
        configuration_loading=loaded_rendering.observed(hasty, evidence),
    )
    assert o.writer.may_write
    assert decide(o, now=99.4).actions == ()
    assert decide(o, now=99.5).actions == (ReloadPrometheus("f"),)


@pytest.mark.parametrize(
    ("was_sent", "retried_at"),
    [
        pytest.param(True, 109.5, id="no answer"),
        pytest.param(False, 100.0, id="no thread"),
    ],
)
def test_a_demotion_that_was_not_requested_is_requested_soon(
    was_sent: bool, retried_at: float
) -> None:
    """Prometheus would else be killed first; one that did not answer may still reload."""
    answer = ReloadAnswered("f", 99.5, 0, "why", was_sent=was_sent)
    o = fold(LOST_DEMOTING, answer, 99.6, POLICY)
    assert load_actions(o, POLICY, Role.FOLLOWER, retried_at - 0.1) == ()
    assert load_actions(o, POLICY, Role.FOLLOWER, retried_at) == (ReloadPrometheus("f"),)
    loading = loaded_rendering.reload_sent(o.configuration.loading, retried_at)
    o = but(o, configuration_loading=loading)
    assert load_actions(o, POLICY, Role.FOLLOWER, retried_at + 9.9) == ()


@pytest.mark.parametrize(
    ("o", "policy", "role", "actions"),
    [
        pytest.param(STARTING, FIXED_LEADER, "follower", (), id="a leader too waits until ready"),
        pytest.param(
            READY,
            FIXED_LEADER,
            "leader",
            (WriteRendering(LEADER),),
            id="then it writes, without a switch",
        ),
        pytest.param(
            but(
                LEADING, lease_view=LeaseView(), lease_last_renewed_at=None, fencing_switch_at=None
            ),
            FIXED_LEADER,
            "leader",
            (),
            id="and needs no lease",
        ),
        pytest.param(READY, FIXED_FOLLOWER, "follower", (), id="a follower stays one"),
        pytest.param(
            but(
                LEADING,
                lease_view=LeaseView(),
                stopping_stop_at=99.0,
                fencing_switch_at=None,
            ),
            FIXED_LEADER,
            "leader",
            (TERMINATE,),
            id="asked to stop, it stops as it is",
        ),
    ],
)
def test_without_an_election(
    o: Observation, policy: Policy, role: str, actions: tuple[Action, ...]
) -> None:
    """The role is the one that was set, and nobody is waited for."""
    decided = decide(o, policy)
    assert (decided.role.value, decided.actions) == (role, actions)
    assert decided.cause is Cause.FIXED


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(READY, (), id="it writes nothing and reloads nothing"),
        pytest.param(
            but(READY, pending_configuration=True),
            (SignalPrometheus(signal.SIGHUP),),
            id="SIGHUP is passed on",
        ),
        pytest.param(
            but(READY, pending_signals=(signal.SIGQUIT,)),
            (SignalPrometheus(signal.SIGQUIT),),
            id="as others are",
        ),
        pytest.param(but(READY, web_pid=None), (StartWeb(),), id="the API is served"),
        pytest.param(stopping(READY), (TERMINATE,), id="asked to stop, it stops"),
    ],
)
def test_a_prometheus_that_reads_its_own_file_is_left_alone(
    o: Observation, actions: tuple[Action, ...]
) -> None:
    """It is supervised, and nothing else."""
    assert decide(but(o, configuration_loading=LoadState()), PLAIN).actions == actions


@pytest.mark.parametrize(
    ("o", "now", "actions"),
    [
        pytest.param(
            but(CHOSEN, fencing_obstacle=None),
            NOW,
            (WriteRendering(LEADER),),
            id="it has no switch and no fence",
        ),
        pytest.param(LOST_DEMOTING, 105.0, (), id="it kills nothing at the last moment"),
        pytest.param(
            stopping(but(READY, lease_view=RELEASED), since=98.0), NOW, (), id="it waits likewise"
        ),
        pytest.param(
            stopping(but(READY, lease_view=replace(RELEASED, released_at=98.9)), since=98.0),
            NOW,
            (StopWeb(),),
            id="then ends its web server",
        ),
        pytest.param(
            stopping(but(READY, web_pid=None, web_stopped_at=99.0)),
            NOW,
            (Exit(0),),
            id="and leaves",
        ),
        pytest.param(
            stopping(but(DEMOTING, web_pid=None, web_stopped_at=99.0), since=91.0),
            NOW,
            (Exit(0),),
            id="also when its demotion is never confirmed",
        ),
        pytest.param(
            stopping(but(DEMOTING, web_pid=None, web_stopped_at=99.0), is_urgent=True),
            NOW,
            (Exit(0),),
            id="or when asked a second time",
        ),
        pytest.param(
            stopping(but(READY, stopping_failure=FAILURE, web_pid=None, web_stopped_at=99.0)),
            NOW,
            (Exit(FAILED),),
            id="a thread of its own has ended",
        ),
    ],
)
def test_a_sidecar(o: Observation, now: float, actions: tuple[Action, ...]) -> None:
    """It drives a Prometheus that is not its own: it cannot kill, and leaves by itself."""
    assert decide(o, SIDECAR, now).actions == actions


@pytest.mark.parametrize(
    ("o", "wake_at"),
    [
        pytest.param(READY, NOW + 1.0, id="once a second at least"),
        pytest.param(LEADING, NOW + 1.0, id="likewise while it leads"),
        pytest.param(STARTING, NOW + 0.5, id="twice a second until Prometheus is ready"),
        pytest.param(PROMOTING, NOW + 0.5, id="while a configuration is not in force"),
        pytest.param(but(READY, lease_view=STALE), NOW + 0.5, id="without the lease's server"),
        pytest.param(but(READY, web_pid=None), NOW + 0.5, id="without a web server"),
        pytest.param(
            but(READY, web_pid=None, role_since=NOW - 0.4), NOW + 0.1, id="when it is to be started"
        ),
        pytest.param(
            but(READY, configuration_failed_write=FailedWrite("no space left", at=NOW)),
            NOW + 0.5,
            id="while the output cannot be written",
        ),
        pytest.param(but(READY, gate=GateState(exited_at=NOW)), NOW + 0.5, id="without its gate"),
        pytest.param(LOST, NOW, id="at once after a change of role, which has been said by then"),
        pytest.param(but(LEADING, child_status=0), NOW, id="likewise when Prometheus has ended"),
        pytest.param(
            but(LEADING, lease_view=replace(HELD, renewed_at=92.2)),
            100.2,
            id="when leadership ends",
        ),
        pytest.param(
            but(LOST_DEMOTING, lease_last_renewed_at=91.15), 100.3, id="just before the last moment"
        ),
        pytest.param(
            stopping(but(DEMOTED, lease_view=replace(RELEASED, released_at=99.1))),
            100.1,
            id="when the wait for a successor is over",
        ),
    ],
)
def test_when_to_think_again(o: Observation, wake_at: float) -> None:
    """It wakes when time alone changes the decision."""
    assert decide(o).wake_at == pytest.approx(wake_at)


@pytest.mark.parametrize(
    "o",
    [
        pytest.param(but(READY, child_is_ready=False), id="Prometheus is not ready"),
        pytest.param(but(READY, gate=GateState(exited_at=NOW)), id="the gate has ended"),
        pytest.param(
            but(READY, gate=GateState(pid=9, opened_number=1, report=GateReport(1, is_open=True))),
            id="the gate is not closed yet",
        ),
        pytest.param(
            but(READY, reload=RequestedReload(number=1, verdict=None, sent_at=NOW)),
            id="a requested reload has no verdict",
        ),
        pytest.param(stopping(READY), id="it is asked to stop"),
    ],
)
def test_without_an_election_it_looks_often_until_all_is_done(o: Observation) -> None:
    """There is no obstacle to leading then, which would say so."""
    assert decide(READY, FIXED_FOLLOWER).wake_at == NOW + 1.0
    assert decide(o, FIXED_FOLLOWER).wake_at <= NOW + 0.5


@pytest.mark.parametrize("o", [READY, LEADING, STARTING, but(READY, lease_view=STALE)])
def test_the_election_hears_from_it_more_often_than_it_renews(o: Observation) -> None:
    """Else the last orders are too old to be followed at the moment at which a lease expires."""
    policy = replace(POLICY, terms=replace(TERMS, retry_period_s=0.5))
    assert decide(o, policy).wake_at <= NOW + 0.25


def test_a_replica_that_is_kept_from_leading_looks_often() -> None:
    """The obstacle may end by time alone."""
    assert decide(but(READY, stopping_steps_down_until=NOW + 5.0)).wake_at == NOW + 0.5


def test_the_elector_hears_from_the_loop_within_a_retry_period() -> None:
    """Its orders are fresh for so long."""
    policy = replace(POLICY, terms=replace(TERMS, retry_period_s=1.2))
    assert decide(READY, policy).wake_at == NOW + 0.6


def test_the_moment_for_bystanders_wakes_the_loop() -> None:
    """It ends by time alone."""
    lease = replace(ANOTHERS, released_at=NOW - 0.5, changed_at=NOW - 0.2)
    o = stopping(but(DEMOTED, lease_view=lease, fencing_switch_at=None))
    assert decide(o).wake_at == pytest.approx(NOW + 0.1)


def test_what_was_decided_is_noted() -> None:
    """The switch, the signals sent, the end of the web server, and the order to give back."""
    armed = done(CHOSEN)
    assert (armed.fencing.switch_at, armed.lease.release_ordered_at) == (108.2, None)
    late = done(LOST_DEMOTING, 101.2)
    assert late.child.killed_at == 101.2
    leaving = stopping(READY)
    left = done(leaving)
    assert (left.child.terminated_at, left.lease.release_ordered_at) == (NOW, NOW)
    ended = done(DEAD)
    assert (ended.web.stopped_at, ended.lease.release_ordered_at) == (NOW, NOW)
    demoted = but(LOST_DEMOTING, configuration_loading=loaded(FOLLOWER))
    assert done(demoted).fencing.switch_at is None


def test_who_is_to_keep_out_does_not_contend_until_that_is_over() -> None:
    """A leader demotes first; a moment later than the end, it may lead again."""
    pause = Pause(NOW + 60, 1e9)
    leading = decide(but(LEADING, stopping_pause=pause))
    assert (leading.role, leading.cause) == (Role.FOLLOWER, Cause.STEPPING_DOWN)
    assert decide(but(READY, stopping_pause=pause)).stance is Stance.RELEASE
    assert decide(but(READY, stopping_pause=replace(pause, until_at=NOW))).stance is Stance.CONTEND


def test_a_signal_has_the_pause_read_once() -> None:
    """What was written beside the output, before or after."""
    asked = but(LEADING, pending_pause=True)
    assert ReadPause() in decide(asked).actions
    assert not done(asked).pending.pause
    assert ReadPause() not in decide(LEADING).actions


# --- what lies beside the configuration -----------------------------------------------------------

LOOK = Evidence("i", writes_remotely=True, is_successful=True, success_time=1.0, asked_at=NOW - 0.5)
WANTED = requested_reload.observed(
    requested_reload.wanted(
        RequestedReload(), ReloadWanted(3, has_changed_files=True), NOW - 1, is_reloading=False
    ),
    LOOK,
)
RULES_REFUSED = replace(WANTED, verdict=Verdict.REFUSED, problem="no", sent_at=NOW - 0.3)
NEWS = AnswerReload(3, Verdict.REFUSED, "no")


@pytest.mark.parametrize(
    ("o", "policy", "actions"),
    [
        pytest.param(but(LEADING, reload=WANTED), POLICY, (ReloadPrometheus("l"),), id="new rules"),
        pytest.param(
            but(READY, role=Role.LEADER, configuration_loading=LoadState(), reload=WANTED),
            PLAIN,
            (ReloadPrometheus(""),),
            id="also where Prometheus reads its own file",
        ),
        pytest.param(
            but(LEADING, child_was_ready=False, reload=WANTED),
            POLICY,
            (),
            id="not before it is ready",
        ),
        pytest.param(but(LEADING, reload=replace(WANTED, sent_at=NOW - 1)), POLICY, (), id="once"),
        pytest.param(
            but(LEADING, reload=replace(WANTED, sent_at=NOW - 10)),
            POLICY,
            (ReloadPrometheus("l"),),
            id="again when nothing was heard",
        ),
        pytest.param(
            but(LEADING, child_killed_at=NOW, reload=WANTED), POLICY, (), id="not when it is killed"
        ),
        pytest.param(but(LEADING, reload=RULES_REFUSED), POLICY, (NEWS,), id="who asked is told"),
        pytest.param(
            but(LEADING, reload=requested_reload.verdict_sent(RULES_REFUSED)),
            POLICY,
            (),
            id="and once is enough",
        ),
        pytest.param(
            but(CHOSEN, role=Role.LEADER, fencing_switch_at=108.2, reload=WANTED),
            POLICY,
            (WriteRendering(LEADER),),
            id="a change of role brings a reload of its own",
        ),
        pytest.param(
            but(
                PROMOTING,
                reload=WANTED,
                configuration_loading=replace(PROMOTING.configuration.loading, reload_sent_at=None),
            ),
            POLICY,
            (ReloadPrometheus("l"),),
            id="and there is one of them",
        ),
    ],
)
def test_what_lies_beside_the_configuration(
    o: Observation, policy: Policy, actions: tuple[Action, ...]
) -> None:
    """It is reloaded once Prometheus can, and whoever asked is told how it went."""
    assert decide(o, policy).actions == actions


def test_a_reload_that_is_never_confirmed_is_given_up() -> None:
    """After the time of so many, whoever asked is told; then there is no more to do."""
    o = but(LEADING, reload=replace(WANTED, sent_at=NOW - 10, sent_first_at=NOW - 50))
    o = done(o)
    answer = AnswerReload(3, Verdict.UNCONFIRMED, "its reload was not confirmed")
    assert answer in decide(o).actions
    assert decide(done(o)).actions == ()


def test_a_waiting_reload_wakes_the_loop() -> None:
    """It is thought of again when the burst may be over."""
    o = but(LEADING, reload=replace(WANTED, wanted_at=NOW, first_at=NOW))
    assert decide(o).wake_at == NOW + requested_reload.QUIET_S
