"""Rendered manifests as objects of a real API server, and what pods read of them."""

from __future__ import annotations

import base64
from typing import Any

from tests.k8s.network import Network
from tests.k8s.rendering import Document
from tests.real.parts import ApiServer


class Objects:
    """A namespace of the real API server with applied manifests."""

    def __init__(self, network: Network, namespace: str, made: list[Document]) -> None:
        self.network, self.namespace = network, namespace
        self.server: ApiServer = network.server
        self.server.make("/api/v1/namespaces", {"metadata": {"name": namespace}})
        self.apply(made)

    def apply(self, made: list[Document]) -> None:
        """Create the objects, and names for the pods of a StatefulSet."""
        for each in made:
            if each["kind"] in PATHS and each["kind"] != "Namespace":
                self.server.make(path(each, self.namespace), in_namespace(each, self.namespace))
            if each["kind"] == "StatefulSet":
                self.name_pods(each)

    def object(self, kind: str, name: str) -> Document:
        """Return an object from the API server."""
        answer = self.server.call("GET", f"{PATHS[kind].format(self.namespace)}/{name}")
        answer.raise_for_status()
        found: Document = answer.json()
        return found

    def has(self, kind: str, name: str) -> bool:
        """Tell whether the API server has an object."""
        return self.server.call("GET", f"{PATHS[kind].format(self.namespace)}/{name}").ok

    def content(self, kind: str, name: str) -> dict[str, bytes]:
        """Return the files of a ConfigMap or a Secret."""
        data = self.object(kind, name).get("data") or {}
        if kind == "Secret":
            return {key: base64.b64decode(text) for key, text in data.items()}
        return {key: text.encode() for key, text in data.items()}

    def change(self, kind: str, name: str, data: dict[str, str]) -> None:
        """Replace the texts of a ConfigMap or a Secret."""
        found = self.object(kind, name)
        found["stringData" if kind == "Secret" else "data"] = data
        url = f"{PATHS[kind].format(self.namespace)}/{name}"
        self.server.call("PUT", url, found).raise_for_status()

    def register(self, name: str, stateful_set: Document) -> str:
        """Create the pod's object, replacing one with the same name, and return its UID."""
        url = f"/api/v1/namespaces/{self.namespace}/pods"
        self.server.call("DELETE", f"{url}/{name}?gracePeriodSeconds=0")
        template = stateful_set["spec"]["template"]
        claims = stateful_set["spec"].get("volumeClaimTemplates", ())
        volumes = [{"name": each["metadata"]["name"], "emptyDir": {}} for each in claims]
        spec = {**template["spec"], "volumes": template["spec"].get("volumes", []) + volumes}
        meta = {"labels": template["metadata"]["labels"], "name": name}
        return str(self.server.make(url, {"metadata": meta, "spec": spec})["metadata"]["uid"])

    def token(self, service_account: str) -> str:
        """Return a token of a service account."""
        url = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{service_account}/token"
        answer = self.server.make(url, {"spec": {"expirationSeconds": 3600}})
        return str(answer["status"]["token"])

    def name_pods(self, stateful_set: Document) -> None:
        """Add the pods' names as in DNS: by the headless service, a single pod also by its own."""
        name, service = stateful_set["metadata"]["name"], stateful_set["spec"]["serviceName"]
        for ordinal in range(stateful_set["spec"]["replicas"]):
            self.network.address(f"{name}-{ordinal}", f"{name}-{ordinal}.{service}")
        if stateful_set["spec"]["replicas"] == 1:
            self.network.address(f"{name}-0", service)


PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}


def path(of: Document, namespace: str) -> str:
    """Return the API's path for an object."""
    return PATHS[of["kind"]].format(namespace)


def in_namespace(of: Document, namespace: str) -> Document:
    """Return an object moved to another namespace."""
    moved: dict[str, Any] = {**of, "metadata": {**of["metadata"], "namespace": namespace}}
    if "subjects" in of:
        moved["subjects"] = [{**each, "namespace": namespace} for each in of["subjects"]]
    return moved
