"""The plan: for each observation, the role, the actions and the reason."""

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
    """Return the state of a Prometheus that has only this rendering in force."""
    return replace(loaded_rendering.started_with(rendering, 50.0), outcome=Outcome.LOADED)


def rewritten(old: Rendering, new: Rendering, *, sent_at: float | None = None) -> LoadState:
    """Return the state after a rename at 99.5, and a reload at ``sent_at`` if that is given."""
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
NO_ROOM = FailedWrite("disk full", Role.FOLLOWER)


def stopping(o: Observation, *, is_urgent: bool = False, since: float = 99.0) -> Observation:
    """Return the observation after stop signals."""
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
    """Return the observation after the plan has been folded in."""
    return fold(o, decide(o, now=now), now, POLICY)


def kill(reason: str) -> SignalPrometheus:
    """Return the kill of Prometheus for this reason."""
    return SignalPrometheus(signal.SIGKILL, reason)


TERMINATE = SignalPrometheus(signal.SIGTERM, "asked to stop")
TOO_LATE = "its demotion was not confirmed before another replica may acquire the lease"


@pytest.mark.parametrize(
    ("o", "role", "stance", "cause"),
    [
        pytest.param(
            STARTING,
            "follower",
            "release",
            Cause.NOT_READY,
            id="it does not contend before Prometheus is ready",
        ),
        pytest.param(
            but(STARTING, child_readiness_detail="HTTP 503"),
            "follower",
            "release",
            Cause.NOT_READY,
            id="it does not contend while Prometheus answers 503",
        ),
        pytest.param(
            but(READY, fencing_obstacle=None),
            "follower",
            "release",
            Cause.UNFENCED,
            id="it does not contend before the fence has been checked",
        ),
        pytest.param(
            but(READY, fencing_obstacle="it is a script"),
            "follower",
            "release",
            Cause.UNFENCED,
            id="it does not contend if it cannot be fenced",
        ),
        pytest.param(
            but(READY, fencing_obstacle="no", configuration_renderings=ALIKE),
            "follower",
            "release",
            Cause.UNFENCED,
            id="it does not contend if it cannot be fenced, even without overrides",
        ),
        pytest.param(READY, "follower", "contend", Cause.LOST, id="it contends when it is ready"),
        pytest.param(
            but(READY, lease_view=ANOTHERS),
            "follower",
            "contend",
            Cause.LOST,
            id="it contends while another leads",
        ),
        pytest.param(
            but(READY, lease_view=OVERDUE),
            "follower",
            "contend",
            Cause.LOST,
            id="it contends while the holder is overdue",
        ),
        pytest.param(
            but(READY, lease_view=replace(OVERDUE, seen=ObservedLease(None))),
            "follower",
            "contend",
            Cause.LOST,
            id="it contends although the overdue lease was deleted",
        ),
        pytest.param(
            but(READY, lease_view=LeaseView(last=LeaseRecord("a", 10.0))),
            "follower",
            "contend",
            Cause.LOST,
            id="it contends while a replica of the same identity leads",
        ),
        pytest.param(
            but(READY, lease_view=replace(ANOTHERS, problem="no answer")),
            "follower",
            "contend",
            Cause.NOT_RENEWED,
            id="it contends while the API server is unreachable",
        ),
        pytest.param(LEADING, "leader", "contend", Cause.ACQUIRED, id="it leads"),
        pytest.param(
            LOST,
            "follower",
            "contend",
            Cause.NOT_RENEWED,
            id="it stops leading if the lease is not renewed",
        ),
        pytest.param(
            but(LEADING, lease_view=ANOTHERS),
            "follower",
            "contend",
            Cause.LOST,
            id="it stops leading if another has acquired the lease",
        ),
        pytest.param(
            stopping(LEADING),
            "follower",
            "hold",
            Cause.STOPPING,
            id="asked to stop, it holds the lease while it demotes",
        ),
        pytest.param(
            stopping(DEMOTED),
            "follower",
            "release",
            Cause.STOPPING,
            id="asked to stop, it releases the lease once demoted",
        ),
        pytest.param(
            but(LEADING, child_health=UNHEALTHY),
            "follower",
            "hold",
            Cause.UNHEALTHY,
            id="unhealthy, it holds the lease while it demotes",
        ),
        pytest.param(
            but(DEMOTED, child_health=UNHEALTHY),
            "follower",
            "release",
            Cause.UNHEALTHY,
            id="unhealthy, it releases the lease once demoted",
        ),
        pytest.param(
            but(LEADING, stopping_steps_down_until=130.0),
            "follower",
            "hold",
            Cause.STEPPING_DOWN,
            id="asked to step down, it holds the lease while it demotes",
        ),
        pytest.param(
            but(DEMOTED, stopping_steps_down_until=130.0),
            "follower",
            "release",
            Cause.STEPPING_DOWN,
            id="asked to step down, it releases the lease once demoted",
        ),
        pytest.param(
            but(READY, stopping_steps_down_until=99.0),
            "follower",
            "contend",
            Cause.LOST,
            id="a step-down ends after its time",
        ),
        pytest.param(
            but(READY, promotion_cools_until=110.0, promotion_problem="it was refused"),
            "follower",
            "release",
            Cause.COOLING_DOWN,
            id="it does not contend during a cool-down",
        ),
        pytest.param(
            but(CHOSEN, lease_release_ordered_at=99.5),
            "follower",
            "contend",
            Cause.GIVEN_BACK,
            id="it does not lead after it has ordered a release",
        ),
        pytest.param(
            but(CHOSEN, lease_release_ordered_at=98.5),
            "leader",
            "contend",
            Cause.ACQUIRED,
            id="it leads after a renewal that follows the release order",
        ),
        pytest.param(
            but(LEADING, child_status=-9, child_exited_at=NOW),
            "follower",
            "hold",
            Cause.EXITED,
            id="Prometheus dead, it first reports itself as follower",
        ),
        pytest.param(
            but(DEMOTED, child_status=-9, child_exited_at=NOW),
            "follower",
            "release",
            Cause.EXITED,
            id="Prometheus dead, it then releases the lease",
        ),
        pytest.param(
            but(LEADING, configuration_loading=loaded(FOLLOWER), child_health=UNHEALTHY),
            "follower",
            "hold",
            Cause.UNHEALTHY,
            id="unhealthy without remote_write, it also holds first",
        ),
    ],
)
def test_role_stance_and_cause(o: Observation, role: str, stance: str, cause: Cause) -> None:
    """Each observation leads to this role, stance towards the lease, and cause."""
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
def test_reason_names_the_facts(o: Observation, words: list[str]) -> None:
    """The reason is for people: it has the facts that they need to find and remove the cause."""
    reason = decide(o).reason
    assert [word for word in words if word in reason] == words


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(READY, (), id="a follower in the right state has nothing to do"),
        pytest.param(
            CHOSEN,
            (ArmSwitch(108.2), WriteRendering(LEADER)),
            id="a promotion arms the switch, then writes",
        ),
        pytest.param(
            but(PROMOTING, configuration_loading=rewritten(FOLLOWER, LEADER)),
            (ReloadPrometheus("l"),),
            id="a written rendering is reloaded",
        ),
        pytest.param(PROMOTING, (), id="after a reload it waits for the proof"),
        pytest.param(
            but(PROMOTING, configuration_loading=rewritten(FOLLOWER, LEADER, sent_at=90.0)),
            (ReloadPrometheus("l"),),
            id="without a proof it reloads again",
        ),
        pytest.param(LEADING, (), id="a leader in the right state has nothing to do"),
        pytest.param(
            but(LEADING, lease_view=replace(HELD, renewed_at=99.5), lease_last_renewed_at=99.5),
            (ArmSwitch(108.7),),
            id="a renewal resets the switch",
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
        pytest.param(LOST, (WriteRendering(FOLLOWER),), id="a lost lease leads to a demotion"),
        pytest.param(
            but(LOST_DEMOTING, configuration_loading=rewritten(LEADER, FOLLOWER)),
            (ReloadPrometheus("f"),),
            id="a demotion is reloaded",
        ),
        pytest.param(LOST_DEMOTING, (), id="a demotion waits for the proof"),
        pytest.param(
            but(LOST_DEMOTING, configuration_loading=loaded(FOLLOWER)),
            (DisarmSwitch(),),
            id="once a demotion is confirmed, the switch is disarmed",
        ),
        pytest.param(
            but(CHOSEN, configuration_renderings=ALIKE),
            (),
            id="without overrides a promotion writes nothing",
        ),
        pytest.param(
            but(CHOSEN, configuration_loading=rewritten(FOLLOWER, FOLLOWER)),
            (ArmSwitch(108.2), WriteRendering(LEADER)),
            id="a promotion does not reload what it replaces",
        ),
        pytest.param(
            but(STARTING, configuration_renderings=RE_READ),
            (),
            id="nothing is written before Prometheus has read its first file",
        ),
        pytest.param(
            but(READY, configuration_renderings=RE_READ),
            (WriteRendering(EDITED_FOLLOWER),),
            id="once it has read its first file, an edit is written",
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
            id="SIGQUIT is forwarded",
        ),
        pytest.param(but(READY, web_pid=None), (StartWeb(),), id="the web server is started"),
        pytest.param(
            but(READY, web_pid=None, role_since=NOW - 0.4),
            (),
            id="the web server is not started before a possible promotion",
        ),
        pytest.param(
            but(LEADING, web_pid=None, role_since=NOW - 0.1),
            (StartWeb(),),
            id="the web server is started at once after a promotion",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.9, web_failures=1),
            (),
            id="a web server that exited is not restarted at once",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.7, web_failures=1),
            (StartWeb(),),
            id="a web server that exited is restarted after a pause",
        ),
        pytest.param(
            but(READY, web_pid=None, web_exited_at=99.0, web_failures=5),
            (),
            id="the pause before a restart grows with the failures",
        ),
        pytest.param(
            but(READY, web_pid=None, web_stopped_at=99.0),
            (),
            id="a web server that was stopped is not restarted",
        ),
    ],
)
def test_actions(o: Observation, actions: tuple[Action, ...]) -> None:
    """Each observation leads to these actions, in this order."""
    assert decide(o).actions == actions


