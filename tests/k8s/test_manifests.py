"""A real API server accepts every manifest, rendered or plain, without a warning or a loss.

A warning names a field that is unknown, deprecated or without effect. All manifests of Kubernetes'
own kinds are also compared with the schema that Kubernetes publishes in its Python client: a 1.20
has no policy/v1 and no warnings about fields. Those of the Prometheus Operator's kinds are checked
by the Operator's own resource definitions; a 1.20 does not support their CEL rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.k8s.objects import PATHS, in_namespace
from tests.k8s.rendering import K8S, USES, Document, chart, documents, kustomize
from tests.k8s.schemas import misfits
from tests.k8s.test_chart import EVERYTHING
from tests.k8s.test_gate import with_comments
from tests.k8s.versions import minor_version
from tests.real.parts import ApiServer

OPERATORS = "monitoring.coreos.com"
PLURALS = {"Prometheus": "prometheuses"}
JUDGED_BY_OPERATOR = {
    "Prometheus",
    "PrometheusAgent",
    "PrometheusRule",
    "ServiceMonitor",
    "PodMonitor",
}
BUDGETS = {"PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"}
KNOWS_BUDGETS = 21
KNOWS_UNKNOWN_FIELDS = 25
JUDGED_BY_SERVER = {*PATHS, *BUDGETS, *JUDGED_BY_OPERATOR}


def sources() -> Iterator[tuple[str, list[Document]]]:
    """Yield all manifests that users can apply, with their names."""
    yield "chart", chart()
    yield "chart, all switched on", chart(*EVERYTHING)
    yield "chart for promgen", chart(use="promgen")
    for use in USES:
        yield f"chart for {use}", chart(use=use)
        yield f"overlays/{use}", kustomize(f"overlays/{use}")
        yield f"examples/{use}", kustomize(f"examples/{use}")
    for file in sorted((K8S / "operator").glob("*.yaml")):
        if not file.name.startswith("values-"):
            yield file.name, documents(file.read_text())
            yield f"{file.name} with the gate", with_comments(file.read_text())
    for component in ("rules/prometheusrule.yaml", "dashboards/configmap.yaml"):
        yield component, documents((K8S / "components" / component).read_text())


MANIFESTS = {
    f"{source}: {each['kind']} {each['metadata']['name']}": each
    for source, made in sources()
    for each in made
}


@pytest.fixture(scope="module")
def server(shared_api_server: ApiServer, operators_kinds: None) -> ApiServer:
    """Give the API server, with the Operator's resource definitions and a namespace."""
    shared_api_server.make("/api/v1/namespaces", {"metadata": {"name": "manifests"}})
    return shared_api_server


@pytest.mark.parametrize(
    "which", [k for k, of in MANIFESTS.items() if of["kind"] in JUDGED_BY_SERVER]
)
def test_accepted(server: ApiServer, which: str) -> None:
    """The API server accepts the object in a dry run, without a warning, with every field."""
    of = MANIFESTS[which]
    sent = of if of["kind"] == "Namespace" else in_namespace(of, "manifests")
    answer = server.call("POST", f"{path(of)}?dryRun=All", sent)
    if of["kind"] in BUDGETS and minor_version(server) < KNOWS_BUDGETS:
        assert answer.status_code == 404, "test_schema judges it alone"
        return
    assert answer.status_code == 201, answer.text
    assert answer.headers.get("Warning") is None
    assert list(dropped(sent, answer.json(), of["kind"])) == []


@pytest.mark.parametrize(
    "of",
    [each for each in MANIFESTS.values() if not each["apiVersion"].startswith(OPERATORS)],
    ids=lambda of: f"{of['kind']} {of['metadata']['name']}",
)
def test_schema(of: Document) -> None:
    """Kubernetes' newest published schema has every field of the object, with its type."""
    assert list(misfits(of)) == []


def test_every_kind_is_checked() -> None:
    """Every kind of object is checked by one of the tests above."""
    assert {of["kind"] for of in MANIFESTS.values()} <= JUDGED_BY_SERVER


def test_a_misspelt_field_is_found(server: ApiServer) -> None:
    """A misspelt field is found by the server's answer, its warning, and the schema."""
    [budget] = [each for each in MANIFESTS.values() if each["kind"] == "PodDisruptionBudget"][:1]
    spec = {**budget["spec"], "maxUnavailible": 1}
    assert list(misfits({**budget, "spec": spec})) == [
        "PodDisruptionBudget.spec.maxUnavailible: unknown"
    ]
    service = {
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 1, "prot": 2}]},
    }
    answer = server.call("POST", f"{PATHS['Service'].format('manifests')}?dryRun=All", service)
    assert list(dropped(service, answer.json(), "Service")) == ["Service.spec.ports[0].prot"]
    if minor_version(server) >= KNOWS_UNKNOWN_FIELDS:
        assert "spec.ports[0].prot" in answer.headers["Warning"]


def path(of: Document) -> str:
    """Return the API's path for an object."""
    if of["apiVersion"].startswith(OPERATORS):
        plural = PLURALS.get(of["kind"], f"{of['kind'].lower()}s")
        return f"/apis/{of['apiVersion']}/namespaces/manifests/{plural}"
    return {**PATHS, **BUDGETS}[of["kind"]].format("manifests")


def dropped(sent: Any, got: Any, at: str) -> Iterator[str]:
    """Yield the fields of a request that are missing in its answer."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for key, value in sent.items():
            if key == "stringData":
                continue  # it becomes data
            if key not in got and value not in (None, {}, [], False):
                yield f"{at}.{key}"
            else:
                yield from dropped(value, got.get(key), f"{at}.{key}")
    elif isinstance(sent, list) and isinstance(got, list):
        for number, (one, other) in enumerate(zip(sent, got, strict=True)):
            yield from dropped(one, other, f"{at}[{number}]")
