"""The examples of the page about Promgen, in a real Prometheus and a real promtool."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import promgen
from tests.promgen import RULES, TARGETS, URLS, Promgen
from tests.real.parts import CHECKOUT, started
from tests.real.promtool import promtool
from tests.real.test_plain import Plain
from tests.real.test_targets import LIMIT_S, await_, data, rules
from tests.support import wait_until

PAGE = (CHECKOUT / "wrapper/docs/promgen.md").read_text(encoding="utf-8")
URL = "https://shop.example/health?deep=1"
SHARED = {"project": "checkout", "service": "shop"}


@pytest.fixture
def server() -> Iterator[Promgen]:
    """Run a server that answers like Promgen 0.61.0, with two shards."""
    part = Promgen()
    exporter = {**SHARED, "__farm_source": "promgen", "__scheme__": "http", "farm": "web"}
    ours = [{"labels": {**exporter, "job": "node"}, "targets": ["127.0.0.1:1", "127.0.0.1:2"]}]
    probed = {**SHARED, "__param_module": "http_2xx", "job": "http_2xx"}
    part.bodies = {
        TARGETS: _of_two_shards(ours),
        URLS: _of_two_shards([{"labels": probed, "targets": [URL]}]),
        RULES: promgen.rules(),
    }
    yield part
    part.close()


def _of_two_shards(groups: list[dict[str, Any]]) -> bytes:
    """Return a body with these groups in one shard, and copies of them in another."""
    shards = ("promshard", "other")
    both = [
        {"labels": {**group["labels"], "__shard": shard}, "targets": group["targets"]}
        for shard in shards
        for group in groups
    ]
    return json.dumps(both, indent=2, sort_keys=True).encode()


def example(kind: str, start: str) -> str:
    """Return the only example of this kind with this beginning."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    [text] = [each for each in found if each.startswith(start)]
    return str(text)


def test_the_quick_start(server: Promgen, tmp_path: Path) -> None:
    """By the quick start, exporters and URLs of one shard are scraped, the others dropped."""
    files = tmp_path / "files"
    files.mkdir()
    command = example("sh", "prometheus-elector \\\n").replace("\\\n", " ")
    flags = [word for word in shlex.split(command) if word.startswith("--targets-url=")]
    assert len(flags) == 3
    part = Plain(tmp_path / "plain")
    places = {
        "http://promgen/": f"{server.url}/",
        "/etc/prometheus/": f"{files}/",
        "blackbox:9115": "127.0.0.1:3",
        "localhost:9095": part.api,
    }
    at = part.argv.index("--")
    part.argv[at:at] = [_with_places(flag, places) for flag in flags]
    part.config.write_text(_with_places(example("yaml", "scrape_configs:"), places))
    exporter = {**SHARED, "farm": "web", "job": "node"}
    expected = {
        "http://127.0.0.1:1/metrics": {**exporter, "instance": "127.0.0.1:1"},
        "http://127.0.0.1:2/metrics": {**exporter, "instance": "127.0.0.1:2"},
        "http://127.0.0.1:3/probe?module=http_2xx"
        "&target=https%3A%2F%2Fshop.example%2Fhealth%3Fdeep%3D1": {
            **SHARED,
            "job": "http_2xx",
            "instance": URL,
        },
        f"http://{part.api}/_elector/metrics": {"job": "prometheus-elector", "instance": part.api},
    }
    with started(part):
        await_(lambda: _scraped(part.url), expected)
        await_(lambda: rules(part.url), ["up == 0"])
        wait_until(lambda: len(data(part.url, "targets")["droppedTargets"]) == 3, LIMIT_S, "shards")
        assert part.stop() == 0


def _with_places(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    return text


def _scraped(url: str) -> dict[str, dict[str, str]]:
    """Return the labels of a Prometheus' targets, by their scrape URL."""
    return {each["scrapeUrl"]: each["labels"] for each in data(url, "targets")["activeTargets"]}


@pytest.mark.parametrize(
    ("connected", "messages", "is_silent"),
    [
        ("1x10", {}, True),
        ("1x10", {"left_alone": "0x10"}, True),
        ("1x10", {"acknowledged": "1x10"}, False),
        ("1x10", {"acknowledged": "0x10", "given_back": "2x10"}, False),
        ("0x10", {}, False),
    ],
)
def test_a_silent_queue(
    tmp_path: Path, connected: str, messages: dict[str, str], is_silent: bool
) -> None:
    """The page's expression finds a connected queue without messages, despite others' messages."""
    name, one = "prometheus_elector_targets_queue", 'job="e",instance="a"'
    given = [
        (f"{name}_connected{{{one}}}", connected),
        (f'{name}_connected{{job="e",instance="b"}}', "1x10"),
        (f'{name}_messages_total{{job="e",instance="b",result="acknowledged"}}', "3x10"),
    ]
    given += [
        (f'{name}_messages_total{{{one},result="{result}"}}', values)
        for result, values in messages.items()
    ]
    found = [{"labels": f"{name}_connected{{{one}}}", "value": 1}] if is_silent else []
    expression = {"expr": example("promql", ""), "eval_time": "10m", "exp_samples": found}
    tests = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in given],
        "promql_expr_test": [expression],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [tests]}))
    _promtool("test", "rules", file)


def test_promtool_accepts_the_configuration_before_a_fetch(tmp_path: Path) -> None:
    """Promtool accepts the page's configuration before any of its files has been fetched."""
    file = tmp_path / "prometheus.yml"
    file.write_text(
        _with_places(example("yaml", "scrape_configs:"), {"/etc/prometheus/": "not-yet/"})
    )
    _promtool("check", "config", file)


def _promtool(*words: str | Path) -> None:
    """Run promtool; if it fails, show its output."""
    done = promtool(*words)
    assert done.returncode == 0, done.stdout + done.stderr