@pytest.mark.parametrize(
    ("o", "now", "reason"),
    [
        pytest.param(LOST_DEMOTING, 101.1, "", id="not before the last moment"),
        pytest.param(LOST_DEMOTING, 101.2, TOO_LATE, id="at the last moment"),
        pytest.param(
            but(LOST_DEMOTING, lease_view=ANOTHERS),
            101.2,
            TOO_LATE,
            id="at the last moment after the last renewal, also if another has the lease",
        ),
        pytest.param(
            but(
                LOST_DEMOTING,
                configuration_loading=loaded(LEADER),
                configuration_failed_write=NO_ROOM,
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
            id="an edit of a leader that cannot be written does not kill",
        ),
        pytest.param(
            but(LEADING, child_health=UNHEALTHY, configuration_failed_write=NO_ROOM),
            NOW,
            "",
            id="an earlier failed write does not kill: the demotion is written first",
        ),
        pytest.param(
            but(
                DEMOTING,
                configuration_loading=loaded(LEADER),
                configuration_failed_write=NO_ROOM,
            ),
            NOW,
            "",
            id="a failed write does not kill if the replica may lead again",
        ),
        pytest.param(
            but(DEMOTING, child_health=UNHEALTHY, role_since=93.0),
            NOW,
            "",
            id="a demotion has its grace period",
        ),
        pytest.param(
            but(DEMOTING, child_health=UNHEALTHY, role_since=92.0),
            NOW,
            "its demotion was not confirmed within 8 s",
            id="after the grace period, also if the lease is renewed",
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
            id="a second stop signal",
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
            id="a writer without any lease",
        ),
    ],
)
def test_when_prometheus_is_killed(o: Observation, now: float, reason: str) -> None:
    """Prometheus is killed for these reasons only, with one signal."""
    kills = [a for a in decide(o, now=now).actions if a == kill(reason)]
    others = [a for a in decide(o, now=now).actions if isinstance(a, SignalPrometheus)]
    assert len(kills) == bool(reason)
    assert len(others) == bool(reason)


@pytest.mark.parametrize(
    ("o", "policy", "reason"),
    [
        pytest.param(
            but(READY, lease_view=ANOTHERS), POLICY, "b holds the lease", id="another replica"
        ),
        pytest.param(
            but(READY, lease_view=OVERDUE),
            replace(POLICY, shorten_lease=""),
            "b holds the lease",
            id="another replica whose lease cannot be shortened",
        ),
        pytest.param(
            but(READY, lease_view=LeaseView(last=LeaseRecord("a", 10.0))),
            POLICY,
            "an earlier process with this identity holds the lease; waiting for it to expire",
            id="an earlier process with our identity",
        ),
        pytest.param(
            but(LOST, lease_view=replace(STALE, problem="")),
            POLICY,
            "the lease was not renewed in time",
            id="our own lease was not renewed in time",
        ),
    ],
)
def test_reason_names_who_holds_the_lease(o: Observation, policy: Policy, reason: str) -> None:
    """If a replica does not lead, the reason names who holds the lease, or the missing renewal."""
    assert decide(o, policy).reason == reason


def test_switch_is_unchanged_if_the_last_moment_is_unknown() -> None:
    """If the lease was never held, the switch is neither armed nor disarmed: no time is known."""
    o = but(LEADING, lease_view=LeaseView(), lease_last_renewed_at=None)
    assert not any(isinstance(each, ArmSwitch | DisarmSwitch) for each in decide(o).actions)


def test_prometheus_is_killed_once() -> None:
    """After the kill, no action follows, and the switch stays armed."""
    o = but(LOST_DEMOTING, child_killed_at=101.2)
    assert decide(o, now=101.3).actions == ()


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(stopping(READY), (TERMINATE,), id="a follower terminates Prometheus at once"),
        pytest.param(stopping(LEADING), (WriteRendering(FOLLOWER),), id="a leader demotes first"),
        pytest.param(stopping(DEMOTING), (), id="a demotion waits for the proof"),
        pytest.param(
            stopping(but(DEMOTED, safe_since=99.9)),
            (DisarmSwitch(),),
            id="once demoted, it waits until the lease is released",
        ),
        pytest.param(
            stopping(but(DEMOTED, safe_since=97.0, fencing_switch_at=None), since=97.0),
            (TERMINATE,),
            id="it waits for the release for a retry period at most",
        ),
        pytest.param(
            stopping(but(DEMOTED, safe_since=50.0, fencing_switch_at=None), since=99.0),
            (),
            id="the wait for the release starts with the stop signal",
        ),
        pytest.param(
            stopping(but(DEMOTED, lease_view=RELEASED, fencing_switch_at=None)),
            (),
            id="once the lease is released, it waits for a successor",
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
            id="once a successor leads, it terminates Prometheus",
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
            id="after a successor leads, it waits a moment for replicas that forward to the leader",
        ),
        pytest.param(
            stopping(
                but(
                    DEMOTED, lease_view=replace(RELEASED, released_at=98.9), fencing_switch_at=None
                ),
                since=98.0,
            ),
            (TERMINATE,),
            id="it waits for a successor for a second at most",
        ),
        pytest.param(
            stopping(but(READY, lease_view=replace(RELEASED, released_at=99.4)), since=99.5),
            (TERMINATE,),
            id="a lease released before the stop needs no successor",
        ),
        pytest.param(
            stopping(but(READY, lease_view=UNANSWERED), since=98.1),
            (),
            id="it first reads whether it has acquired the lease",
        ),
        pytest.param(
            stopping(but(READY, lease_view=UNANSWERED), since=98.0),
            (TERMINATE,),
            id="it waits for that answer for a retry period at most",
        ),
        pytest.param(
            stopping(but(READY, child_terminated_at=90.0)), (), id="Prometheus has time to exit"
        ),
        pytest.param(
            stopping(but(READY, child_terminated_at=80.0)),
            (kill("it did not stop within 20 s"),),
            id="Prometheus is killed after 20 s",
        ),
        pytest.param(
            stopping(READY, is_urgent=True),
            (kill("received a second stop signal"),),
            id="a second signal kills the Prometheus of a follower too",
        ),
    ],
)
def test_ordered_stop(o: Observation, actions: tuple[Action, ...]) -> None:
    """A stop demotes, releases, waits for a successor and then terminates Prometheus."""
    assert decide(o).actions == actions


