"""The alert LeaderCannotWrite in a real Prometheus that scrapes a leader of a failing receiver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.asked import needs_protocol_2
from tests.real.conftest import Start
from tests.real.fleet import lines_of
from tests.real.gap import NEW_PROTOCOL
from tests.real.parts import Receiver, WriteLog, started
from tests.real.receivers import VictoriaStore
from tests.real.replica import Replica
from tests.real.watcher import WITHIN_S, watching
from tests.support import free_port, wait_until

ALERT = 'ALERTS{alertname="PrometheusElectorLeaderCannotWrite"}'
FAILED = "sum(prometheus_remote_storage_samples_failed_total)"
SENT = "sum(rate(prometheus_remote_storage_samples_total[5s])) > 0"
Lead = Callable[..., Replica]


@pytest.fixture(params=[False, True], ids=["without the gate", "with the gate"])
def lead(request: pytest.FixtureRequest, start: Start) -> Lead:
    """Give a function that starts a leader which writes to a URL, in a protocol."""

    def one_leads(write_url: str, protocol: int = 1) -> Replica:
        address = f"127.0.0.1:{free_port()}"
        gate = ("--remote-write-gate", f"--remote-write-gate-listen-address={address}")
        more = f"\n    protobuf_message: {NEW_PROTOCOL}" if protocol == 2 else ""
        replica = start("a", *(gate if request.param else ()), write_url=f"{write_url}{more}")
        wait_until(lambda: replica.says_it_leads, WITHIN_S, "it leads")
        return replica

    return one_leads


def await_alert(folder: Path, leader: Replica) -> None:
    """Wait until the alert is pending for the leader's pod, with the labels that its text uses."""
    with watching(folder, leader) as watcher:
        [found] = wait_until(lambda: watcher.query(ALERT), WITHIN_S, "the alert is pending")
    assert found["metric"]["alertstate"] == "pending"
    assert found["metric"]["pod"] == leader.name
    assert {"url", "remote_name", "instance"} <= set(found["metric"])


def test_a_storage_that_refuses(lead: Lead, write_log: WriteLog, tmp_path: Path) -> None:
    """When the receiver answers 400, so that samples are lost, the alert is pending."""
    write_log.status = 400
    await_alert(tmp_path, lead(write_log.url("a")))


def test_a_storage_that_does_not_answer(lead: Lead, write_log: WriteLog, tmp_path: Path) -> None:
    """When the receiver answers 503, so that samples are sent again, the alert is pending."""
    write_log.status = 503
    await_alert(tmp_path, lead(write_log.url("a")))


def test_victoriametrics_and_protocol_2(lead: Lead, tmp_path: Path) -> None:
    """When VictoriaMetrics gets protocol 2, the alert is pending.

    It answers 204 but stores nothing; Prometheus counts the samples as failed.
    """
    needs_protocol_2()
    with started(VictoriaStore(tmp_path / "store")) as store:
        leader = lead(store.write_url, protocol=2)
        await_alert(tmp_path, leader)
        assert store.samples("self") == {}
        assert lines_of(leader, "non-recoverable error")


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_storage_that_takes_all(
    lead: Lead, receiver: Receiver, tmp_path: Path, protocol: int
) -> None:
    """When the receiver accepts all samples, in either protocol, the alert is not pending."""
    if protocol == 2:
        needs_protocol_2()
    with watching(tmp_path, lead(receiver.write_url, protocol)) as watcher:
        wait_until(lambda: watcher.query(SENT), WITHIN_S, "samples are sent")
        [failed] = watcher.query(FAILED)
        assert float(failed["value"][1]) == 0
        assert watcher.query(f"max_over_time({ALERT}[5m])") == []
