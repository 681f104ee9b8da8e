"""Faults that take too long for scripts/test, on both receivers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.real import outages
from tests.real.account import Account
from tests.real.conftest import MakeWriters
from tests.real.fleet import LEASE_S, is_dead
from tests.real.gap import Writers
from tests.real.receivers import PrometheusStore, VictoriaStore
from tests.support import let_pass, wait_until

BOTH = pytest.mark.parametrize("store", [PrometheusStore, VictoriaStore])
Outage = Callable[[Writers], outages.Figures]

REPLACED: dict[str, Outage] = {
    "machine gone": outages.machine_gone,
    "supervisor killed": outages.supervisor_killed,
    "Prometheus killed": outages.prometheus_killed,
    "receiver away": partial(outages.receiver_away_and_leader_gone, away_s=30.0),
    "receiver slow": partial(outages.slow_receiver, delay_s=0.8, for_s=10.0),
    "429 with Retry-After": partial(outages.too_many_requests, for_s=10.0),
}


def account_of(fleet: Writers, outage: Outage, *, is_exact: bool = False) -> Account:
    """Cause an outage of the leader; check that the other continues where it stopped."""
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outage(fleet)
    return fleet.assert_whole(leader.name, other.name, is_exact=is_exact)


@BOTH
@pytest.mark.parametrize("outage", REPLACED.values(), ids=REPLACED)
def test_the_successor_continues(writers: MakeWriters, store: type, outage: Outage) -> None:
    """When the leader fails in any of these ways, nothing is lost and the gap is short."""
    found = account_of(writers(store), outage)
    assert found.hole.seconds < LEASE_S, found


@BOTH
def test_a_rolling_update_of_three(writers: MakeWriters, store: type) -> None:
    """In a rolling update of three replicas, nothing is lost, and nothing is sent twice."""
    fleet = writers(store)
    fleet.start("a", "b", "c")
    outages.rolling_update(fleet)
    fleet.assert_whole(*fleet.account().order, is_exact=True)


def test_a_stopped_gate(writers: MakeWriters) -> None:
    """When the leader's gate is stopped with SIGSTOP, it is killed in time, and nothing is lost."""
    fleet = writers()
    leader = fleet.start("a", "b")
    gate = leader.gate
    gate.suspend()
    wait_until(lambda: is_dead(gate), 2 * LEASE_S, "the frozen gate has been ended")
    fleet.await_samples(fleet.await_leader(), outages.SEEN)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found


@pytest.mark.breaks_api_server
def test_etcd_restarted(writers: MakeWriters) -> None:
    """When the API server answers errors for five leases, samples are held, and sent later."""
    fleet = writers()
    fleet.start("a", "b")
    outages.etcd_restarted(fleet, 5 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found


def test_the_memory_bound(writers: MakeWriters) -> None:
    """When a gate's memory is full, Prometheus sends the samples later, from its WAL."""
    fleet = writers(series=2000, flags=("--gate-memory=1MiB",))
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    fleet.store.stop()
    full = ("requests_total", 'outcome="refused_full"')
    wait_until(lambda: fleet.gate_total(*full) > 0, 90, "a gate is full")
    leader.vanish()
    fleet.await_new_leader(leader)
    fleet.store.start()
    fleet.await_samples(other, outages.SEEN)
    fleet.assert_whole(leader.name, other.name)


@BOTH
def test_scrapes_every_15_seconds(writers: MakeWriters, store: type) -> None:
    """When the scrape interval is longer than the lease, no scrape is lost."""
    fleet = writers(store, interval_s=15.0)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.machine_gone(fleet)
    fleet.assert_whole(leader.name, other.name)


@BOTH
@pytest.mark.parametrize("outage", [outages.machine_gone, outages.stopped])
def test_agent_mode(writers: MakeWriters, store: type, outage: Outage) -> None:
    """A Prometheus in agent mode loses no samples, like a server."""
    fleet = writers(store, is_agent=True)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outage(fleet)
    fleet.assert_whole(leader.name, other.name, is_exact=outage is outages.stopped)


def test_back_and_forth(writers: MakeWriters) -> None:
    """Two ordered hand-overs, to the other replica and back, are both exact."""
    fleet = writers(VictoriaStore)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    for one in (leader, other):
        outages.step_down(one)
        fleet.await_samples(fleet.await_new_leader(one), outages.SEEN)
        let_pass(LEASE_S)
    fleet.assert_whole(leader.name, other.name, leader.name, is_exact=True)