DEAD = but(DEMOTED, child_status=0, child_exited_at=99.5, fencing_switch_at=None)
GONE = but(DEAD, lease_view=RELEASED, web_pid=None, web_stopped_at=99.6)
FAILURE = "thread writer ended unexpectedly: an error"


@pytest.mark.parametrize("o", [CHOSEN, LEADING, PROMOTING, DEMOTING, STARTING])
def test_ended_thread_ends_leadership(o: Observation) -> None:
    """If a thread ends unexpectedly, the replica demotes and releases as after SIGTERM."""
    failed = fold(o, ThreadEnded("writer", "an error"), NOW, POLICY)
    decided = decide(failed)
    assert decided.cause is Cause.THREAD_ENDED
    assert decided.reason == FAILURE
    asked = decide(fold(o, SignalReceived(signal.SIGTERM), NOW, POLICY))
    assert (decided.role, decided.stance) == (asked.role, asked.stance)
    assert failed.stopping.stop_at == NOW
    ended = fold(failed, ThreadEnded("keep", "another"), NOW + 1.0, POLICY)
    assert (ended.stopping.failure, ended.stopping.stop_at) == (FAILURE, NOW)
    exited = decide(but(failed, child_status=0, child_exited_at=NOW))
    assert (exited.cause, exited.reason) == (Cause.THREAD_ENDED, FAILURE)
    assert decide(
        stopping(but(READY, stopping_failure=FAILURE, lease_view=LeaseView()))
    ).actions == (SignalPrometheus(signal.SIGTERM, FAILURE),)


