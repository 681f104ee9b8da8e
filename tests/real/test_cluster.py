"""KubernetesLease against a real API server, with only the documented rights."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.parts import ADMIN_TOKEN, ApiServer, Namespace, kubeconfig
from tests.support import wait_until
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.lease_object import INCARNATION
from wrapper.model.lease import (
    LeaseConflict,
    LeaseLock,
    LeaseRecord,
    LeaseUnavailable,
    ObservedLease,
)

THEN = "2026-01-02T03:04:05.000006Z"
LATER = "2026-01-02T03:04:07.120000Z"
RECORD = LeaseRecord("a", 15.0, THEN, THEN, 0, "pod-1")


def lock_in(namespace: Namespace, **changes: Any) -> KubernetesLease:
    """Return a lock on the namespace's lease."""
    options: dict[str, Any] = {"name": namespace.lease_name, "namespace": ""}
    options |= {"kubeconfig": str(namespace.kubeconfig), "incarnation": "pod-1"}
    return KubernetesLease(**(options | {"request_timeout_s": 2.0} | changes))


@pytest.fixture
def lease(namespace: Namespace) -> KubernetesLease:
    """Give a lock on a lease that does not exist yet."""
    return lock_in(namespace)


def test_kubernetes_lease_is_a_lease_lock(namespace: Namespace, lease: KubernetesLease) -> None:
    """KubernetesLease implements LeaseLock, in the namespace of the kubeconfig's context."""
    lock: LeaseLock = lease
    assert lock.describe() == f"lease {namespace.name}/prometheus"


def test_a_missing_lease_is_created(namespace: Namespace, lease: KubernetesLease) -> None:
    """A lease that does not exist reads as none; it is created with client-go's fields."""
    assert lease.read() == ObservedLease(None)
    written = lease.write(RECORD, None)
    stored = namespace.lease()
    assert stored is not None
    assert stored["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": THEN,
        "renewTime": THEN,
        "leaseTransitions": 0,
    }
    assert list(stored["metadata"]["annotations"]) == [INCARNATION]
    assert written == ObservedLease(RECORD, stored["metadata"]["resourceVersion"])
    assert lease.read() == written


def test_a_release_is_stored_as_client_go_stores_it(
    namespace: Namespace, lease: KubernetesLease
) -> None:
    """A released lease has an empty holder and a duration of one second."""
    held = lease.write(RECORD, None)
    lease.write(LeaseRecord("", 1.0, LATER, LATER, 0, "pod-1"), held.version)
    stored = namespace.lease()
    assert stored is not None
    assert stored["spec"] == {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": LATER,
        "renewTime": LATER,
        "leaseTransitions": 0,
    }


def test_a_write_on_an_old_version_is_a_conflict(
    namespace: Namespace, lease: KubernetesLease
) -> None:
    """Creating a lease that exists, or replacing a changed or deleted one, is a conflict."""
    other = lock_in(namespace)
    first = other.write(RECORD, None)
    with pytest.raises(LeaseConflict):
        lease.write(RECORD, None)
    assert lease.read() == first
    second = lease.write(LeaseRecord("b", 15.0, LATER, LATER, 1), first.version)
    assert second.version != first.version
    with pytest.raises(LeaseConflict):
        other.write(RECORD, first.version)
    path = f"{namespace.leases_path}/prometheus"
    namespace.server.call("DELETE", path).raise_for_status()
    with pytest.raises(LeaseConflict):
        lease.write(RECORD, second.version)
    assert lease.read() == ObservedLease(None)


def test_metadata_of_others_on_the_lease_is_kept(
    namespace: Namespace, lease: KubernetesLease
) -> None:
    """Labels, annotations and owners of others stay after a write.

    The record of a holder that is another program has no incarnation.
    """
    lease.write(RECORD, None)
    theirs = namespace.lease()
    assert theirs is not None
    theirs["metadata"]["labels"] = {"team": "x"}
    theirs["metadata"]["annotations"]["note"] = "y"
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    theirs["metadata"]["ownerReferences"] = [owner]
    theirs["spec"]["holderIdentity"] = "go-peer"
    namespace.call("PUT", theirs).raise_for_status()
    seen = lease.read()
    assert seen.record == LeaseRecord("go-peer", 15.0, THEN, THEN, 0, None)
    lease.write(RECORD, seen.version)
    stored = namespace.lease()
    assert stored is not None
    assert stored["metadata"]["labels"] == {"team": "x"}
    assert stored["metadata"]["annotations"]["note"] == "y"
    assert stored["metadata"]["ownerReferences"] == [owner]


