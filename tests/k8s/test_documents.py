"""The paths, versions and flags in the documents of `k8s/` exist."""

from __future__ import annotations

import re

import pytest
import yaml

from tests import links
from tests.k8s.rendering import K8S
from tests.real.parts import CHECKOUT
from wrapper.options.flags import BY_NAME

DOCUMENTS = ("README.md", "MIGRATION.md", "chart/files/rules/README.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths(name: str) -> None:
    """Every link and every path in a command leads to a file or folder."""
    file = K8S / name
    text = file.read_text()
    named = set(re.findall(r"(?<![\w/])((?:k8s|scripts)/[\w./-]*[\w-])", text))
    assert named
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []
    assert links.broken(file) == []


def test_one_version_of_prometheus() -> None:
    """The image, the Operator's manifests, the example and the page name the same Prometheus."""
    dockerfile = (CHECKOUT / "images/Dockerfile").read_text()
    named = dict(re.findall(r"^ARG ((?:PROMETHEUS|PYTHON)_IMAGE)=(\S+)$", dockerfile, re.MULTILINE))
    page = (CHECKOUT / "images/README.md").read_text()
    assert [name for name, image in named.items() if f"| `{name}` | `{image}` |" not in page] == []
    version = named["PROMETHEUS_IMAGE"].partition(":")[2]
    manifests = [file.read_text() for file in (K8S / "operator").glob("*.yaml")]
    assert set(re.findall(r"^ +version: (\S+)", "\n".join(manifests), re.MULTILINE)) == {version}
    example = yaml.safe_load((K8S / "examples/agent/kustomization.yaml").read_text())
    tags = {each["newName"]: each["newTag"] for each in example["images"]}
    assert f"prom/prometheus:{tags['prom/prometheus']}" == named["PROMETHEUS_IMAGE"]


def test_flags() -> None:
    """Every flag of the Go program in the migration guide is one of ours."""
    table = re.findall(r"^\| (`-.*?) \|", (K8S / "MIGRATION.md").read_text(), re.MULTILINE)
    flags = {flag for row in table for flag in re.findall(r"`-([a-z-]+)`", row)}
    assert len(flags) > 25
    assert flags <= set(BY_NAME)