@pytest.mark.parametrize(
    ("killed_at", "failure", "actions"),
    [
        pytest.param(
            98.5, FAILURE, (), id="after a thread's failure it waits for the exit of Prometheus"
        ),
        pytest.param(97.9, FAILURE, (StopWeb(),), id="after a thread's failure it waits 2 s"),
        pytest.param(80.1, "", (), id="while all threads run it waits longer"),
        pytest.param(79.9, "", (StopWeb(),), id="while all threads run it waits 20 s"),
    ],
)
def test_missing_exit_of_a_killed_prometheus_has_a_time_limit(
    killed_at: float, failure: str, actions: tuple[Action, ...]
) -> None:
    """If no exit of a killed Prometheus is reported, the program exits after a time limit.

    The thread that would report it has ended, or the signal does not end Prometheus.
    """
    killed = stopping(
        but(READY, lease_view=RELEASED, child_killed_at=killed_at, stopping_failure=failure)
    )
    assert decide(killed).actions == actions
    gone = but(killed, web_pid=None, web_stopped_at=99.0)
    assert decide(gone).actions == ((Exit(FAILED),) if actions else ())


@pytest.mark.parametrize("is_urgent", [False, True])
def test_writer_that_cannot_be_killed_keeps_the_lease(is_urgent: bool) -> None:
    """If a possible writer survives the kill, the lease is held until it expires."""
    o = but(
        DEMOTING, child_terminated_at=20.0, child_killed_at=79.0, web_pid=None, web_stopped_at=99.0
    )
    decided = decide(stopping(o, is_urgent=is_urgent))
    assert decided.stance is Stance.HOLD
    assert decided.actions[-1] == Exit(FAILED)


