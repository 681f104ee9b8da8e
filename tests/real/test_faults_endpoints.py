"""Receivers that are dead, silent or slow: the old leader stops writing in time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.real.fleet import (
    LEASE_S,
    LONG_S,
    SPARE_S,
    Fleet,
    is_dead,
    writes_remotely,
    writes_to,
)
from tests.real.parts import WriteLog
from tests.real.replica import Replica
from tests.support import free_port, let_pass, now, wait_until

GRACE_S = 2.0
# The supervisor exits with 137 once it has seen the killed Prometheus exit. 50 ms after that kill
# the dead-man's switch kills the supervisor itself; a busy machine may take longer to end
# Prometheus. The status of a container is 137 in both cases.
KILLED = {128 + signal.SIGKILL, -signal.SIGKILL}
DELAYS_S = {"black hole": 3600.0, "waited for": 3600.0, "slow": 1.0}
# A flag that users may set: the defaults of the wrapper make slow demotions rare, not impossible.
PATIENCE = ("--storage.remote.flush-deadline=1m",)


@pytest.fixture
def bad(write_log: WriteLog) -> Iterator[WriteLog]:
    """Give a second receiver, which may answer late or never."""
    with ExitStack() as stack:
        log = WriteLog()
        stack.callback(log.close)
        yield log


def start_pair(fleet: Fleet, bad: WriteLog, kind: str, count: int) -> tuple[Replica, Replica]:
    """Start two replicas that write to the good receiver and to `count` bad ones."""
    bad.delay_s = DELAYS_S.get(kind, 0.0)
    way = fleet.proxy()
    flags = PATIENCE if kind == "waited for" else ()
    for name in ("a", "b"):
        replica = fleet.make(name, f"--demotion-grace={GRACE_S:g}s", through=way, child_flags=flags)
        urls = [
            f"http://127.0.0.1:{free_port()}/{n}" if kind == "dead" else bad.url(f"{name}{n}")
            for n in range(count)
        ]
        fleet.configure(replica, writes_to(fleet.log.url(name), *urls))
        fleet.begin(replica)
    leader, other = fleet.settled()
    if kind == "dead":
        retried = "prometheus_remote_storage_samples_retried_total"
        wait_until(lambda: is_above_0(leader, retried), LONG_S, "it tries again and again")
    else:
        wait_until(lambda: len(bad.writers()) == count, LONG_S, "all have been tried")
    return leader, other


def is_above_0(replica: Replica, metric: str) -> bool:
    """Tell whether a metric of its Prometheus is above 0 in any series."""
    lines = requests.get(f"{replica.url}/metrics", timeout=5).text.splitlines()
    return any(line.startswith(metric) and float(line.split()[-1]) > 0 for line in lines)


CASES = [("dead", 1), ("dead", 4), ("black hole", 4), ("slow", 1), ("waited for", 1)]


@pytest.mark.parametrize(("kind", "count"), CASES)
def test_an_ordered_stop_is_bounded_by_its_grace(
    fleet: Fleet, bad: WriteLog, kind: str, count: int
) -> None:
    """On SIGTERM the leader is demoted or killed within the grace; then the other leads."""
    leader, other = start_pair(fleet, bad, kind, count)
    child = leader.child
    leader.term()
    other.await_leader(GRACE_S + SPARE_S)
    handed_over_at = now()
    assert is_dead(child) or not writes_remotely(leader)
    assert not [w for w in bad.writes(since=handed_over_at + 0.2) if w.replica[0] == leader.name]
    status = leader.await_end(LONG_S)
    was_killed = status in KILLED
    assert was_killed or status == 0
    assert was_killed or kind != "waited for"
    wait_until(lambda: fleet.log.turns() == [leader.name, other.name], LONG_S, "the other writes")


@pytest.mark.parametrize(("kind", "count"), CASES[1:])
def test_a_lost_lease_is_bounded_by_the_last_moment(
    fleet: Fleet, bad: WriteLog, kind: str, count: int
) -> None:
    """When the API server is unreachable, the leader stops writing before its lease expires.

    It is demoted, or killed at the last moment.
    """
    leader, _ = start_pair(fleet, bad, kind, count)
    child = leader.child
    lost_at = now()
    fleet.proxies[0].refuse()
    wait_until(
        lambda: is_dead(child) or not writes_remotely(leader),
        LEASE_S,
        "it is no writer any more before another may be",
    )
    let_pass(lost_at + LEASE_S + 1 - now())
    assert not fleet.log.writes(since=lost_at + LEASE_S)
    assert not bad.writes(since=lost_at + LEASE_S)
    ended_at = now()
    assert kind != "waited for" or leader.await_end(LONG_S) in KILLED
    fleet.proxies[0].accept()
    wait_until(lambda: fleet.log.writes(since=ended_at), LEASE_S + SPARE_S, "one writes again")
