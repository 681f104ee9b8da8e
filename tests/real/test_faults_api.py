"""The API server, or the way to it, fails: for one replica the other leads, for all nobody does."""

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


def pair_with_ways(fleet: Fleet, *flags: str) -> tuple[Replica, Replica, Proxy, Proxy]:
    """Start two replicas that each have an own way to the server: leader, other, their ways."""
    ways = {name: fleet.proxy() for name in ("a", "b")}
    for name, way in ways.items():
        fleet.start(name, *flags, through=way)
    leader, other = fleet.settled()
    return leader, other, ways[leader.name], ways[other.name]


def answering(status: int, *headers: tuple[str, str]) -> Callable[[Proxy], None]:
    """Return a fault: requests that write are answered with this status."""

    def fault(way: Proxy) -> None:
        way.refusal = Refusal(status, headers=headers)

    return fault


FAULTS = {
    "packets": (Proxy.refuse, Proxy.swallow),
    "answers": (answering(500), answering(429, ("Retry-After", "1")), answering(409)),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_leader_without_its_lease_steps_down_and_comes_back_as_follower(
    fleet: Fleet, faults: tuple[Callable[[Proxy], None], ...]
) -> None:
    """One replica's requests fail: it is no writer when the other is, and follows once mended."""
    leader, other, way, other_way = pair_with_ways(fleet)
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


def test_a_write_whose_answer_is_lost_is_found_by_reading(fleet: Fleet) -> None:
    """Renewals arrive, their answers do not: what is read counts, so that it goes on writing."""
    leader, _, way, _ = pair_with_ways(fleet)
    # On a busy machine a request may be late by itself: then the next has no line of its own.
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
def test_without_a_server_nobody_writes_and_after_it_one_does(
    fleet: Fleet, api_server: ApiServer, part: str
) -> None:
    """All lose the lease: the leader steps down in time; with the server back, one writes soon."""
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
    """The server frozen for less than the renew deadline: the same leader, no transition."""
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


def test_a_slow_way_changes_nothing(fleet: Fleet) -> None:
    """Each request takes longer than usual, but less than its limit: the same goes on leading."""
    leader, _, way, other_way = pair_with_ways(fleet)
    way.delay_s = other_way.delay_s = 0.2
    let_pass(LEASE_S + 1)
    assert fleet.log.turns() == [leader.name]
    assert fleet.witness.reign(leader.name).until > now() - 1


def test_a_half_open_watch_costs_nothing_but_requests(fleet: Fleet) -> None:
    """A standby's watch is silent for ever: it takes over when the lease runs out all the same."""
    leader, other, _, way = pair_with_ways(fleet)
    way.forget()
    let_pass(LEASE_S + 1)
    assert fleet.log.turns() == [leader.name]
    assert way.count("get", "update", "create", since=now() - 2) <= 4
    way.forget()
    leader.kill()
    other.await_leader(LEASE_S + SPARE_S)
    await_turns(fleet, leader.name, other.name)


def test_a_standby_that_was_cut_off_does_not_disturb(fleet: Fleet) -> None:
    """A standby hears nothing for longer than the lease lasts: back, it goes on following."""
    leader, other, _, way = pair_with_ways(fleet)
    way.swallow()
    let_pass(LEASE_S + 1)
    way.accept()
    let_pass(1)
    assert fleet.log.turns() == [leader.name]
    leader.term()
    other.await_leader(SPARE_S)
    await_turns(fleet, leader.name, other.name)
