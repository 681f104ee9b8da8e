"""The API server, or the network to it, fails for one replica, or for all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.real.faults import Proxy, Refusal
from tests.real.fleet import (
    LAST_MOMENT_S,
    LEASE_S,
    LONG_S,
    SPARE_S,
    Fleet,
    await_turns,
    leader_by,
    own_lines,
    problem_of_lease,
    writes_remotely,
)
from tests.real.parts import ApiServer
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until


def pair_with_proxies(fleet: Fleet, *flags: str) -> tuple[Replica, Replica, Proxy, Proxy]:
    """Start two replicas, each with its own proxy to the API server.

    Return the leader, the other replica, and their proxies.
    """
    ways = {name: fleet.proxy() for name in ("a", "b")}
    for name, way in ways.items():
        fleet.start(name, *flags, through=way)
    leader, other = fleet.settled()
    return leader, other, ways[leader.name], ways[other.name]


def answering(status: int, *headers: tuple[str, str]) -> Callable[[Proxy], None]:
    """Return a fault: the proxy answers requests that write with this status."""

    def fault(way: Proxy) -> None:
        way.refusal = Refusal(status, headers=headers)

    return fault


FAULTS = {
    "packets": (Proxy.refuse, Proxy.swallow),
    "answers": (answering(500), answering(429, ("Retry-After", "1")), answering(409)),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_leader_whose_requests_fail_is_replaced_and_follows(
    fleet: Fleet, faults: tuple[Callable[[Proxy], None], ...]
) -> None:
    """When a leader's requests fail, it stops writing before the other leads.

    It follows once its requests succeed again.
    """
    leader, other, way, other_way = pair_with_proxies(fleet)
    turns = [leader.name]
    for fault in faults:
        failed_at = now()
        fault(way)
        wait_until(lambda it=leader: not writes_remotely(it), LAST_MOMENT_S + 0.3, "stepped down")  # type: ignore[misc]
        other.await_leader(failed_at + LEASE_S + SPARE_S - now())
        turns.append(other.name)
        await_turns(fleet, *turns)
        assert way.count("create", "get", "update", "watch", since=failed_at) < 40
        way.accept()
        if not leader.is_running:  # its demotion took too long on this machine
            fleet.begin(leader)
        wait_until(lambda it=leader, to=other: leader_by(it) == to.name, 15, "it follows")  # type: ignore[misc]
        leader, other, way, other_way = other, leader, other_way, way
    assert fleet.log.turns() == turns


def test_a_renewal_whose_answer_is_lost_is_confirmed_by_a_read(fleet: Fleet) -> None:
    """When the answers to renewals are lost, the leader reads the lease and goes on writing."""
    leader, _, way, _ = pair_with_proxies(fleet)
    # On a busy machine a request may be late without a fault: the fault would then not be logged
    # again.
    wait_until(lambda: not problem_of_lease(leader), LONG_S, "requests are answered")
    before = len(own_lines(leader, "warn"))
    way.loses_replies = True
    let_pass(2 * LEASE_S)
    lost_until = now()
    assert writes_remotely(leader)
    assert fleet.log.writers() == {leader.name}
    assert len(own_lines(leader, "warn")) == before + 1
    way.accept()
    wait_until(lambda: fleet.log.writes(since=lost_until), SPARE_S, "it goes on writing")


@pytest.mark.breaks_api_server
@pytest.mark.parametrize("part", ["server", "etcd"])
def test_nobody_writes_during_an_outage_and_one_does_after_it(
    fleet: Fleet, api_server: ApiServer, part: str
) -> None:
    """When the API server or etcd fails, the leader steps down in time; afterwards one writes."""
    leader, _ = fleet.pair()
    broken = api_server if part == "server" else api_server.etcd
    for break_it in (broken.freeze, broken.kill):
        failed_at = now()
        break_it()
        wait_until(lambda: not fleet.leaders(), LAST_MOMENT_S + 0.3, "it has stepped down")
        quiet_at = now()
        let_pass(failed_at + LEASE_S + 1 - now())
        assert not fleet.log.writes(since=quiet_at)
        api_server.restore()
        wait_until(fleet.leaders, LEASE_S + SPARE_S, "one leads again")
        wait_until(lambda at=quiet_at: fleet.log.writes(since=at), 5, "and writes")  # type: ignore[misc]
    if leader.is_running:
        fleet.stop()


@pytest.mark.breaks_api_server
def test_a_short_outage_changes_nothing(fleet: Fleet, api_server: ApiServer) -> None:
    """When the API server hangs for less than the renew deadline, the leader stays."""
    leader, _ = fleet.pair()
    api_server.freeze()
    let_pass(1)
    api_server.thaw()
    let_pass(LEASE_S)
    assert fleet.log.turns() == [leader.name]
    assert fleet.witness.reign(leader.name).until > now() - 1
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0


def test_slow_requests_do_not_change_the_leader(fleet: Fleet) -> None:
    """When each request is delayed, but is within its time limit, the leader stays."""
    leader, _, way, other_way = pair_with_proxies(fleet)
    way.delay_s = other_way.delay_s = 0.2
    let_pass(LEASE_S + 1)
    assert fleet.log.turns() == [leader.name]
    assert fleet.witness.reign(leader.name).until > now() - 1


def test_a_follower_with_a_silent_watch_takes_over_at_expiry(fleet: Fleet) -> None:
    """A follower whose watch gets no data sends few requests, and takes over at the expiry."""
    leader, other, _, way = pair_with_proxies(fleet)
    way.forget()
    let_pass(LEASE_S + 1)
    assert fleet.log.turns() == [leader.name]
    assert way.count("get", "update", "create", since=now() - 2) <= 4
    way.forget()
    leader.kill()
    other.await_leader(LEASE_S + SPARE_S)
    await_turns(fleet, leader.name, other.name)


def test_a_follower_without_network_for_a_lease_still_follows(fleet: Fleet) -> None:
    """A follower without network for longer than the lease goes on following afterwards."""
    leader, other, _, way = pair_with_proxies(fleet)
    way.swallow()
    let_pass(LEASE_S + 1)
    way.accept()
    let_pass(1)
    assert fleet.log.turns() == [leader.name]
    leader.term()
    other.await_leader(SPARE_S)
    await_turns(fleet, leader.name, other.name)