@pytest.mark.parametrize(
    ("o", "actions"),
    [
        pytest.param(DEAD, (StopWeb(),), id="the web server is stopped"),
        pytest.param(
            but(DEAD, fencing_switch_at=108.2),
            (DisarmSwitch(), StopWeb()),
            id="the switch is disarmed",
        ),
        pytest.param(
            but(GONE, lease_view=HELD), (), id="it does not exit before the lease is released"
        ),
        pytest.param(
            but(GONE, lease_view=HELD, child_exited_at=98.0),
            (Exit(0),),
            id="it waits for the release for a retry period at most",
        ),
        pytest.param(
            but(GONE, lease_view=UNANSWERED),
            (),
            id="it first reads whether it has acquired the lease",
        ),
        pytest.param(
            but(GONE, lease_view=LeaseView(sent=LeaseRecord())),
            (Exit(0),),
            id="it does not wait for the answer to a release",
        ),
        pytest.param(
            but(GONE, lease_view=replace(ANOTHERS, seen=OVERDUE.seen, sent=HELD.last)),
            (Exit(0),),
            id="another has acquired the lease",
        ),
        pytest.param(GONE, (Exit(0),), id="it exits with the status of Prometheus"),
        pytest.param(
            but(GONE, child_status=-signal.SIGKILL),
            (Exit(137),),
            id="killed: status 128 plus the signal",
        ),
        pytest.param(but(GONE, child_status=2), (Exit(2),), id="failed: the status of Prometheus"),
        pytest.param(
            but(GONE, stopping_failure=FAILURE),
            (Exit(FAILED),),
            id="a thread has ended: its own status",
        ),
        pytest.param(but(GONE, web_pid=7), (), id="it waits for the web server to exit"),
        pytest.param(
            but(GONE, web_pid=7, web_stopped_at=98.9),
            (Exit(0),),
            id="it waits for the web server for a second",
        ),
        pytest.param(
            stopping(but(GONE, web_pid=7, web_stopped_at=98.9)),
            (),
            id="asked to stop, it waits for the web server's grace period",
        ),
        pytest.param(
            but(DEAD, lease_view=RELEASED, web_pid=None),
            (StopWeb(), Exit(0)),
            id="without a web server it exits at once",
        ),
    ],
)
def test_after_prometheus_has_ended(o: Observation, actions: tuple[Action, ...]) -> None:
    """After the exit of Prometheus, it releases, stops the web server and exits with the status."""
    decided = decide(o)
    assert decided.actions == actions
    assert decided.stance is Stance.RELEASE


REFUSED = replace(PROMOTING.configuration.loading, outcome=Outcome.REFUSED, problem="no such file")


@pytest.mark.parametrize(
    ("o", "now", "reason"),
    [
        pytest.param(PROMOTING, NOW, "", id="a promotion in progress continues"),
        pytest.param(
            but(PROMOTING, configuration_loading=REFUSED),
            NOW,
            "no such file",
            id="a refused promotion is given up",
        ),
        pytest.param(
            but(PROMOTING, lease_view=replace(HELD, renewed_at=149.0)),
            149.5,
            "50 s",
            id="a promotion that is never confirmed is given up",
        ),
        pytest.param(
            but(
                CHOSEN,
                role=Role.LEADER,
                configuration_failed_write=FailedWrite("disk full", Role.LEADER, NOW),
            ),
            NOW,
            "disk full",
            id="a promotion that cannot be written is given up",
        ),
        pytest.param(
            but(
                CHOSEN,
                role=Role.LEADER,
                configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER),
            ),
            NOW,
            "",
            id="an earlier failed write of a follower does not matter",
        ),
        pytest.param(
            but(
                CHOSEN,
                role=Role.LEADER,
                configuration_loading=loaded_rendering.write_started(
                    replace(loaded(FOLLOWER), outcome=Outcome.REFUSED), LEADER
                ),
            ),
            NOW,
            "",
            id="an earlier refusal of a follower's rendering does not matter",
        ),
        pytest.param(
            but(
                PROMOTING,
                lease_view=replace(HELD, renewed_at=149.0),
                configuration_loading=replace(
                    PROMOTING.configuration.loading, outcome=Outcome.LOADED
                ),
            ),
            149.5,
            "",
            id="a loaded rendering has not failed, even before it is confirmed",
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
            id="a leader whose edit cannot be written stays leader",
        ),
        pytest.param(LEADING, NOW, "", id="a confirmed promotion is not given up"),
    ],
)
def test_failed_promotion_is_given_up(o: Observation, now: float, reason: str) -> None:
    """A promotion that fails is given up with its reason; any other one continues."""
    decided = decide(o, now=now)
    assert decided.gives_up_promotion is bool(reason)
    assert decided.role is (Role.FOLLOWER if reason else Role.LEADER)
    assert decided.cause is (Cause.PROMOTION_FAILED if reason else Cause.ACQUIRED)
    assert reason in decided.reason


