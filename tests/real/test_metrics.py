"""The metrics and histories of real replicas, checked by promtool and by a real hand-over."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.real.conftest import Start
from tests.real.fleet import own_lines
from tests.real.parts import WriteLog
from tests.real.promtool import promtool
from tests.real.replica import Replica
from tests.support import wait_until

# The name of a counter of the Go program is kept, although promtool warns about it.
GO_NAME = 'prometheus_elector_notifier_calls_errors counter metrics should have "_total" suffix'
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def pair(start: Start, write_log: WriteLog) -> tuple[Replica, Replica]:
    """Start a leader, then a follower."""
    leader = start("a", write_url=write_log.url("a"))
    leader.await_leader()
    follower = start("b", write_url=write_log.url("b"))
    follower.await_follower()
    for replica in (leader, follower):
        replica.await_ready()
    return leader, follower


def exposed(replica: Replica, **headers: str) -> str:
    """Return a replica's metrics."""
    url = f"{replica.api}/_elector/metrics"
    return requests.get(url, headers=headers, timeout=5).text


def value(replica: Replica, series: str) -> float | None:
    """Return the value of one series, None if it is not exposed."""
    for line in exposed(replica).splitlines():
        name, _, number = line.rpartition(" ")
        if name == f"prometheus_elector_{series}":
            return float(number)
    return None


def complaints(text: str) -> list[str]:
    """Return promtool's warnings about these metrics."""
    done = promtool("check", "metrics", given=text)
    return (done.stdout + done.stderr).splitlines()


def test_promtool_accepts_the_metrics(pair: tuple[Replica, Replica]) -> None:
    """Promtool's only warning about the metrics is about the name of one counter."""
    for replica in pair:
        wait_until(lambda r=replica: value(r, "child_threads"), 10, "the child is measured")  # type: ignore[misc]
        assert complaints(exposed(replica)) == [GO_NAME]
    assert len(complaints(exposed(pair[0]).replace("_seconds", "_milliseconds"))) > 1


def test_openmetrics_is_served_on_request(pair: tuple[Replica, Replica]) -> None:
    """On request, the metrics are served as OpenMetrics, and a strict parser accepts them."""
    text = exposed(pair[0], **OPENMETRICS)
    names = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert {"prometheus_elector_role", "prometheus_elector_lease_renew_duration_seconds"} < names


def test_a_hand_over_is_counted_by_both_replicas(pair: tuple[Replica, Replica]) -> None:
    """A hand-over is counted by its reason in both replicas, and both agree on the lease."""
    leader, follower = pair
    assert value(leader, 'role_transitions_total{reason="acquired"}')
    assert value(leader, "lease_renew_duration_seconds_count")
    os.kill(leader.pid, signal.SIGUSR1)
    follower.await_leader(5)
    wait_until(lambda: value(follower, "reloads_confirmed_total"), 15, "its reload is confirmed")
    assert value(leader, 'role_transitions_total{reason="stepping_down"}')
    assert value(follower, 'role{role="leader"}') == 1
    assert value(follower, "remote_write_loaded") == value(follower, "may_write") == 1
    assert value(leader, "may_write") == 0
    wait_until(
        lambda: (
            value(leader, "lease_transitions_total") == value(follower, "lease_transitions_total")
        ),
        5,
        "both have seen the lease",
    )


def status(replica: Replica) -> dict[str, Any]:
    """Return a replica's status."""
    told: dict[str, Any] = requests.get(f"{replica.api}/_elector/status", timeout=5).json()
    return told


def test_a_hand_over_is_reported_with_its_reason(pair: tuple[Replica, Replica]) -> None:
    """Both histories contain a hand-over with its reason; the log has the lease record too."""
    leader, follower = pair
    wait_until(lambda: status(follower)["leader"] == "a", 15, "the second knows the first")
    os.kill(leader.pid, signal.SIGUSR1)
    follower.await_leader(15)
    for replica in pair:
        wait_until(lambda r=replica: status(r)["leader"] == "b", 15, "both know the new leader")  # type: ignore[misc]
        reasons = [each["reason"] for each in status(replica)["hand_overs"]]
        expected = ["a stopped leading: asked to step down"]
        if replica is follower:  # it may not read the lease between the two
            expected = ["a released the lease", "b took the lease over from a"]
        assert reasons[0].startswith("b "), reasons
        assert any(each.startswith(tuple(expected)) for each in reasons), reasons
    line = next(x for x in follower.tail(100_000).splitlines() if "cause=acquired" in x)
    for words in ("identity=b", "role=leader", "lease_holder=b", "lease_renew_"):
        assert words in line


def test_a_follower_with_its_own_remote_write_reports_it(
    pair: tuple[Replica, Replica], write_log: WriteLog
) -> None:
    """A follower with a remote_write of its own counts as a possible writer.

    At a start a warning is logged, because nothing fences it.
    """
    _, follower = pair
    assert value(follower, "may_write") == 0
    text = follower.config.read_text()
    own = f"follower:\n  remote_write: [{{url: '{write_log.url('b')}', name: own}}]\n"
    follower.config.write_text(text.replace("follower:\n", own))
    wait_until(lambda: value(follower, "may_write") == 1, 10, "it is loaded")
    assert value(follower, 'role{role="follower"}') == 1
    follower.stop()
    follower.start()
    follower.await_ready()
    [line] = own_lines(follower, "warn", " config=")
    assert line.has(str(follower.config))
