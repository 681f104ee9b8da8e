"""An election with client-go's example as the other candidate, which this package can replace.

The durations of the example are fixed: 60 s, 15 s and 5 s. It logs when it begins to lead, and when
it stops.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.fleet import LEASE_S, SPARE_S, Fleet
from tests.real.parts import Namespace, Program, program
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until

RETRY_S = 5.0 * 2.2  # its retry period, with jitter


class GoCandidate(Program):
    """client-go's example; its log shows whether it leads."""

    def __init__(self, folder: Path, namespace: Namespace, name: str = "go") -> None:
        argv = [program("leader-election"), f"--kubeconfig={namespace.kubeconfig}", f"--id={name}"]
        argv += [f"--lease-lock-name={namespace.lease_name}"]
        argv += [f"--lease-lock-namespace={namespace.name}"]
        super().__init__(name, argv, folder)

    @property
    def leads(self) -> bool:
        """Whether, by its log, it has begun to lead and not stopped."""
        said = re.findall(r"Controller loop|[Ll]eader lost", self.tail(1 << 20))
        return self.is_running and said[-1:] == ["Controller loop"]


@pytest.fixture
def go(tmp_path: Path, namespace: Namespace) -> Iterator[GoCandidate]:
    """Give client-go's example, not started yet."""
    candidate = GoCandidate(tmp_path / "go", namespace)
    yield candidate
    candidate.kill()


def transitions(fleet: Fleet) -> int:
    """Return how often the lease has changed its holder."""
    lease = fleet.namespace.lease()
    assert lease is not None
    return int(lease["spec"]["leaseTransitions"])


def await_leader(go: GoCandidate, ours: Replica | None, timeout_s: float) -> None:
    """Wait until client-go leads; then our Prometheus must have no remote_write, or be dead."""
    wait_until(lambda: go.leads, timeout_s, "client-go's candidate leads")
    if ours is not None:
        with contextlib.suppress(OSError):
            assert not ours.has_remote_write


def test_a_lease_released_by_one_program_goes_to_the_other(fleet: Fleet, go: GoCandidate) -> None:
    """When one program releases the lease, the other acquires it, and not before."""
    go.start()
    await_leader(go, None, 5)
    assert transitions(fleet) == 0
    ours = fleet.start("ours")
    holds = "go holds the lease"
    wait_until(lambda: holds in ours.tail(), 15, "ours waits")
    follows_at = now()
    let_pass(follows_at + LEASE_S - now())
    assert not ours.has_remote_write, "its lease is longer than ours"
    released_at = now()
    go.stop(signal.SIGTERM)
    ours.await_leader(SPARE_S)
    assert fleet.witness.reign("ours").since - released_at > 0.5, "it may write for a margin more"
    assert transitions(fleet) == 1
    wait_until(lambda: fleet.log.writes("ours"), 15, "ours writes")
    go.start()
    begun_at = now()
    let_pass(begun_at + LEASE_S + 1 - now())
    assert fleet.namespace.holder() == "ours"
    ours.term()
    await_leader(go, ours, RETRY_S)
    assert transitions(fleet) == 2
    assert fleet.log.writes()[-1].at < now() - 0.02


def test_a_lease_that_expires_goes_to_the_other_program(fleet: Fleet, go: GoCandidate) -> None:
    """When one program is killed, the other acquires the lease after the expiry, and not before."""
    ours = fleet.start("ours")
    ours.await_leader()
    go.start()
    wait_until(lambda: re.search("[Nn]ew leader elected.*ours", go.tail()), 15, "it knows ours")
    ours.kill()
    killed_at = now()
    await_leader(go, ours, LEASE_S + RETRY_S)
    assert now() - killed_at > LEASE_S - 1
    assert transitions(fleet) == 1
    another = fleet.start("another")
    wait_until(lambda: "go holds the lease" in another.tail(), 15, "another waits")
    go.kill()
    shorten(fleet, 4)
    shortened_at = now()
    another.await_leader(4 + SPARE_S)
    assert now() - shortened_at > 3.5
    assert transitions(fleet) == 2


def shorten(fleet: Fleet, duration_s: int) -> None:
    """Shorten the lease of a dead holder, which would last a minute."""
    lease = fleet.namespace.lease()
    assert lease is not None
    lease["spec"]["leaseDurationSeconds"] = duration_s
    fleet.namespace.call("PUT", lease).raise_for_status()