def test_a_rotated_token_is_used(namespace: Namespace, lease: KubernetesLease) -> None:
    """After the token file is replaced, the next request uses the new token."""
    namespace.token_file.write_text("expired")
    with pytest.raises(LeaseUnavailable) as caught:
        lease.read()
    assert caught.value.reason == "unauthorized"
    namespace.renew_token()
    assert lease.read() == ObservedLease(None)


def test_a_plugin_gives_the_token(namespace: Namespace, tmp_path: Path) -> None:
    """A credential plugin gets the cluster's data if configured so, and its token is used."""
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": "TOKEN"}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\ncd "${0%/*}"\n'
        f'case $KUBERNETES_EXEC_INFO in *"{namespace.server.url}"*) ;; *) exit 1 ;; esac\n'
        f'sed "s/TOKEN/$(cat "{namespace.token_file}")/" answer\n'
    )
    plugin.chmod(0o700)
    config = json.loads(namespace.kubeconfig.read_text())
    entry = {"apiVersion": version, "command": "./plugin", "provideClusterInfo": True}
    config["users"][0]["user"] = {"exec": entry}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    lease = lock_in(namespace, kubeconfig=str(tmp_path / "kubeconfig"))
    assert lease.read() == ObservedLease(None)
    lease.write(RECORD, None)
    assert namespace.holder() == "a"


def test_a_missing_right_is_named(namespace: Namespace) -> None:
    """A request without the right for it fails with who, verb, lease and namespace."""
    other = lock_in(namespace, name="other")
    with pytest.raises(LeaseUnavailable) as caught:
        other.read()
    assert caught.value.reason == "forbidden"
    assert str(caught.value) == (
        f"system:serviceaccount:{namespace.name}:elector may not get leases.coordination.k8s.io"
        f" other in namespace {namespace.name} (403): grant the verbs get, update, watch and"
        f" create (create without resourceNames) by a Role and a RoleBinding in namespace"
        f" {namespace.name}"
    )
    with pytest.raises(LeaseUnavailable, match="may not watch leases"):
        other.watch(ObservedLease(None), lambda _: None)


def test_a_missing_namespace_is_named(api_server: ApiServer, tmp_path: Path) -> None:
    """In a missing namespace a read finds no lease, and a write fails with its name."""
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    (tmp_path / "kubeconfig").write_text(kubeconfig(api_server, "nowhere", tmp_path / "token"))
    lease = KubernetesLease("prometheus", "", str(tmp_path / "kubeconfig"), "pod-1", 2.0)
    assert lease.read() == ObservedLease(None)
    with pytest.raises(LeaseUnavailable) as caught:
        lease.write(RECORD, None)
    assert (caught.value.reason, str(caught.value)) == (
        "namespace",
        "the namespace nowhere does not exist: create it, or name another by --lease-namespace",
    )


def test_an_invalid_record_is_refused_with_a_reason(lease: KubernetesLease) -> None:
    """A record that the API server does not accept raises an error with its reason."""
    with pytest.raises(LeaseUnavailable) as caught:
        lease.write(LeaseRecord("a", 15.0, "not a time", THEN), None)
    assert caught.value.reason == "refused"
    assert "refuses to create leases" in str(caught.value)


@pytest.mark.breaks_api_server
def test_a_request_to_a_hung_server_ends_at_its_time_limit(
    api_server: ApiServer, namespace: Namespace
) -> None:
    """A request to a hung server fails at its time limit; later requests succeed again."""
    lease = lock_in(namespace, request_timeout_s=0.5)
    written = lease.write(RECORD, None)
    api_server.freeze()
    with pytest.raises(LeaseUnavailable, match=r"within 0\.5 s") as caught:
        lease.read()
    assert caught.value.reason == "timeout"
    api_server.thaw()
    assert lease.read() == written


class Watch:
    """A watch in a thread, and what it has reported."""

    def __init__(self, lease: KubernetesLease, seen: ObservedLease) -> None:
        self.reported: list[ObservedLease | None] = []
        self.error: LeaseUnavailable | None = None
        self.thread = threading.Thread(target=self._run, args=(lease, seen), daemon=True)
        self.thread.start()

    def _run(self, lease: KubernetesLease, seen: ObservedLease) -> None:
        try:
            lease.watch(seen, self.reported.append)
        except LeaseUnavailable as error:
            self.error = error


@pytest.fixture
def watching(lease: KubernetesLease) -> Iterator[Callable[[ObservedLease], Watch]]:
    """Give a function that starts a watch; all watches are closed at the end."""
    watches: list[Watch] = []

    def watch(seen: ObservedLease) -> Watch:
        watches.append(Watch(lease, seen))
        return watches[-1]

    yield watch
    lease.close()
    for started in watches:
        started.thread.join(15)
        assert not started.thread.is_alive()
        assert started.error is None


def test_a_watch_reports_each_change(
    namespace: Namespace, lease: KubernetesLease, watching: Callable[[ObservedLease], Watch]
) -> None:
    """A watch reports creation, renewal, release and deletion, in this order."""
    other = lock_in(namespace)
    watch = watching(lease.read())
    wait_until(lambda: lease._watches, 15, "the watch has begun")
    expected = [other.write(RECORD, None)]
    for record in (
        LeaseRecord("a", 15.0, THEN, LATER, 0, "pod-1"),
        LeaseRecord("", 1.0, LATER, LATER, 0, "x"),
    ):
        expected.append(other.write(record, expected[-1].version))
    namespace.server.call("DELETE", f"{namespace.leases_path}/prometheus").raise_for_status()
    expected.append(ObservedLease(None))
    wait_until(lambda: len(watch.reported) == 4, 15, "four changes")
    assert watch.reported == expected


def test_a_watch_begins_where_the_read_ended(
    namespace: Namespace, lease: KubernetesLease, watching: Callable[[ObservedLease], Watch]
) -> None:
    """A watch reports changes made after the read, and not the state that was read."""
    read = lease.write(RECORD, None)
    between = lock_in(namespace)
    changed = between.write(LeaseRecord("b", 15.0, LATER, LATER), between.read().version)
    watch = watching(read)
    wait_until(lambda: watch.reported, 15, "the change")
    assert watch.reported == [changed]


@pytest.mark.breaks_api_server
def test_a_watch_ends_with_an_error_when_the_server_dies(
    api_server: ApiServer, namespace: Namespace
) -> None:
    """When the API server is killed, a watch ends with an error."""
    lease = lock_in(namespace)
    watch = Watch(lease, lease.write(RECORD, None))
    wait_until(lambda: lease._watches, 15, "the watch has begun")
    api_server.kill()
    watch.thread.join(15)
    assert not watch.thread.is_alive()
    assert watch.error is not None


@pytest.mark.breaks_api_server
def test_a_lease_without_recent_changes_can_be_watched(
    api_server: ApiServer, namespace: Namespace
) -> None:
    """After a restart of the API server, the second watch reports the lease's changes.

    A server has no changes from before its start, so the first watch ends. If the second ended too,
    reads and watches would follow each other without a pause.
    """
    lease = lock_in(namespace)
    written = lease.write(LeaseRecord("", 1.0, THEN, THEN, 0, "pod-1"), None)
    for number in range(3):
        another = {"metadata": {"name": f"another-{number}"}}
        api_server.make(namespace.leases_path, another)
    api_server.stop()
    api_server.restore()
    first = Watch(lease, lease.read())
    first.thread.join(15)
    assert (first.reported, first.error) == ([None], None)
    second = Watch(lease, lease.read())
    wait_until(lambda: second.reported or not second.thread.is_alive(), 15, "the state is reported")
    changed = lease.write(RECORD, written.version)
    wait_until(lambda: len(second.reported) > 1, 15, "the change is reported")
    assert second.reported == [written, changed]
    lease.close()
    second.thread.join(15)
    assert second.error is None
