"""The dashboard and the alert rules in a real Prometheus that scrapes two replicas."""

from __future__ import annotations

import math
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.process.test_dashboard import (
    DASHBOARD,
    OF_GATE,
    OF_TARGETS,
    PANELS,
    RULES,
    expressions,
    metrics_in,
)
from tests.real.conftest import Start
from tests.real.parts import Prometheus, Receiver, started
from tests.real.promtool import promtool
from tests.real.replica import Replica
from tests.real.watcher import WITHIN_S, rule_health, target, watcher_config, watching
from tests.support import wait_until
from tests.web.conftest import Web, leading
from tests.web.test_protection import running
from tests.web.test_status import FULL

# How a scrape job converts histograms, and the flags that its Prometheus needs for it.
AS_THEY_ARE = ("", "")
MADE_NATIVE = ("convert_classic_histograms_to_nhcb: true", "--enable-feature=native-histograms")


@pytest.fixture
def pair(start: Start, receiver: Receiver) -> tuple[Replica, Replica]:
    """Start a leader, then a follower, with the proxy enabled."""
    leader = start("a", "--api-proxy-enabled", write_url=receiver.write_url)
    leader.await_leader()
    follower = start("b", "--api-proxy-enabled", write_url=receiver.write_url)
    follower.await_follower()
    return leader, follower


@pytest.fixture
def histograms() -> tuple[str, str]:
    """Give how the scrape job converts histograms; tests set it by parametrization."""
    return AS_THEY_ARE


