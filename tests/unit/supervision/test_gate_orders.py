"""The supervisor's orders to the gate: when it may be open, and the ordered hand-over."""

from __future__ import annotations

import math
import signal
from dataclasses import replace

import pytest

from tests.unit.known import but
from tests.unit.supervision.test_plan import (
    DEMOTED,
    FIXED_LEADER,
    FOLLOWER,
    HELD,
    LEADER,
    LEADING,
    NOW,
    POLICY,
    READY,
    SIDECAR,
    STALE,
    UNHEALTHY,
    decide,
    loaded,
    rewritten,
)
from wrapper.model.actions import (
    Action,
    ArmSwitch,
    DisarmSwitch,
    KillGate,
    OrderGate,
    SignalPrometheus,
    StartGate,
)
from wrapper.model.configuration import Renderings
from wrapper.model.events import (
    GateExited,
    GateReported,
    GateStarted,
    LeaseReported,
    SignalReceived,
    ThreadEnded,
)
from wrapper.model.gate import FAR_MS, Endpoint, EndpointReport, GateOrder, GateReport
from wrapper.model.lease import LeaseRecord, LeaseView
from wrapper.model.roles import Cause, Role, Stance
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.gate_state import fold as fold_gate
from wrapper.supervision.loaded_rendering import Outcome
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy
from wrapper.supervision.reducer import fold

ENDPOINTS = (Endpoint("mimir", "http://mimir/push"),)
GATED = replace(FOLLOWER, endpoints=ENDPOINTS, writes_remotely=True)
ALIKE = Renderings(GATED, replace(GATED, role=Role.LEADER))
NO_ENDPOINTS = Renderings(FOLLOWER, replace(FOLLOWER, role=Role.LEADER))
PID = 70
CLOSED = GateState(pid=PID, order=GateOrder(1, endpoints=ENDPOINTS), report=GateReport(1))


def gated(o: Observation, gate: GateState = CLOSED) -> Observation:
    """Return the observation with a gate, and with the same configuration for both roles."""
    return but(
        o,
        gate=gate,
        configuration_renderings=ALIKE,
        configuration_loading=loaded(GATED),
        fencing_switch_at=None,
    )


def orders(o: Observation, policy: Policy = POLICY, now: float = NOW) -> list[Action]:
    """Return the actions that concern the gate."""
    kinds = (StartGate, OrderGate, KillGate)
    return [each for each in decide(o, policy, now).actions if isinstance(each, kinds)]


def order_of(o: Observation, policy: Policy = POLICY, now: float = NOW) -> GateOrder:
    """Return the only order to the gate."""
    [action] = orders(o, policy, now)
    assert isinstance(action, OrderGate)
    return action.order


def after(
    o: Observation, *happened: object, policy: Policy = POLICY, now: float = NOW
) -> Observation:
    """Return the observation after events, and the decision that follows each."""
    for each in happened:
        o = fold(o, each, now, policy)  # type: ignore[arg-type]
        o = fold(o, decide(o, policy, now), now, policy)
    return o


def report_of(number: int, *, is_open: bool, **state: object) -> GateReported:
    """Return the gate's report after an order."""
    return GateReported(PID, GateReport(number, is_open, **state))  # type: ignore[arg-type]


CHOSEN = gated(but(READY, lease_view=HELD, lease_last_renewed_at=99.0))
OPENING = after(CHOSEN, report_of(1, is_open=False))
LEADS = after(OPENING, report_of(2, is_open=True))


def test_gate_of_a_leader_is_open_until_the_last_moment() -> None:
    """A leader's gate is ordered open until the last moment, which moves with each renewal."""
    assert order_of(CHOSEN).open_until == pytest.approx(99.0 + 9.2)
    assert OPENING.gate is not None
    assert OPENING.gate.order.number == 2
    renewed = but(LEADS, lease_view=replace(HELD, renewed_at=100.0), lease_last_renewed_at=100.0)
    assert order_of(renewed).open_until == pytest.approx(109.2)
    assert orders(LEADS) == []


def test_promotion_with_the_gate_needs_no_reload_and_no_fence() -> None:
    """If both renderings are the same, a promotion only opens the gate: no reload, no fence."""
    actions = decide(CHOSEN).actions
    assert [type(each) for each in actions] == [OrderGate]
    assert not any(isinstance(each, ArmSwitch | SignalPrometheus) for each in actions)
    assert decide(but(CHOSEN, fencing_obstacle=None)).role is Role.LEADER
    assert decide(but(CHOSEN, fencing_obstacle="no"), SIDECAR).role is Role.LEADER


