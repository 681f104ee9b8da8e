"""Changes to the Lease by others, deletions, two pods with one name, restarts."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
import requests

from tests.real.fleet import LEASE_S, SPARE_S, Fleet, await_turns, leader_by, lines_of, own_lines
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until
from wrapper.election.lease_object import INCARNATION
from wrapper.model.roles import Role

LONG_S = 15
LONG = ("--lease-duration=15s", "--lease-renew-deadline=10s", "--lease-retry-period=2s")


def delete_lease(fleet: Fleet) -> None:
    """Delete the Lease, as an administrator would."""
    path = f"{fleet.namespace.leases_path}/{fleet.namespace.lease_name}"
    fleet.namespace.server.call("DELETE", path).raise_for_status()


def create_foreign_lease(fleet: Fleet, annotation: str | None = None, **spec: Any) -> None:
    """Create a Lease that is held by "ghost", a holder that does not exist."""
    then = "2026-01-02T03:04:05.000006Z"
    held = {"holderIdentity": "ghost", "leaseDurationSeconds": 1, "leaseTransitions": 3}
    body = {
        "metadata": {
            "name": fleet.namespace.lease_name,
            "annotations": {} if annotation is None else {INCARNATION: annotation},
        },
        "spec": {**held, "acquireTime": then, "renewTime": then, **spec},
    }
    fleet.namespace.server.make(fleet.namespace.leases_path, body)


@pytest.mark.parametrize(
    ("left", "counted"),
    [
        ({"annotation": "[" * 100_000}, 4),
        ({"annotation": '{"incarnation":' + "[" * 100_000}, 4),
        ({"holderIdentity": "x" * 1_000_000 + "\x1b[31m\n"}, 4),
        ({"holderIdentity": "\x1b" * 100_000}, 4),
        ({"leaseTransitions": 2**31 - 1}, 0),
        ({"acquireTime": None, "renewTime": None, "leaseTransitions": None}, 1),
        ({"leaseDurationSeconds": None}, 4),
    ],
    ids=["deep", "deep signature", "1 MB", "controls", "transitions", "no times", "no duration"],
)
def test_a_lease_is_taken_over_whatever_it_contains(
    fleet: Fleet, left: dict[str, Any], counted: int
) -> None:
    """A replica leads, whatever valid Lease another holder has left on the API server.

    Its log has no line of 10,000 characters or more.
    """
    create_foreign_lease(fleet, **left)
    replica = fleet.start("a")
    replica.await_leader()
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "a"
    assert lease["spec"]["leaseTransitions"] == counted
    assert len(max(replica.log.read_text().splitlines(), key=len)) < 10_000
    assert not lines_of(replica, "Traceback")


FOR_YEARS = 2**31 - 1


def logged_command(replica: Replica) -> str:
    """Wait for the warning with a kubectl command, and return that command."""
    warnings = wait_until(
        lambda: own_lines(replica, "warn", "kubectl "), 4 * LEASE_S + SPARE_S, "it warns"
    )
    assert len(warnings) == 1
    reason: str = warnings[0].fields["reason"]
    return reason[reason.index("kubectl ") :]


def test_the_logged_command_frees_the_lease_of_a_gone_holder(fleet: Fleet) -> None:
    """After the logged command is run, a replica leads one lease duration later."""
    create_foreign_lease(fleet, leaseDurationSeconds=FOR_YEARS)
    replica = fleet.start("a")
    words = shlex.split(logged_command(replica))
    namespace = fleet.namespace
    begin = ["kubectl", "-n", namespace.name, "patch", "lease", namespace.lease_name]
    assert words[:-2] == [*begin, "--type=merge"]
    metrics = requests.get(f"{replica.api}/_elector/metrics", timeout=2).text
    assert "\nprometheus_elector_lease_holder_overdue 1.0\n" in metrics
    status = requests.get(f"{replica.api}/_elector/status", timeout=2).json()
    assert status["lease"]["holder_is_overdue"] is True
    path = f"{namespace.leases_path}/{namespace.lease_name}"
    namespace.server.patch(path, words[-1]).raise_for_status()
    patched_at = now()
    replica.await_leader(LEASE_S + SPARE_S)
    assert now() - patched_at > LEASE_S - 0.1
    status = requests.get(f"{replica.api}/_elector/status", timeout=2).json()
    assert status["lease"]["holder_is_overdue"] is False


def test_the_logged_command_takes_no_lease_from_a_live_holder(fleet: Fleet) -> None:
    """When the command is run although the holder renews, the holder keeps the lease."""
    leader = fleet.start("a", durations=LONG)
    leader.await_leader()
    follower = fleet.start("b")
    wait_until(lambda: leader_by(follower) == "a", 15, "the other follows")
    path = f"{fleet.namespace.leases_path}/{fleet.namespace.lease_name}"
    patch = '{"spec":{"leaseDurationSeconds":3}}'
    fleet.namespace.server.patch(path, patch).raise_for_status()
    patched_at = now()
    wait_until(lambda: fleet.namespace.duration_s() == LONG_S, 3, "it has renewed")
    let_pass(patched_at + 2 * LEASE_S - now())
    assert fleet.log.turns() == ["a"]


def test_after_a_long_lease_is_deleted_a_restart_helps(fleet: Fleet) -> None:
    """After a lease of years is deleted, a follower still waits, and a restarted one leads.

    A restarted replica has not seen a holder. The second warning has no command.
    """
    create_foreign_lease(fleet, leaseDurationSeconds=FOR_YEARS)
    replica = fleet.start("a")
    logged_command(replica)
    delete_lease(fleet)
    wait_until(
        lambda: len(own_lines(replica, "warn", str(FOR_YEARS))) == 2,
        4 * LEASE_S + SPARE_S,
        "it warns again, since patching is no cure any more",
    )
    assert not own_lines(replica, "warn", str(FOR_YEARS))[1].has("kubectl")
    replica.term()
    assert replica.await_end() == 0
    replica.start()
    replica.await_leader()


def test_a_deleted_lease_is_made_again_by_its_holder(fleet: Fleet) -> None:
    """When the lease is deleted, its holder creates it again and goes on leading."""
    leader, _ = fleet.pair()
    for _ in range(3):
        delete_lease(fleet)
        wait_until(lambda: fleet.namespace.holder() == leader.name, 2, "it is there again")
    deleted_at = now()
    let_pass(deleted_at + LEASE_S - now())
    assert fleet.log.turns() == [leader.name]
    assert fleet.witness.reign(leader.name).until > now() - 1


def test_a_follower_waits_for_the_expiry_of_a_deleted_lease(fleet: Fleet) -> None:
    """When a hung leader's lease is deleted, a follower takes over after the lease duration."""
    leader, other = fleet.pair()
    leader.freeze()
    frozen_at = now()
    delete_lease(fleet)
    other.await_leader(LEASE_S + SPARE_S)
    assert now() - frozen_at > LEASE_S - 0.1
    await_turns(fleet, leader.name, other.name)
    leader.thaw()


