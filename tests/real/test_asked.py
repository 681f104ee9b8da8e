"""Prometheus exposes each of its metrics that we use, as a server and as an agent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from tests.real import asked
from tests.real.gap import NEW_PROTOCOL
from tests.real.parts import Prometheus, Receiver, started
from tests.real.versions import has_flag
from tests.support import wait_until
from wrapper.supervision import prometheus_api

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: self, static_configs: [{{targets: ['{{address}}']}}]}}]
remote_write: [{{url: '{url}', queue_config: {{batch_send_deadline: 200ms}}{more}}}]
"""
HAS_SENT = re.compile(r"^prometheus_remote_storage_samples_total{.*} [1-9]", re.MULTILINE)


def exposed(folder: Path, receiver: Receiver, *, is_agent: bool, protocol: int) -> str:
    """Return the metrics of a Prometheus that has sent samples."""
    more = f", protobuf_message: {NEW_PROTOCOL}" if protocol == 2 else ""
    part = Prometheus(folder / "sender", CONFIG.format(url=receiver.write_url, more=more))
    if is_agent:
        flag = "--agent" if has_flag("agent") else "--enable-feature=agent"
        part.argv = [each.replace(".tsdb.path", ".agent.path") for each in part.argv] + [flag]
    with started(part):
        wait_until(lambda: HAS_SENT.search(metrics(part)), 30, "samples have been sent")
        some = metrics(part, prometheus_api._METRICS)
        assert all(value.search(some.encode()) for value in prometheus_api._VALUES.values())
        return metrics(part)


def metrics(part: Prometheus, path: str = "/metrics") -> str:
    """Return the metrics that it exposes."""
    return requests.get(f"{part.url}{path}", timeout=5).text


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("is_agent", [False, True], ids=["server", "agent"])
def test_prometheus_exposes_all_metrics_that_we_use(
    tmp_path: Path, receiver: Receiver, is_agent: bool, protocol: int
) -> None:
    """A Prometheus that has sent samples exposes all metrics and labels that we use."""
    if protocol == 2:
        asked.needs_protocol_2()
    text = exposed(tmp_path, receiver, is_agent=is_agent, protocol=protocol)
    assert asked.missing(asked.names(), asked.labels(), text) == []


def test_the_metrics_that_we_use_are_found() -> None:
    """Metrics are found in rules, panels, pages and code; those not exposed are returned."""
    names, labels = asked.names(), asked.labels()
    assert names >= {
        "prometheus_remote_storage_samples_failed_total",  # an alert
        "prometheus_remote_storage_samples_retried_total",  # a panel
        "prometheus_remote_storage_shards_max",  # a page
        "prometheus_config_last_reload_successful",  # our code
    }
    assert labels == {"remote_name", "url"}
    text = 'prometheus_remote_storage_a{remote_name="x"} 1\nprometheus_config_b 2\n'
    given = {"prometheus_remote_storage_a", "prometheus_config_b", "prometheus_tsdb_c"}
    found = ["prometheus_remote_storage_a: url", "prometheus_tsdb_c"]
    assert asked.missing(given, labels, text) == found
