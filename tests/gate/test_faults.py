"""More faults than scripts/test has time for, on both receivers."""

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
    """Take the leader of two away, and hold that the other goes on from what the receiver has."""
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outage(fleet)
    return fleet.assert_whole(leader.name, other.name, is_exact=is_exact)


@BOTH
@pytest.mark.parametrize("outage", REPLACED.values(), ids=REPLACED)
def test_another_goes_on(writers: MakeWriters, store: type, outage: Outage) -> None:
    """The leader dies in some way, and the other goes on from what the receiver has."""
    found = account_of(writers(store), outage)
    assert found.hole.seconds < LEASE_S, found


@BOTH
def test_a_rolling_update_of_three(writers: MakeWriters, store: type) -> None:
    """Each replica is stopped and started in turn: nothing is lost, nothing is sent again."""
    fleet = writers(store)
    fleet.start("a", "b", "c")
    outages.rolling_update(fleet)
    fleet.assert_whole(*fleet.account().order, is_exact=True)


def test_a_frozen_gate(writers: MakeWriters) -> None:
    """The leader's gate alone is stopped (SIGSTOP): it ends at its deadline, and runs again."""
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
    """The API server answers errors for five leases: all is held, and sent later."""
    fleet = writers()
    fleet.start("a", "b")
    outages.etcd_restarted(fleet, 5 * LEASE_S)
    found = fleet.account()
    assert (found.lost, found.twice) == (0, 0), found
    assert found.hole.seconds < LEASE_S, found


def test_the_memory_bound(writers: MakeWriters) -> None:
    """The standby's gate is full while the receiver is away: Prometheus' own WAL has the rest."""
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
    """A lease is shorter than the interval: no scrape is lost, and none sent again needlessly."""
    fleet = writers(store, interval_s=15.0)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outages.machine_gone(fleet)
    fleet.assert_whole(leader.name, other.name)


@BOTH
@pytest.mark.parametrize("outage", [outages.machine_gone, outages.stopped])
def test_agent_mode(writers: MakeWriters, store: type, outage: Outage) -> None:
    """A Prometheus in agent mode writes as a server does."""
    fleet = writers(store, is_agent=True)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    outage(fleet)
    fleet.assert_whole(leader.name, other.name, is_exact=outage is outages.stopped)


def test_back_and_forth(writers: MakeWriters) -> None:
    """The lease goes from one to the other and back, in order: exact each time."""
    fleet = writers(VictoriaStore)
    leader = fleet.start("a", "b")
    [other] = fleet.others(leader)
    for one in (leader, other):
        outages.step_down(one)
        fleet.await_samples(fleet.await_new_leader(one), outages.SEEN)
        let_pass(LEASE_S)
    fleet.assert_whole(leader.name, other.name, leader.name, is_exact=True)