def test_each_failed_promotion_cools_down_for_longer() -> None:
    """The cool-down doubles up to five minutes, and the reason is kept."""
    o, pauses = but(PROMOTING, configuration_loading=REFUSED), []
    for _ in range(7):
        o = but(done(o), role=Role.LEADER)
        pauses.append(o.promotion.cools_until - NOW)
        o = but(o, promotion_cools_until=0.0)
    assert pauses == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert "no such file" in o.promotion.problem


def test_failed_promotion_does_not_fail_twice() -> None:
    """After a promotion has been given up, the next turn is a normal demotion."""
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
            id="not within a second",
        ),
        pytest.param(
            but(READY, configuration_failed_write=FailedWrite("disk full", Role.FOLLOWER, 98.9)),
            NOW,
            (WriteRendering(replace(FOLLOWER, fingerprint="g")),),
            id="after a second",
        ),
    ],
)
def test_failed_write_is_retried(o: Observation, now: float, actions: tuple[Action, ...]) -> None:
    """An edit of a follower that could not be written is written again after a second."""
    edited = but(o, configuration_renderings=Renderings(replace(FOLLOWER, fingerprint="g"), LEADER))
    assert decide(edited, now=now).actions == actions


def test_demotion_does_not_wait_after_a_failed_write() -> None:
    """After a failed write of the leader rendering, the follower rendering is written at once."""
    failed = FailedWrite("disk full", Role.LEADER, NOW - 0.1)
    o = but(LEADING, child_health=UNHEALTHY, configuration_failed_write=failed)
    assert decide(o).actions == (WriteRendering(FOLLOWER),)


def test_ambiguous_demotion_is_reloaded_again() -> None:
    """If content cannot prove a demotion, another reload follows after 0.5 s instead of 10 s."""
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
        pytest.param(True, 109.5, id="no answer to the request"),
        pytest.param(False, 100.0, id="no thread for the request"),
    ],
)
def test_demotion_whose_request_was_not_sent_is_retried_soon(
    was_sent: bool, retried_at: float
) -> None:
    """If the reload request could not be sent, it is retried soon, otherwise after 10 s.

    Otherwise Prometheus would be killed first. A Prometheus that has not answered may still reload.
    """
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
        pytest.param(
            STARTING,
            FIXED_LEADER,
            "follower",
            (),
            id="a leader too waits until Prometheus is ready",
        ),
        pytest.param(
            READY,
            FIXED_LEADER,
            "leader",
            (WriteRendering(LEADER),),
            id="a leader writes without a switch",
        ),
        pytest.param(
            but(
                LEADING, lease_view=LeaseView(), lease_last_renewed_at=None, fencing_switch_at=None
            ),
            FIXED_LEADER,
            "leader",
            (),
            id="a leader needs no lease",
        ),
        pytest.param(READY, FIXED_FOLLOWER, "follower", (), id="a follower stays a follower"),
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
            id="asked to stop, a leader stops without a demotion",
        ),
    ],
)
def test_without_an_election(
    o: Observation, policy: Policy, role: str, actions: tuple[Action, ...]
) -> None:
    """Without an election, the role is the fixed one, and a stop waits for no other replica."""
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
            id="SIGHUP is forwarded",
        ),
        pytest.param(
            but(READY, pending_signals=(signal.SIGQUIT,)),
            (SignalPrometheus(signal.SIGQUIT),),
            id="SIGQUIT is forwarded",
        ),
        pytest.param(but(READY, web_pid=None), (StartWeb(),), id="the web server is started"),
        pytest.param(stopping(READY), (TERMINATE,), id="asked to stop, it terminates Prometheus"),
    ],
)
def test_plain_prometheus_is_only_supervised(o: Observation, actions: tuple[Action, ...]) -> None:
    """A Prometheus that reads its own file is supervised; nothing is written or reloaded."""
    assert decide(but(o, configuration_loading=LoadState()), PLAIN).actions == actions


