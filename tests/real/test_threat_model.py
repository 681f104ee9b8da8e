"""The threat model's statements about rights on the API server, tried on a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.k8s.versions import minor_version
from tests.real.parts import CHECKOUT, RBAC, Namespace, WriteLog, started
from tests.real.replica import QUICK, Replica, on_lease
from tests.support import now, wait_until
from wrapper.election.cluster import MERGE_PATCH
from wrapper.election.lease_object import INCARNATION

PAGE = CHECKOUT / "wrapper/docs/threat-model.md"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
KNOWS_POLICIES = 30
POD = "prometheus-0"
PATCHES = {
    "apiGroups": [""],
    "resources": ["pods"],
    "resourceNames": [POD, "other"],
    "verbs": ["patch"],
}


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    """Give a namespace with two pods of the service account, which may patch both."""
    made = make_namespace(more_rules=[PATCHES])
    for name in (POD, "other"):
        spec = {
            "containers": [{"name": "prometheus", "image": "given"}],
            "serviceAccountName": "elector",
        }
        made.server.make(pods_path(made), {"metadata": {"name": name}, "spec": spec})
    return made


def pods_path(namespace: Namespace, name: str = "") -> str:
    """Return the API's path of a pod, or of all pods."""
    return f"/api/v1/namespaces/{namespace.name}/pods" + (f"/{name}" if name else "")


def token_of(namespace: Namespace, pod: str) -> str:
    """Return a token bound to a pod, like the one that the kubelet mounts."""
    reference = {"kind": "Pod", "apiVersion": "v1", "name": pod}
    path = f"/api/v1/namespaces/{namespace.name}/serviceaccounts/elector/token"
    spec = {"expirationSeconds": 3600, "boundObjectRef": reference}
    return str(namespace.server.make(path, {"spec": spec})["status"]["token"])


def patch(namespace: Namespace, token: str, pod: str, change: Any) -> requests.Response:
    """Patch a pod."""
    server = namespace.server
    return requests.patch(
        server.url + pods_path(namespace, pod),
        data=json.dumps(change),
        headers={"Authorization": f"Bearer {token}", "Content-Type": MERGE_PATCH},
        verify=str(server.ca_file),
        timeout=5,
    )


LABEL = {"metadata": {"labels": {"prometheus-elector/role": "leader"}}}
IMAGE = {"spec": {"containers": [{"name": "prometheus", "image": "another"}]}}


def test_the_right_to_patch_a_pod_allows_to_change_its_image(namespace: Namespace) -> None:
    """A service account that may patch a pod may change its image: no right is for labels alone."""
    token = token_of(namespace, POD)
    assert patch(namespace, token, "other", IMAGE).status_code == 200
    pod = namespace.server.call("GET", pods_path(namespace, "other")).json()
    assert pod["spec"]["containers"][0]["image"] == "another"


# --- the admission policy of the page ------------------------------------------------------------


def policies(namespace: Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the page's objects, adapted to this namespace, with the API's paths of their kinds."""
    text = PAGE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    account = "serviceaccount:monitoring:prometheus"
    assert account in text
    text = text.replace(account, f"serviceaccount:{namespace.name}:elector")
    text = text.replace("{name: prometheus-elector}", f"{{name: {namespace.name}}}")
    text = text.replace("policyName: prometheus-elector", f"policyName: {namespace.name}")
    for each in yaml.safe_load_all(text):
        kind = each["kind"]
        plural = "policies" if kind.endswith("Policy") else "policybindings"
        yield f"{POLICIES}/validatingadmission{plural}", each


@pytest.fixture
def guarded(namespace: Namespace) -> Iterator[Namespace]:
    """Give the namespace with the page's policy in force."""
    if minor_version(namespace.server) < KNOWS_POLICIES:
        pytest.skip("this Kubernetes has no ValidatingAdmissionPolicy")
    made = []
    try:
        for path, each in policies(namespace):
            namespace.server.make(path, each)
            made.append(f"{path}/{each['metadata']['name']}")
        token = token_of(namespace, POD)
        wait_until(
            lambda: lease(namespace, token, "POST", holder="other").status_code == 422,
            30,
            "the policy is in force",
        )
        yield namespace
    finally:
        for path in made:
            namespace.server.call("DELETE", path)


def lease(
    namespace: Namespace, token: str, method: str, holder: str, name: str = "prometheus"
) -> requests.Response:
    """Create (as a dry run) or update a Lease with this holder."""
    path = namespace.leases_path + (f"/{name}" if method == "PUT" else "")
    body: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace.name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }
    if method == "PUT":
        body["metadata"] = (namespace.lease() or {})["metadata"]
    dry = "?dryRun=All" if method == "POST" else ""
    return namespace.server.call(method, path + dry, body, token)