def test_two_pods_of_one_name_do_not_lead_together(fleet: Fleet) -> None:
    """A second pod with the leader's name follows until the first pod's lease has expired."""
    first = fleet.start("one", environment={"POD_NAME": "p", "POD_UID": "1"})
    first.await_leader()
    second = fleet.start("two", environment={"POD_NAME": "p", "POD_UID": "2"})
    url = f"{second.api}/_elector/status"

    def waits() -> bool:
        told = requests.get(url, timeout=2).json()
        return bool(told["lease"]["holder"] == "p" and told["role"] == Role.FOLLOWER)

    wait_until(waits, 15, "the second waits")
    started_at = now()
    let_pass(started_at + LEASE_S - now())
    assert fleet.log.turns() == ["one"]
    first.kill()
    killed_at = now()
    second.await_leader(LEASE_S + SPARE_S)
    assert now() - killed_at > LEASE_S - 1
    await_turns(fleet, "one", "two")


def test_a_holder_steps_down_when_it_sees_another_incarnation(fleet: Fleet) -> None:
    """When another pod with its name has written the lease, the holder steps down.

    It leads again after the lease duration.
    """
    leader = fleet.start("a")
    leader.await_leader()
    wait_until(lambda: fleet.log.writes("a"), 10, "it writes")

    def take() -> bool:
        lease = fleet.namespace.lease()
        assert lease is not None
        signed = json.loads(lease["metadata"]["annotations"][INCARNATION])
        lease["metadata"]["annotations"][INCARNATION] = json.dumps({**signed, "incarnation": "x"})
        return fleet.namespace.call("PUT", lease).ok

    wait_until(take, 15, "the lease is another's")
    taken_at = now()
    leader.await_follower(SPARE_S)
    assert not fleet.log.writes(since=fleet.witness.reign("a").until + 0.5)
    leader.await_leader(taken_at + LEASE_S + SPARE_S - now())
    assert now() - taken_at > LEASE_S - 0.1


@pytest.mark.parametrize("has_standby", [False, True])
def test_a_restart_in_the_same_pod_frees_its_lease_at_once(
    fleet: Fleet, *, has_standby: bool
) -> None:
    """After a kill and a restart in the same pod, a replica leads before the lease expires.

    The restarted replica takes the lease back once its Prometheus is ready. Until then it releases
    it, so that another replica that is ready can lead.
    """
    first = fleet.start("a", durations=LONG, environment={"POD_UID": "1"})
    first.await_leader()
    if has_standby:
        other = fleet.start("b", durations=LONG)
        wait_until(lambda: leader_by(other) == "a", 15, "the other follows")
    first.kill()
    killed_at = now()
    first.start()
    wait_until(lambda: leader_by(first), 8, "one leads")
    assert now() - killed_at < 8
    wait_until(lambda: fleet.log.writes(since=killed_at), 15, "one writes again")
    assert fleet.log.turns() in (["a"], ["a", "b"][: 1 + has_standby])
