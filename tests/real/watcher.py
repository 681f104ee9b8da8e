"""A Prometheus that scrapes replicas and their Prometheus, and evaluates the alert rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.process.test_dashboard import RULES
from tests.real.parts import Prometheus, started
from tests.real.replica import Replica
from tests.support import wait_until

WITHIN_S = 60.0
CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{rules}']
scrape_configs:
- job_name: elector
  metrics_path: /_elector/metrics
  static_configs: [{apis}]
  {more}
- job_name: prometheus
  static_configs: [{servers}]
"""


def watcher_config(apis: str, servers: str = "", more: str = "") -> str:
    """Return its configuration; ``more`` is added to the job that scrapes replicas."""
    return CONFIG.format(rules=RULES, apis=apis, servers=servers, more=more)


@contextmanager
def watching(
    folder: Path, *replicas: Replica, more: str = "", flags: str = ""
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes these replicas and their Prometheus; all are up."""
    config = watcher_config(
        ", ".join(target(each.api, each.name) for each in replicas),
        ", ".join(target(each.url, each.name) for each in replicas),
        more,
    )
    with started(Prometheus(folder / "watcher", config, *flags.split())) as part:
        all_of_them = 2 * len(replicas)
        wait_until(lambda: len(part.query("up == 1")) == all_of_them, WITHIN_S, "all are scraped")
        yield part


def target(url: str, pod: str) -> str:
    """Return a target with the labels that the Operator's monitors add; no label `cluster`."""
    address = url.removeprefix("http://")
    return f"{{targets: ['{address}'], labels: {{namespace: monitoring, pod: {pod}}}}}"


def rule_health(watcher: Prometheus) -> dict[str, str]:
    """Return the result of each alert's last evaluation."""
    [group] = requests.get(f"{watcher.url}/api/v1/rules", timeout=5).json()["data"]["groups"]
    return {rule["name"]: rule["health"] for rule in group["rules"]}
