"""The reference page has everything that is in the code, and nothing else."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.web_access import WebAccess
from wrapper.base.snapshot_channel import SnapshotReader, SnapshotWriter
from wrapper.model.label_values import LEASE_ERRORS, RELOAD_FAILURES
from wrapper.model.roles import Cause
from wrapper.options.flags import FLAGS
from wrapper.options.web_options import WebOptions
from wrapper.proxy.proxy_counters import TARGETS, ProxyCounters
from wrapper.web.app import make_app
from wrapper.web.metric_table import METRICS

CHECKOUT = Path(__file__).parent.parent.parent
PAGE = (CHECKOUT / "wrapper/docs/reference.md").read_text(encoding="utf-8")


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables under a heading."""
    part = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in part.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_tables_are_made_from_the_code() -> None:
    """``scripts/render-reference`` changes nothing."""
    argv = [sys.executable, str(CHECKOUT / "scripts/reference.py")]
    made = subprocess.run(argv, input=PAGE, capture_output=True, text=True, check=False)
    assert made.stderr == ""
    assert made.stdout == PAGE, "run scripts/render-reference"


def test_every_flag_and_metric_has_one_row() -> None:
    """Each flag and metric has one row, which is checked without the script."""
    flags = [cells[0].partition("<br>")[0] for cells in rows("Flags") if cells[0].startswith("`--")]
    assert sorted(flags) == sorted(f"`--{flag.name}`" for flag in FLAGS)
    metrics = [cells[0].strip("`") for cells in rows("Metrics")]
    assert sorted(metrics) == sorted(METRICS)


def test_every_endpoint_has_a_row() -> None:
    """Each route has a row, and there are no other rows."""
    snapshots = SnapshotWriter()
    try:
        app = make_app(
            SnapshotReader(snapshots.fileno()),
            WebOptions(snapshot_fd=snapshots.fileno()),
            ProxyCounters(),
            WebAccess("", ssl.SSLContext),
            PrometheusAccess(""),
        )
    finally:
        snapshots.close()
    routed = {str(rule) for rule in app.url_map.iter_rules()} - {"/_elector"}
    assert {cells[0].strip("`") for cells in rows("Endpoints")} == routed


@pytest.mark.parametrize(
    ("label", "values"),
    [
        ("`role_transitions_total`, `reason`", {each.value for each in Cause}),
        ("`lease_errors_total`, `reason`", set(LEASE_ERRORS)),
        ("`reloads_failed_total`, `reason`", set(RELOAD_FAILURES)),
        ("`proxy_requests_total`, `target`", set(TARGETS)),
    ],
)
def test_values_of_labels_are_complete(label: str, values: set[str]) -> None:
    """The page lists the values that a label can have, and no others."""
    [line] = [each for each in PAGE.splitlines() if each.startswith(f"- {label}: ")]
    assert set(re.findall(r"`([a-z_-]+)`", line.partition(": ")[2])) == values
