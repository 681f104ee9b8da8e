"""What the documents of `k8s/` name is there."""

from __future__ import annotations

import re

import pytest

from tests.k8s.rendering import K8S
from tests.real.parts import CHECKOUT
from wrapper.flags import BY_NAME

DOCUMENTS = ("README.md", "MIGRATION.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths(name: str) -> None:
    """Every link and every path in a command leads to a file or folder."""
    text = (K8S / name).read_text()
    named = set(re.findall(r"(?<![\w/])((?:k8s|scripts)/[\w./-]*[\w-])", text))
    assert named
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    assert [link for link in sorted(links) if not (K8S / link).exists()] == []


def test_flags() -> None:
    """Every flag of the Go program in the guide is one of ours."""
    table = re.findall(r"^\| (`-.*?) \|", (K8S / "MIGRATION.md").read_text(), re.MULTILINE)
    flags = {flag for row in table for flag in re.findall(r"`-([a-z-]+)`", row)}
    assert len(flags) > 25
    assert flags <= set(BY_NAME)
