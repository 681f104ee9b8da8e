"""Rights, namespaces and tokens: each trouble is said once, and mended without a restart."""

from __future__ import annotations

from typing import Any

from tests.real.faults import Proxy
from tests.real.fleet import LEASE_S, SPARE_S, Fleet, own_lines, problem_of_lease
from tests.real.parts import ADMIN_TOKEN, RBAC, kubeconfig
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until


def await_said_once(replica: Replica, *words: str) -> None:
    """Wait for a warning with these words; in two renewals' time and more there is no second.

    On a busy machine a request may have run into its limit before.
    """
    wait_until(lambda: own_lines(replica, "warn", *words), 10, "it says so")
    said_at = now()
    let_pass(said_at + LEASE_S - now())
    assert len(own_lines(replica, "warn", *words)) == 1


def grant(fleet: Fleet, *verbs: str) -> None:
    """Let the service account do just this with the lease."""
    place = f"{RBAC}/{fleet.namespace.name}/roles/elector"
    role: dict[str, Any] = fleet.namespace.server.call("GET", place).json()
    role["rules"][0]["verbs"] = list(verbs)
    fleet.namespace.server.call("PUT", place, role).raise_for_status()


def start_leader(fleet: Fleet) -> tuple[Replica, Proxy]:
    """Start one that leads, and return its way to the server too."""
    way = fleet.proxy()
    replica = fleet.start("a", through=way)
    replica.await_leader()
    return replica, way


def test_a_right_that_is_taken_is_named_once(fleet: Fleet) -> None:
    """Without update the leader steps down, asks now and then, and leads when it has it again."""
    leader, way = start_leader(fleet)
    grant(fleet, "get", "watch")
    await_said_once(leader, "(403)", "may not update", "get, update, watch and create")
    assert not leader.has_remote_write
    asked = way.count("update", "get", "create", since=now() - 2)
    assert asked <= 2 * 6 + 1, "a pair each 0.4 s at most, and a window cuts one"
    grant(fleet, "get", "watch", "update")
    leader.await_leader(SPARE_S)


def test_a_right_to_watch_that_is_missing_is_named_until_it_is_there(fleet: Fleet) -> None:
    """A standby follows all the same, and its status says what to grant."""
    start_leader(fleet)
    grant(fleet, "get", "update")
    standby = fleet.start("b")
    await_said_once(standby, "(403)", "may not watch", "get, update, watch and create")
    assert "may not watch" in problem_of_lease(standby)
    assert not standby.says_it_leads
    grant(fleet, "get", "update", "watch")
    wait_until(lambda: not problem_of_lease(standby), 60, "it is told no more")


def test_a_token_that_has_expired_is_said_once_and_read_again(fleet: Fleet) -> None:
    """401 until the token file has a new one; then it leads again, without a restart."""
    leader, _ = start_leader(fleet)
    fleet.namespace.token_file.write_text("expired")
    await_said_once(leader, "(401)")
    assert not leader.has_remote_write
    fleet.namespace.renew_token()
    leader.await_leader(SPARE_S)


def test_a_namespace_that_is_missing_is_named_once(fleet: Fleet) -> None:
    """It follows, asks now and then, and leads once the namespace has been created."""
    server, way = fleet.namespace.server, fleet.proxy()
    name = f"{fleet.namespace.name}-later"
    (fleet.folder / "token").write_text(ADMIN_TOKEN)
    config = fleet.folder / "kubeconfig"
    config.write_text(kubeconfig(server, name, fleet.folder / "token", way.url))
    replica = fleet.make("a", through=way)
    own = f"--lease-namespace={fleet.namespace.name}"
    replica.argv[replica.argv.index(own)] = f"--lease-namespace={name}"
    there = [word for word in replica.argv if word.startswith("--kubeconfig=")]
    replica.argv[replica.argv.index(there[0])] = f"--kubeconfig={config}"
    fleet.begin(replica)
    await_said_once(replica, name, "--lease-namespace")
    asked = way.count("update", "get", "create", since=now() - 2)
    assert asked <= 2 * 6 + 1, "a pair each 0.4 s at most, and a window cuts one"
    server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    replica.await_leader(SPARE_S)
