"""Two replicas on a real Lease, each with a real Prometheus; a real Prometheus receives."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.real.fleet import leader_by
from tests.real.parts import Namespace, Receiver, WriteLog, started
from tests.real.replica import QUICK, Replica, on_lease
from tests.support import wait_until

LEASE_S = 3.0
PATIENT_LEASE_S = 30.0
PATIENT = ("--lease-duration=30s", "--lease-renew-deadline=20s")
MICRO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
Start = Callable[..., Replica]


@pytest.fixture
def start(tmp_path: Path, namespace: Namespace) -> Iterator[Start]:
    """Give a function that starts a replica on the test's Lease."""
    with ExitStack() as stack:

        def start_one(name: str, *flags: str, **options: object) -> Replica:
            replica = Replica(tmp_path, name, *on_lease(namespace), *QUICK, *flags, **options)  # type: ignore[arg-type]
            return stack.enter_context(started(replica))

        yield start_one


@pytest.fixture
def pair(start: Start, write_log: WriteLog) -> tuple[Replica, Replica]:
    """Start a leader, then a follower."""
    return settled(start, write_log)


@pytest.fixture
def patient_pair(start: Start, write_log: WriteLog) -> tuple[Replica, Replica]:
    """Start both with a lease that outlasts all delays of a busy machine."""
    return settled(start, write_log, *PATIENT)


def settled(start: Start, write_log: WriteLog, *flags: str) -> tuple[Replica, Replica]:
    """Start a leader, then a follower, and wait until the follower knows the leader.

    A follower measures the lease from when it first sees it, which on a busy machine is long after
    its Prometheus is ready.
    """
    leader = start("prometheus-0", *flags, write_url=write_log.url("prometheus-0"))
    leader.await_leader()
    follower = start("prometheus-1", *flags, write_url=write_log.url("prometheus-1"))
    follower.await_follower()
    wait_until(lambda: leader_by(follower) == leader.name, 15, "the follower has seen the leader")
    return leader, follower


def moment(lease: Any, name: str) -> float:
    """Return a time of the lease's spec."""
    return datetime.fromisoformat(lease["spec"][name]).timestamp()


def test_exactly_one_replica_has_remote_write(pair: tuple[Replica, Replica]) -> None:
    """Only the leader's Prometheus has loaded remote_write, and both APIs agree."""
    leader, follower = pair
    assert leader.has_remote_write
    assert not follower.has_remote_write
    wait_until(lambda: leader.says_it_leads, 15, "the leader says so")
    follower.await_ready()
    answer = requests.get(f"{follower.api}/_elector/leader", timeout=2).json()
    assert answer == {"is_leader": False, "current_leader": "prometheus-0"}


def test_the_lease_reads_as_client_go_writes_it(
    pair: tuple[Replica, Replica], namespace: Namespace
) -> None:
    """The Lease has client-go's fields, in its formats, and nothing else in its spec."""
    lease = namespace.lease()
    assert lease is not None
    spec = lease["spec"]
    assert set(spec) == {
        "holderIdentity",
        "leaseDurationSeconds",
        "acquireTime",
        "renewTime",
        "leaseTransitions",
    } or (set(spec) | {"leaseTransitions"}) == set(spec)
    assert spec["holderIdentity"] == "prometheus-0"
    assert spec["leaseDurationSeconds"] == LEASE_S
    assert spec["leaseTransitions"] == 0
    assert MICRO_TIME.match(spec["acquireTime"])
    assert MICRO_TIME.match(spec["renewTime"])


def test_a_killed_leader_is_replaced_when_its_lease_expires(
    pair: tuple[Replica, Replica], namespace: Namespace, write_log: WriteLog
) -> None:
    """When the leader is killed, its Prometheus dies, and the other leads after the expiry."""
    leader, follower = pair
    child = leader.child
    wait_until(lambda: write_log.writes("prometheus-0"), 15, "the leader writes")
    leader.kill()
    left = namespace.lease()
    assert left is not None
    wait_until(lambda: not child.is_running() or child.status() == "zombie", 15, "it is dead")
    follower.await_leader()
    assert namespace.holder() == "prometheus-1"
    taken = namespace.lease()
    assert taken is not None
    waited_s = moment(taken, "acquireTime") - moment(left, "renewTime")
    assert LEASE_S <= waited_s < LEASE_S + 1
    wait_until(lambda: write_log.writes("prometheus-1"), 15, "the new leader writes")


def test_a_leader_that_is_asked_to_stop_is_replaced_at_once(
    patient_pair: tuple[Replica, Replica], namespace: Namespace
) -> None:
    """On SIGTERM the leader releases the lease, and the other leads long before the expiry."""
    leader, follower = patient_pair
    asked_at = time.monotonic()
    leader.term()
    follower.await_leader()
    assert time.monotonic() - asked_at < PATIENT_LEASE_S / 2, "its lease would last longer"
    assert leader.await_end() == 0
    lease = namespace.lease()
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "prometheus-1"
    assert lease["spec"]["leaseTransitions"] == 1


def test_a_receiver_gets_samples_of_successive_leaders(start: Start, receiver: Receiver) -> None:
    """A receiving Prometheus gets samples of the first leader, then of the second."""
    replicas = [start(name, write_url=receiver.write_url) for name in ("a", "b")]
    wait_until(lambda: sum(replica.has_remote_write for replica in replicas), 15, "one leads")
    replicas.sort(key=lambda replica: not replica.has_remote_write)
    for replica in replicas:
        up = f'up{{instance="{replica.address}"}}'
        replica.await_leader()
        wait_until(lambda up=up: receiver.query(up), 20, f"samples of {replica.name}")  # type: ignore[misc]
        replica.term()
        assert replica.await_end() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_dead_prometheus_ends_its_wrapper_and_frees_the_lease(
    patient_pair: tuple[Replica, Replica], number: signal.Signals
) -> None:
    """When the leader's Prometheus dies, the other leads at once, and the wrapper exits.

    Its status is 128 + the signal for SIGKILL, and Prometheus' own for SIGABRT.
    """
    leader, follower = patient_pair
    os.kill(leader.child.pid, number)
    killed_at = time.monotonic()
    follower.await_leader()
    assert time.monotonic() - killed_at < PATIENT_LEASE_S / 2, "its lease would last longer"
    expected = 128 + number if number == signal.SIGKILL else 2  # Go exits with 2
    assert leader.await_end() == expected
