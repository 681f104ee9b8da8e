"""The file of the Grafana dashboard; tests/real runs its queries."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.real.parts import CHECKOUT
from wrapper.web.metric_table import METRICS

FILES = CHECKOUT / "k8s/chart/files"
FILE = FILES / "dashboards/prometheus-elector.json"
RULES = FILES / "rules/prometheus-elector.yml"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
BROUGHT_BY_GRAFANA = {"timeseries", "stat", "state-timeline"}

# Only replicas that fetch targets expose these.
OF_TARGETS = {
    "prometheus_elector_targets_last_success_time_seconds",
    "prometheus_elector_targets_queue_unannounced_changes",
}

# Only replicas with the gate expose these. The dashboard omits those in NOT_SHOWN.
NOT_SHOWN = ("held_since_timestamp_seconds", "batches_released_total", "passed_bytes_total")
OF_GATE = {name for name in METRICS if name.startswith("prometheus_elector_gate_")}


def expressions() -> Iterator[str]:
    """Yield every PromQL expression of the rules and the dashboard."""
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def metrics_in(expression: str) -> set[str]:
    """Return the metric names in an expression; for a histogram, without the suffix."""
    names = re.findall(r"\bprometheus_\w+", expression)
    return {
        name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name) for name in names
    }


def test_no_query_selects_a_bucket_or_quantile() -> None:
    """No query selects `le` or `quantile`.

    A 3.x stores `le="1"` as `le="1.0"`, and a native histogram has no such label.
    """
    for expression in expressions():
        assert not re.search(r"\b(le|quantile)\s*[!=]", expression)


def test_dashboard_file_is_up_to_date() -> None:
    """The dashboard file equals the output of its script: `scripts/render-k8s` was run."""
    argv = [sys.executable, str(CHECKOUT / "scripts/dashboard.py")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == FILE.read_text()


def test_queries_use_existing_metrics() -> None:
    """Alerts and panels use only existing metrics, and nearly all of the gate's."""
    used = set[str]().union(*map(metrics_in, expressions()))
    ours = {name for name in used if name.startswith("prometheus_elector_")}
    assert len(ours) > 30
    assert ours - set(METRICS) == set()
    assert ours >= OF_TARGETS
    assert {name for name in OF_GATE - ours if not name.endswith(NOT_SHOWN)} == set()
    assert {
        name for name in used - ours if not name.startswith("prometheus_remote_storage_")
    } == set()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_is_valid(panel: dict[str, Any]) -> None:
    """Each panel has a built-in type and a description, and queries the selected data source."""
    assert panel["type"] in BROUGHT_BY_GRAFANA
    assert panel["description"].endswith(".")
    assert panel["targets"]
    for asked in (panel, *panel["targets"]):
        assert asked["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        assert '{cluster=~"$cluster",namespace=~"$namespace"' in target["expr"]
        assert "(namespace" not in target["expr"]
        assert not re.search(r"[{\[][@~][}\]]", target["expr"])


def test_panels_do_not_overlap() -> None:
    """Panels do not overlap or exceed the width; their ids and titles are unique."""
    for one, other in itertools.combinations(DASHBOARD["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (one, other)
        assert one["id"] != other["id"]
        assert one["title"] != other["title"]
    assert all(each["gridPos"]["x"] + each["gridPos"]["w"] <= 24 for each in DASHBOARD["panels"])


def test_variables_are_defined_and_used() -> None:
    """The variables are data source, cluster, namespace and job, and panels use each of them."""
    names = [each["name"] for each in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "cluster", "namespace", "job"]
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used == {"datasource", "cluster", "namespace", "job", "__rate_interval", "__field"}
