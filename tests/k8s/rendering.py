"""Manifests of `k8s/` as users get them: the output of helm and kustomize, parsed."""

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
KUBERNETES = "1.37"  # a helm built from source has an old default
Document = dict[str, Any]


class Refused(Exception):
    """Helm refused the values; the text has the reason."""


def helm(*words: str | Path) -> str:
    """Run helm and return its output; raise Refused with its error."""
    done = subprocess.run([program("helm"), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def chart(*words: str, use: str | None = None, namespace: str = "default") -> list[Document]:
    """Return the objects of a release `prometheus` of the chart; ``words`` are flags of helm."""
    values = ("--values", str(K8S / f"values/{use}.yaml")) if use else ()
    return documents(
        helm(
            *("template", "prometheus", CHART, "--kube-version", KUBERNETES),
            *("--namespace", namespace, *values, *words),
        )
    )


def kustomize(folder: str | Path) -> list[Document]:
    """Return the objects that kustomize builds from a folder of `k8s/`."""
    words = [program("kustomize"), "build", str(K8S / folder)]
    return documents(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def documents(text: str) -> list[Document]:
    """Return the non-empty documents of a text."""
    return [document for document in yaml.safe_load_all(text) if document]


def find(made: Iterable[Document], kind: str, name: str | None = None) -> Document:
    """Return the only object of a kind, or of a kind and name."""
    [found] = [
        each
        for each in made
        if each["kind"] == kind and name in (None, each["metadata"].get("name"))
    ]
    return found


def without_helm(made: Sequence[Document]) -> dict[str, Document]:
    """Return the objects by kind and name, without the labels that only Helm adds."""
    for each in made:
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            each["metadata"].get("labels", {}).pop(label, None)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in made}


def container(stateful_set: Document) -> Document:
    """Return the only container of a StatefulSet's pods."""
    [only] = stateful_set["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(stateful_set: Document) -> dict[str, str]:
    """Return the container's variables that have a literal value."""
    return {
        each["name"]: each["value"] for each in container(stateful_set)["env"] if "value" in each
    }