@pytest.mark.parametrize(
    ("o", "now", "actions"),
    [
        pytest.param(
            but(CHOSEN, fencing_obstacle=None),
            NOW,
            (WriteRendering(LEADER),),
            id="it needs no switch and no fence",
        ),
        pytest.param(
            but(STARTING, configuration_renderings=RE_READ),
            NOW,
            (WriteRendering(EDITED_FOLLOWER),),
            id="an edit is written before Prometheus is ready: it may need the file",
        ),
        pytest.param(
            but(STARTING, configuration_loading=rewritten(FOLLOWER, FOLLOWER)),
            NOW,
            (),
            id="a written file is not reloaded before Prometheus is ready",
        ),
        pytest.param(LOST_DEMOTING, 105.0, (), id="it kills nothing at the last moment"),
        pytest.param(
            stopping(but(READY, lease_view=RELEASED), since=98.0),
            NOW,
            (),
            id="asked to stop, it waits for a successor",
        ),
        pytest.param(
            stopping(but(READY, lease_view=replace(RELEASED, released_at=98.9)), since=98.0),
            NOW,
            (StopWeb(),),
            id="asked to stop, it stops its web server",
        ),
        pytest.param(
            stopping(but(READY, web_pid=None, web_stopped_at=99.0)),
            NOW,
            (Exit(0),),
            id="asked to stop, it exits",
        ),
        pytest.param(
            stopping(but(DEMOTING, web_pid=None, web_stopped_at=99.0), since=91.0),
            NOW,
            (Exit(0),),
            id="asked to stop, it exits although its demotion is never confirmed",
        ),
        pytest.param(
            stopping(but(DEMOTING, web_pid=None, web_stopped_at=99.0), is_urgent=True),
            NOW,
            (Exit(0),),
            id="asked to stop twice, it exits",
        ),
        pytest.param(
            stopping(but(READY, stopping_failure=FAILURE, web_pid=None, web_stopped_at=99.0)),
            NOW,
            (Exit(FAILED),),
            id="one of its threads has ended",
        ),
    ],
)
def test_sidecar(o: Observation, now: float, actions: tuple[Action, ...]) -> None:
    """A sidecar did not start its Prometheus: it never kills it, and exits without it."""
    assert decide(o, SIDECAR, now).actions == actions


@pytest.mark.parametrize(
    ("o", "wake_at"),
    [
        pytest.param(READY, NOW + 1.0, id="at least once a second"),
        pytest.param(LEADING, NOW + 1.0, id="at least once a second while it leads"),
        pytest.param(STARTING, NOW + 0.5, id="twice a second until Prometheus is ready"),
        pytest.param(PROMOTING, NOW + 0.5, id="twice a second while a rendering is not confirmed"),
        pytest.param(
            but(READY, lease_view=STALE),
            NOW + 0.5,
            id="twice a second while the API server is unreachable",
        ),
        pytest.param(but(READY, web_pid=None), NOW + 0.5, id="twice a second without a web server"),
        pytest.param(
            but(READY, web_pid=None, role_since=NOW - 0.4),
            NOW + 0.1,
            id="when the web server should be started",
        ),
        pytest.param(
            but(READY, configuration_failed_write=FailedWrite("no space left", at=NOW)),
            NOW + 0.5,
            id="twice a second while the output cannot be written",
        ),
        pytest.param(
            but(READY, gate=GateState(exited_at=NOW)),
            NOW + 0.5,
            id="twice a second without the gate",
        ),
        pytest.param(LOST, NOW, id="at once after a change of role"),
        pytest.param(but(LEADING, child_status=0), NOW, id="at once after the exit of Prometheus"),
        pytest.param(
            but(DEMOTED, child_status=0, child_exited_at=NOW),
            NOW + 0.5,
            id="twice a second after the exit of a follower's Prometheus",
        ),
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
            id="when the wait for a successor ends",
        ),
    ],
)
def test_wake_time(o: Observation, wake_at: float) -> None:
    """The loop wakes when time alone changes the plan."""
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
def test_fixed_follower_wakes_often_until_all_is_settled(o: Observation) -> None:
    """Without an election, the loop wakes at least twice a second until all is settled.

    With an election, the obstacle to leading would have the same effect.
    """
    assert decide(READY, FIXED_FOLLOWER).wake_at == NOW + 1.0
    assert decide(o, FIXED_FOLLOWER).wake_at <= NOW + 0.5


@pytest.mark.parametrize("o", [READY, LEADING, STARTING, but(READY, lease_view=STALE)])
def test_loop_wakes_more_often_than_the_lease_is_renewed(o: Observation) -> None:
    """With a retry period of 0.5 s, the loop wakes at least every 0.25 s.

    Otherwise the election's last orders would be too old to be followed when a lease expires.
    """
    policy = replace(POLICY, terms=replace(TERMS, retry_period_s=0.5))
    assert decide(o, policy).wake_at <= NOW + 0.25


def test_web_server_that_is_not_wanted_is_not_started() -> None:
    """If no web server is wanted, none is started, and the loop does not wait for one."""
    decided = decide(but(READY, web_pid=None), replace(POLICY, serves_web=False))
    assert (decided.actions, decided.wake_at) == ((), NOW + 1.0)


def test_replica_with_an_obstacle_to_leading_wakes_often() -> None:
    """A replica that may not lead wakes twice a second, because time alone may end the obstacle."""
    assert decide(but(READY, stopping_steps_down_until=NOW + 5.0)).wake_at == NOW + 0.5


