"""Manifests as users get them: what helm and kustomize make of `k8s/`, as parsed documents."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.real.parts import CHECKOUT, program

K8S = CHECKOUT / "k8s"
CHART = K8S / "chart"
USES = ("agent", "active-passive")
KUBERNETES = "1.37"  # a helm built from source says an old one
Document = dict[str, Any]


class Refused(Exception):
    """helm did not take the values; the text says why."""


def helm(*words: str | Path) -> str:
    """Run helm and return what it prints; raise Refused with its own words."""
    done = subprocess.run([program("helm"), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def chart(*words: str, use: str | None = None, namespace: str = "default") -> list[Document]:
    """Return what a release `prometheus` of the chart is; ``words`` are more of helm's own."""
    values = ("--values", str(K8S / f"values/{use}.yaml")) if use else ()
    return documents(
        helm(
            *("template", "prometheus", CHART, "--kube-version", KUBERNETES),
            *("--namespace", namespace, *values, *words),
        )
    )


def kustomize(folder: str | Path) -> list[Document]:
    """Return what a folder of `k8s/` builds to."""
    words = [program("kustomize"), "build", str(K8S / folder)]
    return documents(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def documents(text: str) -> list[Document]:
    """Return the documents of a text that are not empty."""
    return [document for document in yaml.safe_load_all(text) if document]


def find(made: Iterable[Document], kind: str, name: str | None = None) -> Document:
    """Return the one object of a kind, with a name where there are several."""
    [found] = [
        each
        for each in made
        if each["kind"] == kind and name in (None, each["metadata"].get("name"))
    ]
    return found


def without_helm(made: Sequence[Document]) -> dict[str, Document]:
    """Return the objects by kind and name, without the labels that are Helm's alone."""
    for each in made:
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            each["metadata"].get("labels", {}).pop(label, None)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in made}


def container(stateful_set: Document) -> Document:
    """Return the only container of a StatefulSet's pods."""
    [only] = stateful_set["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(stateful_set: Document) -> dict[str, str]:
    """Return the container's variables that are written out."""
    return {
        each["name"]: each["value"] for each in container(stateful_set)["env"] if "value" in each
    }
