"""The Role's rights suffice for all that a replica does, and allow nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.k8s.network import Network
from tests.k8s.objects import Objects
from tests.k8s.rendering import chart
from tests.real.parts import LEASES, ApiServer

LABELLED = ("--set", "leaderLabel.enabled=true")


class Rights:
    """The rights of the chart's service account in a namespace, found by requests."""

    def __init__(self, network: Network, namespace: str, *words: str) -> None:
        self.cluster = Objects(network, namespace, chart(*words, namespace=namespace))
        self.server: ApiServer = network.server
        self.namespace = namespace
        self.token = self.cluster.token("prometheus")

    def may(self, verb: str, resource: str, name: str = "", group: str = "") -> bool:
        """Tell whether the API server allows this to the service account."""
        attributes = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "name": name,
        }
        answer = self.server.call(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"spec": {"resourceAttributes": attributes}},
            self.token,
        )
        return bool(answer.json()["status"]["allowed"])

    def call(self, method: str, path: str, body: Any = None) -> int:
        """Send a request as the service account and return its status."""
        return self.server.call(method, path, body, self.token).status_code


ALLOWED = [
    ("create", "leases", ""),
    ("get", "leases", "prometheus"),
    ("update", "leases", "prometheus"),
    ("watch", "leases", "prometheus"),
]
DENIED = [
    ("list", "leases", "", "coordination.k8s.io"),
    ("delete", "leases", "prometheus", "coordination.k8s.io"),
    ("patch", "leases", "prometheus", "coordination.k8s.io"),
    ("get", "leases", "another", "coordination.k8s.io"),
    ("update", "leases", "another", "coordination.k8s.io"),
    ("watch", "leases", "", "coordination.k8s.io"),
    *((verb, "pods", "prometheus-0", "") for verb in ("get", "list", "patch", "update", "delete")),
    *((verb, "secrets", "", "") for verb in ("get", "list", "watch", "create")),
    *((verb, "configmaps", "prometheus-config", "") for verb in ("get", "update")),
    ("create", "pods", "", ""),
    ("create", "pods/exec", "prometheus-0", ""),
    ("get", "statefulsets", "prometheus", "apps"),
    ("patch", "statefulsets", "prometheus", "apps"),
    ("update", "roles", "prometheus", "rbac.authorization.k8s.io"),
    ("create", "serviceaccounts/token", "prometheus", ""),
]


def test_allowed(network: Network) -> None:
    """The service account may get, update and watch the one lease, and create leases."""
    rights = Rights(network, "allowed")
    group = "coordination.k8s.io"
    assert [each for each in ALLOWED if not rights.may(*each, group=group)] == []
    path = f"{LEASES}/{rights.namespace}/leases"
    lease = {"metadata": {"name": "prometheus"}, "spec": {"holderIdentity": "a"}}
    assert rights.call("POST", path, lease) == 201
    held = rights.server.call("GET", f"{path}/prometheus", token=rights.token).json()
    assert rights.call("PUT", f"{path}/prometheus", held) == 200
    selected = "watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dprometheus"
    assert rights.call("GET", f"{path}?{selected}") == 200
    assert rights.call("GET", path) == 403
    assert rights.call("DELETE", f"{path}/prometheus") == 403


@pytest.mark.parametrize("words", [(), LABELLED], ids=["plain", "with the leader's label"])
def test_denied(network: Network, words: tuple[str, ...]) -> None:
    """The service account may do nothing else with leases, pods, secrets or its own rights.

    With the leader's label it may also patch its pod.
    """
    rights = Rights(network, "denied-label" if words else "denied", *words)
    allowed = {each for each in DENIED if rights.may(*each)}
    assert allowed == ({("patch", "pods", "prometheus-0", "")} if words else set())
    assert not rights.may("get", "leases", "prometheus", group="apps")
    other = f"{LEASES}/kube-system/leases/prometheus"
    assert rights.call("GET", other) == 403


def test_label(network: Network) -> None:
    """With the leader's label, the StatefulSet's pods may be patched, and no other pod."""
    rights = Rights(network, "label", *LABELLED, "--set", "replicas=3")
    assert [rights.may("patch", "pods", f"prometheus-{n}") for n in range(4)] == [True] * 3 + [
        False
    ]
    assert not rights.may("patch", "pods", "storage-0")
    assert not rights.may("patch", "pods/status", "prometheus-0")
