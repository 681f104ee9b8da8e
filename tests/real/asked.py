"""The metrics of Prometheus itself that alert rules, dashboard, documents and code use."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.process.test_dashboard import PANELS, RULES
from tests.real.parts import CHECKOUT
from tests.real.versions import has_flag

# Names that begin like this are metrics of Prometheus, not modules or fields of ours.
NAME = re.compile(
    r"\bprometheus_(?:remote_storage|config|tsdb|agent|wal|rule|target|notifications|http_requests)"
    r"_[a-z_]*[a-z]\b"
)
TEXTS = ("README.md", "wrapper/**/*.md", "k8s/**/*.md", "wrapper/**/*.py")
# A table of the runbook names metrics of other releases, for rules that are not ours.
NOT_ASKED = re.compile(r"^## Rules of your own$.*?(?=^## )", re.MULTILINE | re.DOTALL)
BY_LABELS = re.compile(r"\b(?:by|without|on|ignoring) ?\(([^)]*)\)")
BRACES = re.compile(r"{([^{}]*)}")
OF_A_TARGET = {"cluster", "namespace", "job", "pod", "instance"}
SERIES = re.compile(r"^([a-z_]+)(?:{(.*)})? \S+$", re.MULTILINE)


def needs_protocol_2() -> None:
    """Skip a test if its Prometheus supports only protocol 1, as those before 2.54."""
    if not has_flag("web.remote-write-receiver.accepted-protobuf-messages"):
        pytest.skip("this Prometheus does not speak protocol 2 of remote write")


def names() -> set[str]:
    """Return the names of all metrics of Prometheus that something of ours uses."""
    texts = [expression for expression, _ in _questions()]
    for pattern in TEXTS:
        texts += [NOT_ASKED.sub("", path.read_text()) for path in CHECKOUT.glob(pattern)]
    return {name for text in texts for name in NAME.findall(text)}


def labels() -> set[str]:
    """Return the labels of these metrics that a query selects or groups by, or a text shows.

    Labels that the scrape adds are left out.
    """
    found: set[str] = set()
    for expression, text in _questions():
        for each in BY_LABELS.findall(expression):
            found |= set(re.findall(r"\w+", each))
        for each in BRACES.findall(expression):
            found |= set(re.findall(r"(\w+) *(?:=|!=|=~|!~) *\"", each))
        found |= {one or other for one, other in re.findall(r"\$labels\.(\w+)|{{(\w+)}}", text)}
    return found - OF_A_TARGET


def _questions() -> Iterator[tuple[str, str]]:
    """Yield each query for metrics of Prometheus, and the text that shows its result."""
    for panel in PANELS:
        for asked in panel["targets"]:
            if NAME.search(asked["expr"]):
                yield asked["expr"], asked["legendFormat"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            if NAME.search(rule["expr"]):
                yield rule["expr"], " ".join(rule["annotations"].values())


def missing(asked: set[str], with_labels: set[str], exposed: str) -> list[str]:
    """Return what is used and not exposed: a metric, or a label that one of its series lacks.

    Labels are those of a remote_write; a metric of the whole process does not have them.
    """
    series: dict[str, list[set[str]]] = {name: [] for name in asked}
    for name, inner in SERIES.findall(exposed):
        if name in asked:
            series[name].append(set(re.findall(r'(\w+)="', inner)))
    lacking = [
        f"{name}: {label}"
        for name, found in series.items()
        if name.startswith("prometheus_remote_storage_")
        for label in with_labels
        if not all(label in each for each in found)
    ]
    return sorted([name for name, found in series.items() if not found] + lacking)