def test_loop_wakes_within_a_retry_period() -> None:
    """The loop wakes within half a retry period, so that the election's orders stay fresh."""
    policy = replace(POLICY, terms=replace(TERMS, retry_period_s=1.2))
    assert decide(READY, policy).wake_at == NOW + 0.6


def test_end_of_the_wait_for_forwarding_replicas_wakes_the_loop() -> None:
    """The loop wakes at the end of the wait for replicas that forward to the old leader."""
    lease = replace(ANOTHERS, released_at=NOW - 0.5, changed_at=NOW - 0.2)
    o = stopping(but(DEMOTED, lease_view=lease, fencing_switch_at=None))
    assert decide(o).wake_at == pytest.approx(NOW + 0.1)


def test_decisions_are_stored_in_the_observation() -> None:
    """The switch, sent signals, the stop of the web server and the release order are stored."""
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


def test_paused_replica_does_not_contend() -> None:
    """During a pause, a leader demotes and a follower does not contend; afterwards it contends."""
    pause = Pause(NOW + 60, 1e9)
    leading = decide(but(LEADING, stopping_pause=pause))
    assert (leading.role, leading.cause) == (Role.FOLLOWER, Cause.STEPPING_DOWN)
    assert decide(but(READY, stopping_pause=pause)).stance is Stance.RELEASE
    assert decide(but(READY, stopping_pause=replace(pause, until_at=NOW))).stance is Stance.CONTEND


def test_signal_leads_to_one_read_of_the_pause() -> None:
    """After the signal, the file of the pause is read once."""
    asked = but(LEADING, pending_pause=True)
    assert ReadPause() in decide(asked).actions
    assert not done(asked).pending.pause
    assert ReadPause() not in decide(LEADING).actions


# --- reloads for other files ----------------------------------------------------------------------

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
        pytest.param(
            but(LEADING, reload=WANTED),
            POLICY,
            (ReloadPrometheus("l"),),
            id="changed rules are reloaded",
        ),
        pytest.param(
            but(READY, role=Role.LEADER, configuration_loading=LoadState(), reload=WANTED),
            PLAIN,
            (ReloadPrometheus(""),),
            id="also if Prometheus reads its own file",
        ),
        pytest.param(
            but(LEADING, child_was_ready=False, reload=WANTED),
            POLICY,
            (),
            id="not before Prometheus is ready",
        ),
        pytest.param(
            but(LEADING, reload=replace(WANTED, sent_at=NOW - 1)),
            POLICY,
            (),
            id="a reload is sent once",
        ),
        pytest.param(
            but(
                LEADING,
                reload=WANTED,
                configuration_loading=loaded_rendering.write_started(loaded(LEADER), EDITED),
            ),
            POLICY,
            (),
            id="not while a rendering is written: its own reload follows",
        ),
        pytest.param(
            but(LEADING, reload=replace(WANTED, sent_at=NOW - 10)),
            POLICY,
            (ReloadPrometheus("l"),),
            id="a reload without an outcome is sent again",
        ),
        pytest.param(
            but(LEADING, child_killed_at=NOW, reload=WANTED),
            POLICY,
            (),
            id="not after Prometheus was killed",
        ),
        pytest.param(
            but(LEADING, reload=RULES_REFUSED), POLICY, (NEWS,), id="the requester gets the verdict"
        ),
        pytest.param(
            but(LEADING, reload=requested_reload.verdict_sent(RULES_REFUSED)),
            POLICY,
            (),
            id="the requester gets the verdict once",
        ),
        pytest.param(
            but(CHOSEN, role=Role.LEADER, fencing_switch_at=108.2, reload=WANTED),
            POLICY,
            (WriteRendering(LEADER),),
            id="a change of role includes the reload",
        ),
        pytest.param(
            but(
                PROMOTING,
                reload=WANTED,
                configuration_loading=replace(PROMOTING.configuration.loading, reload_sent_at=None),
            ),
            POLICY,
            (ReloadPrometheus("l"),),
            id="one reload serves both",
        ),
    ],
)
def test_requested_reload(o: Observation, policy: Policy, actions: tuple[Action, ...]) -> None:
    """A requested reload is sent once Prometheus is ready, and its requester gets the verdict."""
    assert decide(o, policy).actions == actions


def test_unconfirmed_requested_reload_is_given_up() -> None:
    """A requested reload that is never confirmed is given up, and the requester is informed."""
    o = but(LEADING, reload=replace(WANTED, sent_at=NOW - 10, sent_first_at=NOW - 50))
    o = done(o)
    answer = AnswerReload(3, Verdict.UNCONFIRMED, "its reload was not confirmed")
    assert answer in decide(o).actions
    assert decide(done(o)).actions == ()


def test_requested_reload_wakes_the_loop() -> None:
    """The loop wakes when the quiet time after the last request is over."""
    o = but(LEADING, reload=replace(WANTED, wanted_at=NOW, first_at=NOW))
    assert decide(o).wake_at == NOW + requested_reload.QUIET_S
