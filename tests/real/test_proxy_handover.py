"""In an ordered hand-over, under load through another replica's proxy, no GET fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real.fleet import leader_by
from tests.real.load import Load
from tests.real.parts import WriteLog, started
from tests.real.replica import QUICK, Replica
from tests.support import wait_until

RATE = 200.0
QUERY = "/api/v1/query?query=up"
Start = Callable[[str], Replica]


@pytest.fixture
def start(tmp_path: Path, write_log: WriteLog) -> Iterator[Start]:
    """Give a function that starts a replica with a proxy on the test's lock file."""
    with ExitStack() as stack:

        def start_one(name: str) -> Replica:
            flags = (f"--lease-lock=file:{tmp_path / 'locks/election.lock'}", *QUICK)
            url = write_log.url(name)
            replica = Replica(tmp_path, name, *flags, "--api-proxy-enabled", write_url=url)
            return stack.enter_context(started(replica))

        yield start_one


def followers_of(leader: Replica, *others: Replica) -> None:
    """Wait until the others know that this replica leads."""
    for each in others:
        wait_until(lambda it=each: leader_by(it) == leader.name, 30, "it follows")  # type: ignore[misc]


def stop(leader: Replica) -> None:
    """Send SIGTERM to the leader, and wait until it has exited."""
    leader.term()
    assert leader.await_end(30) == 0


def step_down(leader: Replica) -> None:
    """Ask the leader to hand over."""
    os.kill(leader.pid, signal.SIGUSR1)


@pytest.mark.parametrize("act", [stop, step_down])
def test_no_get_fails_through_the_next_leader(start: Start, act: Callable[[Replica], None]) -> None:
    """During a hand-over, the replica that takes over answers every GET."""
    leader = start("a")
    leader.await_leader(30)
    other = start("b")
    followers_of(leader, other)
    with Load(other.api + QUERY, RATE) as load:
        load.reach(10)
        act(leader)
        other.await_leader(30)
        load.reach(20)
    assert load.failures == []


@pytest.mark.parametrize("act", [stop, step_down])
def test_no_get_fails_through_a_bystander(start: Start, act: Callable[[Replica], None]) -> None:
    """During a hand-over, a third replica's proxy answers every GET."""
    leader = start("a")
    leader.await_leader(30)
    others = [start("b"), start("c")]
    followers_of(leader, *others)
    with Load(others[1].api + QUERY, RATE) as load:
        load.reach(10)
        act(leader)
        wait_until(lambda: leader_by(others[1]) not in (leader.name, ""), 30, "another leads")
        load.reach(20)
    assert load.failures == []