def test_switch_is_armed_with_a_lock_file() -> None:
    """With a lock file, the switch is armed while the replica leads, also with a gate.

    Otherwise a supervisor that hangs would keep the lock, because Prometheus has inherited it.
    """
    policy = replace(POLICY, is_lock_file=True)
    assert ArmSwitch(108.2) in decide(CHOSEN, policy).actions
    armed = but(LEADS, fencing_switch_at=108.2)
    assert not any(isinstance(each, ArmSwitch) for each in decide(armed, policy).actions)
    stale = but(armed, lease_view=STALE, lease_last_renewed_at=92.0)
    assert DisarmSwitch() in decide(stale, policy).actions
    assert not any(isinstance(each, SignalPrometheus) for each in decide(stale, policy).actions)
    nothing_to_write = but(LEADS, configuration_renderings=NO_ENDPOINTS)
    assert not any(isinstance(each, ArmSwitch) for each in decide(nothing_to_write, policy).actions)


def test_gate_may_write_from_the_decision_until_it_reports_closed() -> None:
    """From the order to open until the gate reports a later order as closed, it may write.

    A report on an earlier order proves nothing; neither does the order to close.
    """
    assert not CHOSEN.writer.may_write
    assert OPENING.writer.may_write
    assert not OPENING.writer.is_open
    assert LEADS.writer.is_open
    stale = but(LEADS, lease_view=STALE, lease_last_renewed_at=92.0)
    lost = after(stale, report_of(2, is_open=False))
    assert lost.role is Role.FOLLOWER
    assert lost.gate is not None
    assert lost.gate.order == replace(lost.gate.order, number=3, open_until=None)
    assert lost.writer.may_write
    closing = after(lost, report_of(3, is_open=True))
    assert closing.writer.may_write
    closed = after(closing, report_of(3, is_open=False))
    assert not closed.writer.may_write
    # Later orders that only have new marks do not open it.
    seen = LeaseReported(LeaseView(last=LeaseRecord("b", 10.0, marks=(("mimir", 7),))))
    later = after(closed, seen)
    assert later.gate is not None
    assert later.gate.order.marks == {"mimir": 7}
    assert not later.writer.may_write


def test_gate_passes_once_it_reports_that_it_is_open() -> None:
    """A gate passes only if it is ordered to be open, reports that it is, and was not killed."""
    order = GateOrder(1, open_until=108.2)
    state = GateState(pid=PID, opened_number=1, order=order, report=GateReport(1, is_open=True))
    assert state.passes
    for changed in (
        replace(state, report=GateReport(1, is_open=False)),
        replace(state, report=GateReport(0, is_open=True)),
        replace(state, order=GateOrder(2)),
        replace(state, killed_at=NOW),
        replace(state, opened_number=0),
    ):
        assert not changed.passes


def test_mark_far_ahead_of_the_clock_is_ignored() -> None:
    """A mark that is too far ahead of the clock is ignored.

    Otherwise it would count once its time has come near, and the gates would drop what they hold.
    """
    time, ahead = 1000.0, 1_000_000 + FAR_MS

    def seen(mark: int, at: float) -> LeaseReported:
        return LeaseReported(LeaseView(last=LeaseRecord("b", 10.0, marks=(("mimir", mark),))), at)

    state = GateState()
    steps: tuple[tuple[int, float, dict[str, int]], ...] = (
        (ahead + 1, time, {}),
        (ahead, time, {"mimir": ahead}),
        (ahead + 2, time, {"mimir": ahead}),
        (7, time + 3600, {"mimir": ahead}),
        (ahead + 2, time + 1, {"mimir": ahead + 2}),
    )
    for mark, at, known in steps:
        state = fold_gate(state, seen(mark, at), NOW)
        assert state.other_marks == known


