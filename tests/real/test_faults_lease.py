"""What can become of the Lease object, and of the names in it: deletions, namesakes, restarts."""

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
    """Delete the Lease as an administrator would."""
    path = f"{fleet.namespace.leases_path}/{fleet.namespace.lease_name}"
    fleet.namespace.server.call("DELETE", path).raise_for_status()


def leave_lease(fleet: Fleet, annotation: str | None = None, **spec: Any) -> None:
    """Leave a Lease as somebody may have, held by a ghost that nobody will hear of again."""
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
def test_a_lease_is_taken_over_whatever_stands_in_it(
    fleet: Fleet, left: dict[str, Any], counted: int
) -> None:
    """A Lease as an API server can hold it never keeps everybody from leading."""
    leave_lease(fleet, **left)
    replica = fleet.start("a")
    replica.await_leader()
    lease = fleet.namespace.lease()
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "a"
    assert lease["spec"]["leaseTransitions"] == counted
    assert len(max(replica.log.read_text().splitlines(), key=len)) < 10_000
    assert not lines_of(replica, "Traceback")


FOR_YEARS = 2**31 - 1


def said_to_run(replica: Replica) -> str:
    """Return the command that its log says to run, waiting for that."""
    warnings = wait_until(
        lambda: own_lines(replica, "warn", "kubectl "), 4 * LEASE_S + SPARE_S, "it warns"
    )
    assert len(warnings) == 1
    reason: str = warnings[0].fields["reason"]
    return reason[reason.index("kubectl ") :]


def test_a_holder_that_has_gone_for_years_is_told_and_the_cure_works(fleet: Fleet) -> None:
    """The command in the log, followed, has a replica lead one lease duration later."""
    leave_lease(fleet, leaseDurationSeconds=FOR_YEARS)
    replica = fleet.start("a")
    words = shlex.split(said_to_run(replica))
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


def test_a_holder_that_lives_renews_within_the_time_that_the_cure_gives(fleet: Fleet) -> None:
    """Followed by mistake, the command takes the lease from nobody who renews it."""
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


def test_a_deleted_lease_for_years_is_told_and_a_restart_is_the_cure(fleet: Fleet) -> None:
    """Deleting it does not do, since a standby waits on; started again it has seen no holder."""
    leave_lease(fleet, leaseDurationSeconds=FOR_YEARS)
    replica = fleet.start("a")
    said_to_run(replica)
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
    """Deleted while it is held and waited for: the same goes on leading, the other waits."""
    leader, _ = fleet.pair()
    for _ in range(3):
        delete_lease(fleet)
        wait_until(lambda: fleet.namespace.holder() == leader.name, 2, "it is there again")
    deleted_at = now()
    let_pass(deleted_at + LEASE_S - now())
    assert fleet.log.turns() == [leader.name]
    assert fleet.witness.reign(leader.name).until > now() - 1


def test_a_standby_waits_a_lease_out_that_has_been_deleted(fleet: Fleet) -> None:
    """The leader hangs and the lease is deleted: who has seen a holder takes over at its expiry."""
    leader, other = fleet.pair()
    leader.freeze()
    frozen_at = now()
    delete_lease(fleet)
    other.await_leader(LEASE_S + SPARE_S)
    assert now() - frozen_at > LEASE_S - 0.1
    await_turns(fleet, leader.name, other.name)
    leader.thaw()


def test_two_pods_of_one_name_do_not_lead_together(fleet: Fleet) -> None:
    """The second waits until the lease of the first has run out, and says whose it waits for."""
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
    """Another pod of its name has written the lease: it is no writer before that could be one."""
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
    """Killed and started again: nobody waits for the old lease to expire.

    Once Prometheus is ready it takes the lease back; until then it releases it, and a standby that
    is ready leads.
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
