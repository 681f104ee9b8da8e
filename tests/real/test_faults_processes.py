"""When a leader's processes are killed or stopped, it writes no more before another does."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import psutil
import pytest
import requests

from tests.real.fleet import LEASE_S, SPARE_S, Fleet, await_turns, cause_of, is_dead
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until
from wrapper.model.roles import Cause

HASTY_HEALTH = (
    "--healthcheck-period=200ms",
    "--healthcheck-timeout=200ms",
    "--demotion-grace=1s",
)


def supervisor(replica: Replica) -> list[psutil.Process]:
    """Return the supervisor."""
    return [psutil.Process(replica.pid)]


def web(replica: Replica) -> list[psutil.Process]:
    """Return the web server's processes."""
    return [replica.web, *replica.web.children(recursive=True)]


def wrapper(replica: Replica) -> list[psutil.Process]:
    """Return every process but Prometheus."""
    return [process for process in replica.family() if process.pid != replica.child.pid]


def everything(replica: Replica) -> list[psutil.Process]:
    """Return every process, including Prometheus."""
    return replica.family()


Chosen = Callable[[Replica], list[psutil.Process]]


def signal_processes(replica: Replica, chosen: Chosen, number: signal.Signals) -> float:
    """Send a signal to some of a replica's processes; return when.

    If the signal is SIGKILL, some may have died with the first one before.
    """
    processes = chosen(replica)
    may_have_gone = (psutil.NoSuchProcess,) if number == signal.SIGKILL else ()
    at = now()
    for process in processes:
        with contextlib.suppress(*may_have_gone):
            process.send_signal(number)
    return at


@pytest.mark.parametrize("chosen", [supervisor, everything])
def test_a_killed_leader_is_replaced_when_its_lease_expires(fleet: Fleet, chosen: Chosen) -> None:
    """When a leader is killed, its Prometheus dies, and another writes after the expiry."""
    leader, other = fleet.pair()
    child = leader.child
    killed_at = signal_processes(leader, chosen, signal.SIGKILL)
    wait_until(lambda: is_dead(child), 15, "Prometheus has died with the supervisor")
    other.await_leader(LEASE_S + SPARE_S)
    assert now() - killed_at > LEASE_S - 1
    await_turns(fleet, leader.name, other.name)


def test_a_dead_prometheus_is_replaced_at_once(fleet: Fleet) -> None:
    """When a leader's Prometheus is killed, the lease is released, and another leads at once."""
    leader, other = fleet.pair()
    leader.child.kill()
    other.await_leader(SPARE_S)
    assert leader.await_end() == 128 + signal.SIGKILL
    await_turns(fleet, leader.name, other.name)


def test_a_leader_without_its_web_server_goes_on_writing(fleet: Fleet) -> None:
    """When the web server is stopped or killed, the leader writes on, and the API returns."""
    leader, _ = fleet.pair()
    url = f"{leader.api}/_elector/healthz"
    signal_processes(leader, web, signal.SIGSTOP)
    let_pass(LEASE_S)
    signal_processes(leader, web, signal.SIGCONT)
    wait_until(lambda: requests.get(url, timeout=1).ok, 10, "the API goes on answering")
    signal_processes(leader, web, signal.SIGKILL)
    wait_until(lambda: requests.get(url, timeout=1).ok, 10, "the API answers again")
    assert "web server exited" in leader.tail()
    assert fleet.log.turns() == [leader.name]
    wait_until(lambda: fleet.log.writes(since=now() - 0.5), 15, "it still writes")


@pytest.mark.parametrize("chosen", [wrapper, everything])
def test_a_stopped_leader_is_dead_before_its_lease_expires(fleet: Fleet, chosen: Chosen) -> None:
    """When a leader is stopped with SIGSTOP, the kernel's timer kills it before the expiry."""
    leader, other = fleet.pair()
    child, family = leader.child, leader.family()
    stopped_at = signal_processes(leader, chosen, signal.SIGSTOP)
    wait_until(lambda: is_dead(child), LEASE_S, "Prometheus is dead before another may write")
    assert not fleet.log.writes(leader.name, since=stopped_at + LEASE_S)
    other.await_leader(stopped_at + LEASE_S + SPARE_S - now())
    for process in family:
        if not is_dead(process):
            process.send_signal(signal.SIGCONT)
    assert leader.await_end() == -signal.SIGKILL
    wait_until(lambda: not leader.leavings(), 15, "all of it has ended")
    await_turns(fleet, leader.name, other.name)


def test_a_leader_that_stops_for_a_moment_stays_leader(fleet: Fleet) -> None:
    """When a leader is stopped for less than the renew deadline, it stays leader."""
    leader, _ = fleet.pair()
    stopped_at = signal_processes(leader, wrapper, signal.SIGSTOP)
    let_pass(stopped_at + 1 - now())
    signal_processes(leader, wrapper, signal.SIGCONT)
    thawed_at = now()
    let_pass(thawed_at + LEASE_S - now())
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0
    assert fleet.log.turns() == [leader.name]
    assert leader.is_running


def test_a_stopped_prometheus_is_killed_and_replaced(fleet: Fleet) -> None:
    """When a leader's Prometheus is stopped, it is killed after the grace, and another writes."""
    leader, other = fleet.pair(*HASTY_HEALTH)
    os.kill(leader.child.pid, signal.SIGSTOP)
    other.await_leader(1 + 3 * 0.4 + SPARE_S)
    assert leader.await_end() == 128 + signal.SIGKILL
    await_turns(fleet, leader.name, other.name)


def test_a_follower_whose_prometheus_was_stopped_can_lead(fleet: Fleet) -> None:
    """When a follower's Prometheus continues after SIGSTOP, the follower can lead again."""
    leader, other = fleet.pair(*HASTY_HEALTH, "--healthcheck-success-threshold=1")
    child = other.child
    child.suspend()
    wait_until(lambda: cause_of(other) == Cause.UNHEALTHY, 15, "it is unhealthy")
    child.resume()
    wait_until(lambda: cause_of(other) == Cause.LOST, 15, "it is well")
    leader.kill()
    other.await_leader(LEASE_S + SPARE_S)
    await_turns(fleet, leader.name, other.name)