def test_by_the_policy_a_replica_names_only_itself(guarded: Namespace) -> None:
    """By the policy, a replica may hold and release its Lease only under its own name.

    Other Leases, and tokens of no pod, are refused.
    """
    token = token_of(guarded, POD)
    assert lease(guarded, token, "POST", POD).status_code == 201
    assert lease(guarded, token, "POST", "").status_code == 201
    assert lease(guarded, token, "POST", POD, name="another").status_code == 422
    assert lease(guarded, guarded.token, "POST", POD).status_code in (403, 422), "of no pod"
    path = guarded.leases_path
    guarded.server.make(
        path, {"metadata": {"name": "prometheus"}, "spec": {"holderIdentity": "other"}}
    )
    assert lease(guarded, token, "PUT", POD).status_code == 200
    assert lease(guarded, token, "PUT", "").status_code == 200
    for holder in ("other", "169.254.169.254/"):
        assert lease(guarded, token, "PUT", holder).status_code == 422
    assert guarded.holder() == ""


def test_by_the_policy_a_replica_changes_only_its_own_metadata(guarded: Namespace) -> None:
    """By the policy, a replica may change its pod's label, but no image and no other pod."""
    token = token_of(guarded, POD)
    assert patch(guarded, token, POD, LABEL).status_code == 200
    assert patch(guarded, token, POD, IMAGE).status_code == 422
    assert patch(guarded, token, "other", LABEL).status_code == 422
    assert patch(guarded, token, "other", IMAGE).status_code == 422


def check_that_it_acquires_and_releases(replica: Replica, namespace: Namespace) -> None:
    """Check that a replica acquires the Lease, and releases it at its end."""
    with started(replica):
        replica.await_leader(30)
        assert namespace.holder() == POD
        replica.term()
        assert replica.await_end(30) == 0
    assert namespace.holder() == ""


def test_a_replica_acquires_and_releases_under_the_policy(
    guarded: Namespace, tmp_path: Path, write_log: WriteLog
) -> None:
    """The policy allows all that a replica writes to acquire and release the Lease."""
    guarded.token_file.write_text(token_of(guarded, POD))
    replica = Replica(tmp_path, POD, *on_lease(guarded), *QUICK, write_url=write_log.url("a"))
    check_that_it_acquires_and_releases(replica, guarded)


def test_without_the_right_to_create_a_lease(
    namespace: Namespace, tmp_path: Path, write_log: WriteLog
) -> None:
    """Without the right to create leases, a replica acquires and releases an existing empty one."""
    path = f"{RBAC}/{namespace.name}/roles/elector"
    role = namespace.server.call("GET", path).json()
    role["rules"] = [each for each in role["rules"] if "create" not in each["verbs"]]
    assert namespace.server.call("PUT", path, role).status_code == 200
    wait_until(
        lambda: lease(namespace, namespace.token, "POST", POD).status_code == 403, 30, "no right"
    )
    namespace.server.make(namespace.leases_path, {"metadata": {"name": namespace.lease_name}})
    replica = Replica(tmp_path, POD, *on_lease(namespace), *QUICK, write_url=write_log.url("a"))
    check_that_it_acquires_and_releases(replica, namespace)


# --- the right to the Lease ----------------------------------------------------------------------


def test_a_forged_release_makes_two_writers_for_a_moment_only(
    namespace: Namespace, tmp_path: Path, write_log: WriteLog
) -> None:
    """After a forged release two replicas write, until the old leader's next renewal."""
    replicas = [
        Replica(tmp_path, name, *on_lease(namespace), *QUICK, write_url=write_log.url(name))
        for name in "ab"
    ]
    one, other = replicas
    with started(one):
        one.await_leader(30)
        with started(other):
            other.await_ready(30)
            wait_until(lambda: write_log.writers() == {"a"}, 15, "a writes")
            forge_release(namespace)
            wait_until(lambda: write_log.writers() == {"a", "b"}, 15, "b writes as well")
            one.await_follower(15)
            since = now()
            wait_until(lambda: "b" in write_log.writers(since), 15, "b writes on")
            assert write_log.writers(since) == {"b"}


def forge_release(namespace: Namespace) -> None:
    """Write to the Lease what a leader writes to release it."""

    def is_written() -> bool:
        seen = namespace.lease() or {}
        time = seen["spec"]["renewTime"]
        signed = {"incarnation": "x", "holder": "", "acquireTime": time}
        seen["metadata"]["annotations"] = {INCARNATION: json.dumps(signed)}
        seen["spec"] |= {"holderIdentity": "", "acquireTime": time, "leaseDurationSeconds": 1}
        return namespace.call("PUT", seen).status_code == 200

    wait_until(is_written, 15, "it is written, between two renewals")