@pytest.fixture
def watcher(
    pair: tuple[Replica, Replica], tmp_path: Path, histograms: tuple[str, str]
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes both replicas and evaluates the rules."""
    more, flags = histograms
    if more and not takes_field(more, tmp_path):
        pytest.skip("this Prometheus makes no native histograms of classic ones")
    with watching(tmp_path, *pair, more=more, flags=flags) as part:
        yield part


def takes_field(of_scrape: str, folder: Path) -> bool:
    """Tell whether Prometheus accepts this field in a scrape job."""
    file = folder / "asked.yml"
    file.write_text(f"scrape_configs: [{{job_name: a, {of_scrape}}}]\n")
    return promtool("check", "config", file).returncode == 0


def filled(text: str, namespace: str, job: str) -> str:
    """Replace the dashboard's variables with values, as Grafana does."""
    chosen = {"cluster": ".*", "namespace": namespace, "job": job, "__rate_interval": "1m"}
    for name, value in chosen.items():
        text = text.replace(f"${name}", value)
    return text


def values(watcher: Prometheus, asked: dict[str, Any], namespace: str, job: str) -> list[float]:
    """Return all values of a panel's query in the last five minutes, or now for instant queries."""
    query, now = filled(asked["expr"], namespace, job), time.time()
    if asked["instant"]:
        return [float(each["value"][1]) for each in answered(watcher, "query", query=query)]
    series = answered(watcher, "query_range", query=query, start=now - 300, end=now, step="2s")
    return [float(value) for each in series for _, value in each["values"]]


def answered(watcher: Prometheus, path: str, **asked: str | float) -> list[dict[str, Any]]:
    """Return the result of a query; it must have no warnings and no infos."""
    answer = requests.get(f"{watcher.url}/api/v1/{path}", params=asked, timeout=10)
    assert answer.status_code == 200, answer.text
    assert not {"warnings", "infos"} & set(answer.json()), answer.text
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


@pytest.mark.parametrize("histograms", [AS_THEY_ARE, MADE_NATIVE], ids=["classic", "native"])
def test_every_query_has_data(watcher: Prometheus, pair: tuple[Replica, Replica]) -> None:
    """After a hand-over, each panel has data, and none when another namespace is selected."""
    hand_over(watcher, *pair)
    for panel in PANELS:
        if not is_of_gate(panel):
            check_panel(watcher, panel)


def check_panel(watcher: Prometheus, panel: dict[str, Any]) -> None:
    """Check that each query of a panel has data of this election, and none of another."""
    for asked in panel["targets"]:
        for chosen in ((".*", ".*"), ("monitoring", "elector")):
            wait_until(
                lambda a=asked, c=chosen: any(map(math.isfinite, values(watcher, a, *c))),  # type: ignore[misc]
                WITHIN_S,
                f"data for {panel['title']}: {asked['expr']}",
                poll_s=0.5,
            )
        assert values(watcher, asked, "elsewhere", ".*") == []


def is_of_gate(panel: dict[str, Any]) -> bool:
    """Tell whether a panel is about the gate, which the two replicas do not run."""
    return any(metrics_in(asked["expr"]) & OF_GATE for asked in panel["targets"])


def test_every_query_about_the_gate_has_data(tmp_path: Path) -> None:
    """When a replica exposes the gate's metrics, each panel about the gate has data.

    All alert rules can be evaluated.
    """
    with running(Web()) as web:
        web.tell(leading(**FULL))
        config = watcher_config(target(web.url, "a"))
        with started(Prometheus(tmp_path / "watcher", config)) as watcher:
            panels = list(filter(is_of_gate, PANELS))
            assert len(panels) == 9
            for panel in panels:
                check_panel(watcher, panel)
            wait_until(
                lambda: set(rule_health(watcher).values()) == {"ok"}, WITHIN_S, "were evaluated"
            )
            assert names(watcher) >= OF_GATE


def choices(watcher: Prometheus, query: str) -> list[str]:
    """Return the values that Grafana offers for label_values(SERIES, LABEL)."""
    parts = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    assert parts is not None
    url = f"{watcher.url}/api/v1/label/{parts[2]}/values"
    answer = requests.get(url, params={"match[]": parts[1]}, timeout=5)
    named: list[str] = answer.json()["data"]
    return named


def test_rules_and_variables_match_the_metrics(
    watcher: Prometheus, pair: tuple[Replica, Replica]
) -> None:
    """Two replicas expose all metrics that rules and panels use, but those of targets and gate.

    Each alert can be evaluated, and each variable of the dashboard has the expected values.
    """
    hand_over(watcher, *pair)
    wait_until(lambda: set(rule_health(watcher).values()) == {"ok"}, WITHIN_S, "all were evaluated")
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            answered(watcher, "query", query=rule["expr"])
    assert set().union(*map(metrics_in, expressions())) - names(watcher) == OF_TARGETS | (
        OF_GATE & set().union(*map(metrics_in, expressions()))
    )
    found = {
        each["name"]: choices(watcher, filled(each["query"], ".*", ".*"))
        for each in DASHBOARD["templating"]["list"]
        if each["type"] == "query"
    }
    assert found == {"cluster": [], "namespace": ["monitoring"], "job": ["elector"]}


def names(watcher: Prometheus) -> set[str]:
    """Return the names of all its metrics; those of histograms without the suffix of a series."""
    answer = requests.get(f"{watcher.url}/api/v1/label/__name__/values", timeout=5)
    return metrics_in(" ".join(answer.json()["data"]))


def hand_over(watcher: Prometheus, *pair: Replica) -> None:
    """Have the leader step down once all is scraped; query the proxy before and after."""
    leader, follower = pair
    ask_proxy(pair)
    asked = "count_over_time(prometheus_elector_proxy_requests_total[1m]) > 1"
    wait_until(lambda: watcher.query(asked), WITHIN_S, "the counters were scraped twice")
    os.kill(leader.pid, signal.SIGUSR1)
    follower.await_leader(WITHIN_S)
    ask_proxy(pair)
    now_leads = 'prometheus_elector_election_is_leader{pod="b"} == 1'
    wait_until(lambda: watcher.query(now_leads), WITHIN_S, "the hand-over was scraped")


def ask_proxy(pair: tuple[Replica, ...]) -> None:
    """Query both replicas until the proxy of one has answered."""
    urls = [f"{each.api}/api/v1/query?query=up" for each in pair]
    wait_until(
        lambda: any(requests.get(url, timeout=10).ok for url in urls), WITHIN_S, "the proxy answers"
    )