def test_gate_that_has_exited_is_restarted() -> None:
    """A gate that exits writes nothing; it is restarted after a pause, with the marks it knew."""
    marked = report_of(2, is_open=True, endpoints=(EndpointReport("mimir", mark=5),))
    dead = fold(after(LEADS, marked), GateExited(-9), NOW, POLICY)
    assert not dead.writer.may_write
    assert orders(dead) == []
    assert orders(dead, now=NOW + 0.2) == [StartGate()]
    assert decide(dead, now=NOW + 0.2).role is Role.LEADER
    assert decide(dead, now=NOW + 3.1).cause is Cause.GATE_DOWN
    again = fold(dead, GateStarted(71), NOW + 0.2, POLICY)
    order = order_of(again, now=NOW + 0.2)
    assert order.open_until == pytest.approx(108.2)
    assert order.marks == {"mimir": 5}
    assert not fold(again, report_of(9, is_open=True), NOW, POLICY).writer.is_open, (
        "of the one before"
    )


def test_leader_whose_gate_lost_held_samples_steps_down() -> None:
    """A leader whose gate exits with held samples steps down.

    A standby holds the same samples, and drops them once a later mark is known.
    """
    holding = (EndpointReport("mimir", mark=5, held_batches=1),)
    dead = fold(
        after(LEADS, report_of(2, is_open=True, endpoints=holding)), GateExited(-9), NOW, POLICY
    )
    decided = decide(dead)
    assert (decided.role, decided.cause) == (Role.FOLLOWER, Cause.GATE_DOWN)
    follows = after(dead, GateStarted(71))
    assert decide(follows).stance is Stance.RELEASE
    assert decide(follows, now=NOW + 2.9).stance is Stance.RELEASE
    assert decide(follows, now=NOW + 3.0).stance is Stance.CONTEND
    # A leader still has what a standby's gate held.
    standby = after(gated(READY), report_of(1, is_open=False, endpoints=holding))
    again = fold(fold(standby, GateExited(-9), NOW, POLICY), GateStarted(71), NOW, POLICY)
    assert decide(again).stance is Stance.CONTEND


def test_new_gate_does_not_contend_for_a_while() -> None:
    """A replica whose gate has just started does not contend for 2 s, if others hold more.

    They hold the samples that were scraped between the mark and the start of this gate.
    """
    free = LeaseView(last=LeaseRecord(marks=(("mimir", 4000),)), free_at=NOW)
    known = fold(gated(READY, GateState()), LeaseReported(free), NOW, POLICY)
    fed = EndpointReport("mimir", counters={"requests_held": 1.0})
    feeds = report_of(0, is_open=False, endpoints=(fed,))
    late = fold(fold(known, GateStarted(PID, 5.0), NOW, POLICY), feeds, NOW, POLICY)
    assert (decide(late).cause, decide(late).stance) == (Cause.GATE_NEW, Stance.RELEASE)
    assert decide(late, now=NOW + 2.0).stance is Stance.CONTEND
    early = fold(fold(known, GateStarted(PID, 3.0), NOW, POLICY), feeds, NOW + 0.9, POLICY)
    assert decide(early).stance is Stance.CONTEND
    unfed = fold(known, GateStarted(PID, 3.0), NOW, POLICY)
    assert decide(unfed).cause is Cause.GATE_NEW
    late_fed = fold(unfed, feeds, NOW + 1.1, POLICY)
    assert decide(late_fed).cause is Cause.GATE_NEW
    holds = but(late, lease_view=replace(HELD, free_at=NOW), lease_last_renewed_at=99.0)
    assert decide(holds).role is Role.LEADER, "it has the lease already"
    lost = but(late, role=Role.LEADER, role_since=60.0)
    assert decide(lost).cause is Cause.LOST, "it was the leader until now"


def test_replica_is_ready_once_its_gate_receives_samples() -> None:
    """A replica is not ready for at most 15 s, until its gate receives samples.

    A replica may have no samples. The restart of a gate does not make a replica unready.
    """
    started = fold_gate(GateState(), GateStarted(PID, 5.0), NOW)
    assert GateState().awaits_samples(NOW)
    assert started.awaits_samples(NOW + 14.9)
    assert not started.awaits_samples(NOW + 15.0)
    unfed = report_of(0, is_open=False, endpoints=(EndpointReport("mimir"),))
    fed = EndpointReport("mimir", counters={"requests_refused_full": 1.0})
    assert fold_gate(started, unfed, NOW).awaits_samples(NOW)
    ready = fold_gate(started, report_of(0, is_open=False, endpoints=(fed,)), NOW)
    assert not ready.awaits_samples(NOW)
    again = fold_gate(fold_gate(ready, GateExited(1), NOW), GateStarted(PID, 6.0), NOW)
    assert not again.awaits_samples(NOW)
    assert again.receiving_since is None


