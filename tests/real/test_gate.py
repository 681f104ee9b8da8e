"""No hole, nothing lost: what faults cost at the receiver where replicas write through gates."""

from __future__ import annotations

import pytest

from tests.real import outages
from tests.real.conftest import MakeWriters
from tests.real.fleet import LEASE_S
from tests.real.receivers import VictoriaStore
from tests.support import wait_until


def test_a_leader_that_vanishes(writers: MakeWriters) -> None:
    """Kill -9 of all of the leader: the other goes on from what the receiver has."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.machine_gone(fleet)
    found = fleet.assert_whole(leader.name, other.name)
    assert found.hole.seconds < LEASE_S, found
    assert fleet.gate_total("batches_sent_on_total") > 0


@pytest.mark.parametrize("others_s", [5.0, 0.2], ids=["both-wait", "leader-waits"])
def test_an_ordered_hand_over_is_exact(writers: MakeWriters, others_s: float) -> None:
    """SIGTERM: what the leader has not sent yet goes out, and not again from the other.

    The other's batches have samples from before and after, or are all released by the last mark.
    """
    queue, queue_of_others = (f"batch_send_deadline: {round(s * 1000)}ms" for s in (5.0, others_s))
    fleet = writers(VictoriaStore, queue=queue, queue_of_others=queue_of_others)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    fleet.await_pending(leader, 3)
    outages.stopped(fleet)
    fleet.assert_whole(leader.name, other.name, is_exact=True)


def test_a_frozen_leader(writers: MakeWriters) -> None:
    """SIGSTOP of all of the leader: its gate is dead when another leads, and passes nothing on."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    gate = leader.gate
    outages.frozen(fleet)
    assert not gate.is_running()
    fleet.assert_whole(leader.name, other.name)


def test_the_api_server_away(writers: MakeWriters) -> None:
    """Nobody leads for five leases: all is held, and sent when one leads again."""
    fleet = writers()
    fleet.start("a", "b")
    outages.api_server_away(fleet, 5 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found
    assert fleet.gate_total("batches_sent_on_total") > 0


def test_the_receiver_away_while_the_leader_vanishes(writers: MakeWriters) -> None:
    """What the leader could not send any more, the other has."""
    fleet = writers()
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.receiver_away_and_leader_gone(fleet, 3 * LEASE_S)
    found = fleet.assert_whole(leader.name, other.name)
    assert found.hole.seconds < LEASE_S, found


def test_a_successors_gate_killed_before_it_has_sent_what_it_held(writers: MakeWriters) -> None:
    """The third replica holds the same, and leads: the mark must not pass over it."""
    fleet = writers()
    fleet.start("a", "b", "c")
    outages.receiver_away_and_gate_gone(fleet, 2 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found


def test_a_dead_receiver_at_a_demotion(writers: MakeWriters) -> None:
    """The receiver answers nothing, and the leader steps down: its Prometheus lives on."""
    fleet = writers(dead_endpoints=2)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    figures = outages.receiver_dead_at_demotion(fleet)
    assert figures["Prometheus killed"] == 0
    fleet.assert_whole(leader.name, other.name)


def test_a_killed_gate(writers: MakeWriters) -> None:
    """The leader's gate is killed: requests wait until it runs again, and the leader stays."""
    fleet = writers()
    leader = fleet.start("a", "b")
    restarts = fleet.gate_total("restarts_total")
    outages.gate_killed(fleet)
    wait_until(lambda: fleet.gate_total("restarts_total") == restarts + 1, 10, "it is counted")
    fleet.assert_whole(leader.name)
