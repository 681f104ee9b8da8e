"""Missing rights, namespaces and tokens are logged once; no restart is needed afterwards."""

from __future__ import annotations

from typing import Any

from tests.real.faults import Proxy
from tests.real.fleet import LEASE_S, SPARE_S, Fleet, own_lines, problem_of_lease
from tests.real.parts import ADMIN_TOKEN, RBAC, kubeconfig
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until


def await_logged_once(replica: Replica, *words: str) -> None:
    """Wait for a warning with these words, and check that it is not repeated for a lease duration.

    On a busy machine a request may have failed at its time limit before.
    """
    wait_until(lambda: own_lines(replica, "warn", *words), 10, "it says so")
    said_at = now()
    let_pass(said_at + LEASE_S - now())
    assert len(own_lines(replica, "warn", *words)) == 1


def grant(fleet: Fleet, *verbs: str) -> None:
    """Grant the service account exactly these verbs on the lease."""
    place = f"{RBAC}/{fleet.namespace.name}/roles/elector"
    role: dict[str, Any] = fleet.namespace.server.call("GET", place).json()
    role["rules"][0]["verbs"] = list(verbs)
    fleet.namespace.server.call("PUT", place, role).raise_for_status()


def start_leader(fleet: Fleet) -> tuple[Replica, Proxy]:
    """Start a leader; return it and its proxy to the API server."""
    way = fleet.proxy()
    replica = fleet.start("a", through=way)
    replica.await_leader()
    return replica, way


def test_a_revoked_right_is_logged_once(fleet: Fleet) -> None:
    """Without the right to update, the leader steps down, and leads once it is granted again.

    The missing right is logged once, and requests are retried rarely.
    """
    leader, way = start_leader(fleet)
    grant(fleet, "get", "watch")
    await_logged_once(leader, "(403)", "may not update", "get, update, watch and create")
    assert not leader.has_remote_write
    asked = way.count("update", "get", "create", since=now() - 2)
    assert asked <= 2 * 6 + 1, "a pair each 0.4 s at most, and a window cuts one"
    grant(fleet, "get", "watch", "update")
    leader.await_leader(SPARE_S)


def test_a_missing_right_to_watch_is_reported_until_granted(fleet: Fleet) -> None:
    """Without the right to watch, a follower still follows, and its status reports the right."""
    start_leader(fleet)
    grant(fleet, "get", "update")
    standby = fleet.start("b")
    await_logged_once(standby, "(403)", "may not watch", "get, update, watch and create")
    assert "may not watch" in problem_of_lease(standby)
    assert not standby.says_it_leads
    grant(fleet, "get", "update", "watch")
    wait_until(lambda: not problem_of_lease(standby), 60, "it is told no more")


def test_an_expired_token_is_logged_once_and_read_again(fleet: Fleet) -> None:
    """With an expired token the leader steps down; it leads once the file has a new token."""
    leader, _ = start_leader(fleet)
    fleet.namespace.token_file.write_text("expired")
    await_logged_once(leader, "(401)")
    assert not leader.has_remote_write
    fleet.namespace.renew_token()
    leader.await_leader(SPARE_S)


def test_a_missing_namespace_is_logged_once(fleet: Fleet) -> None:
    """With a missing namespace, a replica leads once the namespace has been created.

    Until then this is logged once, and requests are retried rarely.
    """
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
    await_logged_once(replica, name, "--lease-namespace")
    asked = way.count("update", "get", "create", since=now() - 2)
    assert asked <= 2 * 6 + 1, "a pair each 0.4 s at most, and a window cuts one"
    server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    replica.await_leader(SPARE_S)