def test_gate_lacks_samples_if_one_endpoint_lacks_them() -> None:
    """A gate lacks samples until Prometheus sends to all endpoints, and if one mark is older."""
    fed = EndpointReport("mimir", counters={"requests_held": 1.0})
    unfed = EndpointReport("thanos")
    state = fold_gate(GateState(), GateStarted(PID, 5.0), NOW)
    half = fold_gate(state, report_of(0, is_open=False, endpoints=(fed, unfed)), NOW + 1)
    assert half.receiving_since is None
    both = (fed, replace(fed, name="thanos"))
    for at in (2, 3):
        half = fold_gate(half, report_of(0, is_open=False, endpoints=both), NOW + at)
        assert half.receiving_since == NOW + 2
    marked = replace(half, other_marks={"mimir": 7000, "thanos": 6999})
    assert not marked.lacks_samples(["mimir"])
    assert marked.lacks_samples(["mimir", "thanos"])


def test_restarts_of_a_failing_gate_are_delayed() -> None:
    """A gate that cannot be started is retried with a growing pause, as one that exits soon."""
    o = gated(READY, GateState())
    for count in range(5):
        o = fold(o, GateExited(1), NOW, POLICY)
        assert o.gate is not None
        assert o.gate.failures == count + 1
    assert orders(o, now=NOW + 1.5) == []
    assert orders(o, now=NOW + 1.7) == [StartGate()]
    for ran_s, failures in ((29.0, 6), (31.0, 1)):
        ended = fold(fold(o, GateStarted(PID), NOW, POLICY), GateExited(1), NOW + ran_s, POLICY)
        assert ended.gate is not None
        assert ended.gate.failures == failures


def test_replica_without_a_running_gate_does_not_contend() -> None:
    """A replica whose gate does not run does not contend: only a leader has time for a restart."""
    starting = gated(READY, GateState())
    decided = decide(starting)
    assert decided.cause is Cause.GATE_DOWN
    assert StartGate() in decided.actions
    assert decide(gated(READY)).stance is Stance.CONTEND
    fallen = gated(READY, GateState(exited_at=NOW - 0.1, failures=1))
    assert decide(fallen).stance is Stance.RELEASE, (
        "only a leader waits for the restart of its gate"
    )


def test_leader_waits_three_seconds_for_its_gate() -> None:
    """If its gate does not run within 3 s of its exit or of the promotion, a leader steps down."""
    exited = but(gated(LEADING, GateState(exited_at=NOW - 2.9, failures=1)), role_since=60.0)
    assert decide(exited).role is Role.LEADER
    assert decide(exited, now=NOW + 0.1).cause is Cause.GATE_DOWN
    unstarted = but(gated(LEADING, GateState()), role_since=NOW - 2.9)
    assert decide(unstarted).role is Role.LEADER
    assert decide(unstarted, now=NOW + 0.1).cause is Cause.GATE_DOWN


@pytest.mark.parametrize("policy", [POLICY, SIDECAR])
def test_gate_that_does_not_close_is_killed_at_the_last_moment(policy: Policy) -> None:
    """A gate that does not close is killed just before the last moment, also in a sidecar."""
    stale = but(LEADS, lease_view=STALE, lease_last_renewed_at=92.0)
    lost = after(stale, report_of(2, is_open=True), policy=policy)
    assert orders(lost, policy, now=101.1) == []
    [killed] = orders(lost, policy, now=101.15)
    assert isinstance(killed, KillGate)
    actions = decide(lost, policy, now=101.15).actions
    assert not any(isinstance(each, SignalPrometheus) for each in actions)
    ending = fold(lost, decide(lost, policy, now=101.15), 101.15, policy)
    assert orders(ending, policy, now=101.16) == [], "once is enough"
    unwatched = fold(lost, ThreadEnded("wait-gate", "an error"), 101.1, policy)
    assert unwatched.writer.may_write, "an unwatched gate that was not killed may still write"
    assert ending.writer.may_write, "until it has exited"
    unreported = fold(ending, ThreadEnded("wait-gate", "an error"), 101.2, policy)
    assert not unreported.writer.may_write, "or nobody would hear of that"
    again = fold(fold(ending, GateExited(-9), 101.2, policy), GateStarted(71), 101.4, policy)
    assert again.gate is not None
    assert again.gate.killed_at is None


