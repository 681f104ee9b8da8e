"""Clients that query a follower's proxy get the answers of the leader's Prometheus."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.real.parts import Prometheus, program, query, started
from tests.real.replica import FOLLOWER, QUICK, Replica
from tests.support import wait_until

LEADERS_OWN = """\
leader:
  global:
    external_labels: {{whose: leader}}
  rule_files: ['{rules}']
"""
RULES = """
groups:
- name: beat
  interval: 200ms
  rules:
  - {record: leaders_beat, expr: vector(42), labels: {whose: leader}}
  - {alert: Always, expr: vector(1)}
"""


class Pair(NamedTuple):
    """A leader, whose Prometheus alone has ``leaders_beat``, and a follower with a proxy."""

    leader: Replica
    follower: Replica


@contextmanager
def pair_in(folder: Path, *child_flags: str, prefix: str = "") -> Iterator[Pair]:
    """Run a leader and a follower, with these flags for each Prometheus."""
    rules = folder / "rules.yml"
    rules.write_text(RULES)
    flags = (f"--lease-lock=file:{folder / 'locks/election.lock'}", *QUICK, "--api-proxy-enabled")
    replicas = [Replica(folder, name, *flags, child_flags=child_flags) for name in ("a", "b")]
    for each in replicas:
        text = FOLLOWER.format(address=each.address) + LEADERS_OWN.format(rules=rules)
        each.config.write_text(text)
    with ExitStack() as stack:
        stack.enter_context(started(replicas[0]))
        wait_until(lambda: query(replicas[0].url + prefix, "leaders_beat"), 30, "the leader leads")
        stack.enter_context(started(replicas[1]))
        replicas[1].await_ready(30)
        pair = Pair(*replicas)
        wait_until(lambda: query(pair.follower.api + prefix, "leaders_beat"), 30, "it forwards")
        yield pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run both for all tests of this module."""
    with pair_in(tmp_path_factory.mktemp("pair")) as both:
        scraped = "go_goroutines"  # a metric's metadata changes with its first scrape
        wait_until(lambda: query(both.leader.url, scraped), 30, "it has scraped")
        yield both


# --- promtool --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("query", "instant", "{url}", "leaders_beat"),
        ("query", "range", "--start={start}", "--end={end}", "{url}", "count(leaders_beat)"),
        ("query", "series", "--match=leaders_beat", "{url}"),
        ("query", "labels", "{url}", "whose"),
    ],
    ids=["instant", "range", "series", "labels"],
)
def test_promtool_reads_through_a_follower(pair: Pair, words: tuple[str, ...]) -> None:
    """Promtool prints the same for the follower's proxy as for the leader's Prometheus."""
    promtool = program("promtool")
    end = int(time.time())

    def said(url: str) -> list[str]:
        argv = [word.format(url=url, start=end - 5, end=end) for word in words]
        done = subprocess.run([promtool, *argv], capture_output=True, text=True, check=True)
        return [line.partition(" @[")[0] for line in done.stdout.splitlines()]

    through = said(pair.follower.api)
    assert through == said(pair.leader.url)
    assert through


# --- Grafana ---------------------------------------------------------------------------------

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRAFANA = {
    "User-Agent": "Grafana/11.3.0",
    "Accept-Encoding": "gzip",
    "X-Dashboard-Uid": "abc",
    "X-Panel-Id": "1",
    "X-Grafana-Org-Id": "1",
}


class Call(NamedTuple):
    """A request of Grafana's Prometheus data source."""

    method: str
    path: str
    parameters: dict[str, str]


