"""Installs the Prometheus Operator's own resource definitions in the tests' API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.k8s.versions import minor_version
from tests.real.parts import ApiServer, program
from tests.support import wait_until

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NEEDED = (
    *("prometheuses", "prometheusagents", "prometheusrules", "servicemonitors", "podmonitors"),
    *("probes", "scrapeconfigs"),
)
KNOWS_THEM = 25  # Kubernetes 1.25, the oldest that the Operator supports
EMPTY_HERE = ("replicaExternalLabelName",)


class Loader(yaml.SafeLoader):
    """Reads `=` as a text, as the definitions mean it; PyYAML has YAML 1.1's value for it."""


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    return loader.construct_scalar(node)


Loader.add_constructor("tag:yaml.org,2002:value", _text)


def install(server: ApiServer) -> None:
    """Create the definitions, and wait until the server serves their kinds."""
    folder, is_old = Path(program("operator-crds")), minor_version(server) < KNOWS_THEM
    for plural in NEEDED:
        text = (folder / f"monitoring.coreos.com_{plural}.yaml").read_text()
        definition = yaml.load(text, Loader)
        if is_old:
            definition = for_an_old_server(definition)
        server.make(PATH, definition)
        for version in definition["spec"]["versions"]:
            url = f"/apis/monitoring.coreos.com/{version['name']}/namespaces/default/{plural}"
            wait_until(lambda it=url: server.call("GET", it).ok, 30, f"{url} is served")  # type: ignore[misc]


def for_an_old_server(node: Any, name: str = "") -> Any:
    """Return a definition for Kubernetes 1.20, which takes an empty text for null.

    So `default: ""` is removed, and fields that are empty in our manifests may be null.
    """
    if isinstance(node, list):
        return [for_an_old_server(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: for_an_old_server(value, key)
        for key, value in node.items()
        if not (key == "default" and value == "")
    }
    return {**made, "nullable": True} if name in EMPTY_HERE else made