def test_gate_that_does_not_close_is_killed_after_the_grace() -> None:
    """If a gate is not closed 8 s after the demotion, it is killed, even with a renewed lease."""
    unhealthy = but(LEADS, child_health=UNHEALTHY, role_since=60.0)
    assert not any(isinstance(each, KillGate) for each in orders(unhealthy))
    closing = after(unhealthy, report_of(2, is_open=True))
    assert closing.role_since == NOW
    view = replace(HELD, renewed_at=107.0)
    closing = but(closing, lease_view=view, lease_last_renewed_at=107.0)
    assert orders(closing, now=NOW + 7.9) == []
    assert orders(closing, now=NOW + 8.0) == [KillGate("it had not closed within 8 s")]


def test_gate_that_may_pass_without_any_lease_is_killed() -> None:
    """If the lease was never held, a gate that may pass requests on is killed at once."""
    never_held = but(LEADS, lease_view=LeaseView(), lease_last_renewed_at=None)
    assert KillGate("it may pass requests on without a lease") in orders(never_held)


def test_gate_that_does_not_open_ends_the_promotion() -> None:
    """If the gate does not open within 10 s of the order, the promotion has failed."""
    opening = but(OPENING, lease_view=replace(HELD, renewed_at=109.0), lease_last_renewed_at=109.0)
    assert decide(opening, now=NOW + 9.9).role is Role.LEADER
    decided = decide(opening, now=NOW + 10.0)
    assert (decided.role, decided.cause) == (Role.FOLLOWER, Cause.PROMOTION_FAILED)
    assert decided.reason == "the gate did not open within 10 s"
    opened = after(opening, report_of(2, is_open=True))
    assert decide(opened, now=NOW + 10.0).role is Role.LEADER


def test_gate_hands_over_before_the_demotion() -> None:
    """On SIGTERM, the replica leads until its gate has handed over; then it closes and releases."""
    leaving = after(LEADS, SignalReceived(signal.SIGTERM))
    assert leaving.role is Role.LEADER
    assert leaving.gate is not None
    assert leaving.gate.order.hands_over
    decided = decide(leaving)
    assert (decided.role, decided.stance) == (Role.LEADER, Stance.CONTEND)
    assert decided.reason.startswith("handing over")
    # Reports from before the order are ignored.
    early = after(leaving, report_of(2, is_open=True, has_handed_over=True))
    assert early.role is Role.LEADER
    assert after(leaving, report_of(3, is_open=True)).role is Role.LEADER, (
        "the hand-over has only begun"
    )
    done = after(leaving, report_of(3, is_open=True, has_handed_over=True))
    assert (done.role, decide(done).stance) == (Role.FOLLOWER, Stance.HOLD)
    assert done.gate is not None
    assert done.gate.order.open_until is None
    assert not done.gate.order.hands_over
    assert decide(after(done, report_of(4, is_open=False))).stance is Stance.RELEASE


def test_hand_over_has_a_time_limit() -> None:
    """The hand-over ends a second before the grace period does; a second signal ends it at once."""
    leaving = after(LEADS, SignalReceived(signal.SIGTERM))
    renewed = but(leaving, lease_view=replace(HELD, renewed_at=106.0), lease_last_renewed_at=106.0)
    assert decide(renewed, now=NOW + 6.9).role is Role.LEADER
    assert decide(renewed, now=NOW + 7.0).role is Role.FOLLOWER
    assert decide(renewed, now=NOW + 6.8).wake_at == pytest.approx(NOW + 7.0)
    assert after(leaving, SignalReceived(signal.SIGTERM)).role is Role.LEADER, "the same request"
    again = after(leaving, SignalReceived(signal.SIGTERM), now=NOW + 1.0)
    assert again.role is Role.FOLLOWER


def test_no_hand_over_without_the_lease_or_prometheus() -> None:
    """If the lease is lost, or Prometheus is not ready or dead, the gate closes at once."""
    leaving = after(LEADS, SignalReceived(signal.SIGTERM))
    lost = but(leaving, lease_view=STALE, lease_last_renewed_at=92.0)
    assert (decide(lost).role, decide(lost).stance) == (Role.FOLLOWER, Stance.HOLD)
    assert decide(but(LEADS, child_is_ready=False)).role is Role.FOLLOWER
    dead = but(LEADS, child_status=1, child_exited_at=NOW)
    decided = decide(dead)
    assert decided.stance is Stance.HOLD
    assert any(
        isinstance(each, OrderGate) and each.order.open_until is None for each in decided.actions
    )
    closed = after(dead, report_of(3, is_open=False))
    assert decide(closed).stance is Stance.RELEASE
    assert StartGate() not in orders(but(dead, gate=GateState())), "nothing would send to it"
    closing = but(after(dead, report_of(2, is_open=True)), lease_last_renewed_at=95.0)
    assert decide(closing).stance is Stance.HOLD, "the gate may still pass requests on"
    assert orders(closing, now=104.1) == []
    [killed] = orders(closing, now=104.15)
    assert isinstance(killed, KillGate), "it is killed at the last moment, as Prometheus is"