STEADY = "count by (whose) (last_over_time(leaders_beat[1h]))"  # the same at different times
RANGE = {"start": "THEN", "end": "NOW"}
BEAT = {"match[]": "leaders_beat", **RANGE}
CALLS = [
    Call("POST", "/api/v1/query", {"query": STEADY, "time": "NOW"}),
    Call("GET", "/api/v1/query", {"query": STEADY, "time": "NOW"}),
    Call("POST", "/api/v1/query_range", {"query": STEADY, "step": "1", **RANGE}),
    Call("GET", "/api/v1/query_range", {"query": STEADY, "step": "1", **RANGE}),
    Call("POST", "/api/v1/labels", BEAT),
    Call("GET", "/api/v1/labels", BEAT),
    Call("GET", "/api/v1/label/whose/values", RANGE),
    Call("GET", "/api/v1/label/__name__/values", {"match[]": "leaders_beat"}),
    Call("POST", "/api/v1/series", BEAT),
    Call("GET", "/api/v1/series", BEAT),
    Call("GET", "/api/v1/metadata", {"metric": "go_goroutines"}),
    Call("GET", "/api/v1/status/buildinfo", {}),
    Call("POST", "/api/v1/query_exemplars", {"query": "leaders_beat", **RANGE}),
    Call("GET", "/api/v1/alertmanagers", {}),
    Call("GET", "/api/v1/status/config", {}),
    Call("GET", "/api/v1/query", {"query": "sum("}),
    Call("POST", "/api/v1/query", {"query": "sum("}),
    Call("GET", "/api/v1/nothing", {}),
    Call("OPTIONS", "/api/v1/query", {}),
    Call("HEAD", "/-/healthy", {}),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_grafana_reads_through_a_follower(pair: Pair, call: Call) -> None:
    """Each request of Grafana gets the leader's answer: status, header and body."""
    now = int(time.time())
    times = {"NOW": str(now), "THEN": str(now - 5)}
    parameters = {name: times.get(value, value) for name, value in call.parameters.items()}
    call = call._replace(parameters=parameters)
    through, direct = (answered(url, call) for url in (pair.follower.api, pair.leader.url))
    assert through == direct


def answered(url: str, call: Call) -> tuple[Any, ...]:
    """Return an answer without its time."""
    is_form = call.method == "POST"
    answer = requests.request(
        call.method,
        url + call.path,
        headers={**GRAFANA, **(FORM if is_form else {})},
        data=call.parameters if is_form else None,
        params=None if is_form else call.parameters,
        timeout=20,
    )
    fields = {name: value for name, value in answer.headers.items() if name != "Date"}
    return answer.status_code, answer.reason, fields, answer.content


def test_the_leaders_own_series_are_there(pair: Pair) -> None:
    """The leader's own series are found by queries to the follower, by GET and POST."""
    url = f"{pair.follower.api}/api/v1/query"
    for method in ("GET", "POST"):
        answer = requests.request(method, url, params={"query": "leaders_beat"}, timeout=20)
        assert [each["value"][1] for each in answer.json()["data"]["result"]] == ["42"]


# --- Prometheus ------------------------------------------------------------------------------


FEDERATING = """
global: {{scrape_interval: 500ms}}
scrape_configs:
- job_name: federate
  metrics_path: /federate
  honor_labels: true
  params: {{'match[]': ['leaders_beat']}}
  static_configs: [{{targets: ['{address}']}}]
"""
READING = "remote_read: [{{url: 'http://{address}/api/v1/read', read_recent: true}}]"


@contextmanager
def reading(pair: Pair, folder: Path, config: str) -> Iterator[Prometheus]:
    """Run a Prometheus that reads from the follower's proxy."""
    address = pair.follower.api.removeprefix("http://")
    with started(Prometheus(folder, config.format(address=address))) as part:
        yield part


def test_prometheus_federates_through_a_follower(pair: Pair, tmp_path: Path) -> None:
    """Federation through the follower's proxy returns the leader's series, with its labels."""
    with reading(pair, tmp_path / "reader", FEDERATING) as reader:
        [found] = wait_until(lambda: reader.query("leaders_beat"), 30, "it has the series")
        assert found["metric"]["whose"] == "leader"
        assert reader.query('up{job="federate"} == 1')


def test_prometheus_reads_remotely_through_a_follower(pair: Pair, tmp_path: Path) -> None:
    """Remote read through the follower's proxy returns the leader's series."""
    with reading(pair, tmp_path / "reader", READING) as reader:
        [found] = wait_until(lambda: reader.query("leaders_beat"), 30, "it reads remotely")
        assert found["metric"]["whose"] == "leader"


# --- a prefix --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        ("--web.route-prefix=/prom",),
        ("--web.external-url=http://example.test/prom",),
        ("--web.external-url=http://example.test/outside", "--web.route-prefix=/prom"),
    ],
    ids=["route prefix", "external URL", "both"],
)
def test_a_prefix_stays_in_the_path(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """With a prefix, the follower forwards Prometheus' paths, and its admin paths stay closed."""
    with pair_in(tmp_path, *flags, prefix="/prom") as pair:
        assert requests.get(f"{pair.follower.api}/prom/-/ready", timeout=20).ok
        assert requests.post(f"{pair.follower.api}/prom/-/quit", timeout=20).status_code == 403
        direct, through = (
            requests.get(f"{url}/", timeout=20, allow_redirects=False)
            for url in (pair.leader.url, pair.follower.api)
        )
        assert (through.status_code, through.headers.get("Location"), through.content) == (
            direct.status_code,
            direct.headers.get("Location"),
            direct.content,
        )
