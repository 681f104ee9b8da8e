"""With the gate, faults cause no gap and no loss at the receiver."""

from __future__ import annotations

import pytest

from tests.real import outages
from tests.real.conftest import MakeWriters
from tests.real.fleet import LEASE_S
from tests.real.receivers import VictoriaStore
from tests.support import wait_until


def test_a_leader_that_vanishes(writers: MakeWriters) -> None:
    """When a leader is killed with all its processes, nothing is lost and the gap is short."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.machine_gone(fleet)
    found = fleet.assert_whole(leader.name, other.name)
    assert found.hole.seconds < LEASE_S, found
    assert fleet.gate_total("batches_sent_on_total") > 0


@pytest.mark.parametrize("others_s", [5.0, 0.2], ids=["both-wait", "leader-waits"])
def test_an_ordered_hand_over_is_exact(writers: MakeWriters, others_s: float) -> None:
    """In an ordered hand-over, all pending samples are sent, and none of them twice.

    The follower's batches contain samples from before and after it, or are all released by the last
    mark.
    """
    queue, queue_of_others = (f"batch_send_deadline: {round(s * 1000)}ms" for s in (5.0, others_s))
    fleet = writers(VictoriaStore, queue=queue, queue_of_others=queue_of_others)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    fleet.await_pending(leader, 3)
    outages.stopped(fleet)
    fleet.assert_whole(leader.name, other.name, is_exact=True)


def test_a_stopped_leader(writers: MakeWriters) -> None:
    """When a leader is stopped with SIGSTOP, its gate is dead before another leads."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    gate = leader.gate
    outages.frozen(fleet)
    assert not gate.is_running()
    fleet.assert_whole(leader.name, other.name)


def test_an_unreachable_api_server(writers: MakeWriters) -> None:
    """When nobody leads for five leases, all samples are held, and sent later."""
    fleet = writers()
    fleet.start("a", "b")
    outages.api_server_away(fleet, 5 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found
    assert fleet.gate_total("batches_sent_on_total") > 0


def test_a_receiver_that_is_down_while_the_leader_vanishes(writers: MakeWriters) -> None:
    """When the receiver is down as the leader vanishes, the other sends the missing samples."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.receiver_away_and_leader_gone(fleet, 3 * LEASE_S)
    found = fleet.assert_whole(leader.name, other.name)
    assert found.hole.seconds < LEASE_S, found


def test_a_successors_gate_killed_before_it_has_sent(writers: MakeWriters) -> None:
    """When a successor's gate dies before it has sent its samples, nothing is lost.

    The third replica holds the same samples: the mark must not pass them.
    """
    fleet = writers()
    fleet.start("a", "b", "c")
    outages.receiver_away_and_gate_gone(fleet, 2 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found


def test_a_dead_receiver_at_a_demotion(writers: MakeWriters) -> None:
    """When receivers do not answer during a step-down, Prometheus is not killed."""
    fleet = writers(dead_endpoints=2)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    figures = outages.receiver_dead_at_demotion(fleet)
    assert figures["Prometheus killed"] == 0
    fleet.assert_whole(leader.name, other.name)


def test_a_killed_gate(writers: MakeWriters) -> None:
    """When the leader's gate is killed, it is restarted, nothing is lost, and the leader stays."""
    fleet = writers()
    leader = fleet.start("a", "b")
    restarts = fleet.gate_total("restarts_total")
    outages.gate_killed(fleet)
    wait_until(lambda: fleet.gate_total("restarts_total") == restarts + 1, 10, "it is counted")
    fleet.assert_whole(leader.name)