def test_gate_of_a_fixed_leader_is_open_without_a_limit() -> None:
    """Without an election, a leader's gate is open until Prometheus exits."""
    assert order_of(gated(READY), FIXED_LEADER).open_until == math.inf
    assert orders(gated(READY)) == []
    opened = after(gated(READY), report_of(1, is_open=False), policy=FIXED_LEADER)
    ended = but(opened, child_status=0, child_exited_at=NOW)
    assert order_of(ended, FIXED_LEADER).open_until is None


def test_removed_endpoint_stays_until_the_edit_is_in_force() -> None:
    """An endpoint that an edit removes stays until the edit is in force.

    Prometheus may refuse the edit; and the gate would give up what it holds for the endpoint.
    """
    fewer = replace(GATED, fingerprint="g", endpoints=(Endpoint("thanos", "http://thanos"),))
    edited = Renderings(fewer, replace(fewer, role=Role.LEADER))
    o = but(gated(READY), configuration_renderings=edited)
    names = [each.name for each in order_of(o).endpoints]
    assert names == ["thanos", "mimir"]
    in_force = but(o, configuration_loading=loaded(fewer))
    assert [each.name for each in order_of(in_force).endpoints] == ["thanos"]


def test_endpoint_keeps_its_receiver_until_the_edit_is_in_force() -> None:
    """An endpoint keeps its old receiver until the edit is in force.

    Prometheus still sends the old credentials, and may refuse the edit.
    """
    elsewhere = Endpoint("mimir", "http://elsewhere/push", client={"follow_redirects": False})
    moved = replace(GATED, fingerprint="g", endpoints=(elsewhere, Endpoint("new", "http://new")))
    edited = Renderings(moved, replace(moved, role=Role.LEADER))
    o = but(gated(READY), configuration_renderings=edited)
    assert order_of(o).endpoints == (*ENDPOINTS, Endpoint("new", "http://new"))
    reloading = but(o, configuration_loading=rewritten(GATED, moved, sent_at=NOW - 0.4))
    assert order_of(reloading).endpoints == (*ENDPOINTS, Endpoint("new", "http://new"))
    putting_back = but(o, configuration_loading=rewritten(moved, GATED, sent_at=NOW - 0.4))
    assert order_of(putting_back).endpoints == (*ENDPOINTS, Endpoint("new", "http://new"))
    in_force = but(o, configuration_loading=loaded(moved))
    assert order_of(in_force).endpoints == moved.endpoints


def test_overrides_beside_the_gate_are_fenced() -> None:
    """With other overrides beside ``remote_write``, both the file and the gate must be closed."""
    leader = replace(LEADER, endpoints=ENDPOINTS)
    o = but(LEADING, gate=CLOSED, configuration_renderings=Renderings(GATED, leader))
    assert o.writer.may_write
    assert ArmSwitch in {type(each) for each in decide(but(o, fencing_switch_at=None)).actions}
    assert decide(but(o, fencing_obstacle="no")).cause is Cause.UNFENCED
    opened = replace(LEADS, configuration=o.configuration, child=o.child)
    assert opened.writer.is_open
    assert not replace(opened, gate=CLOSED).writer.is_open
    file_to_come = but(opened, configuration_loading=rewritten(GATED, leader))
    assert not file_to_come.writer.is_open
    refused = replace(rewritten(GATED, leader), outcome=Outcome.REFUSED, problem="why")
    given_up = decide(but(o, configuration_loading=refused))
    assert given_up.cause is Cause.PROMOTION_FAILED
    assert given_up.reason == "the leader rendering was refused: why"
    demoted = but(DEMOTED, gate=replace(CLOSED, opened_number=1), configuration_renderings=ALIKE)
    assert not demoted.rendered_file.may_write
    assert not replace(demoted, gate=CLOSED).writer.may_write
