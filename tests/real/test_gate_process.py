"""The gate's process between two real Prometheus: no sample is lost, and none arrives twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.process.receiving import receiving
from tests.process.running_gate import RunningGate, running_gate
from tests.real.parts import Prometheus, Receiver, started
from tests.support import now, wait_until
from wrapper.model.gate import Endpoint

LIMIT_S = 60.0
CONFIG = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
- {job_name: self, static_configs: [{targets: ['{address}']}]}
remote_write:
- url: GATE
  name: x
  queue_config: {batch_send_deadline: 500ms, max_shards: 2, max_backoff: 500ms}
"""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Run a Prometheus that accepts remote_write, in order only."""
    with started(Receiver(tmp_path / "receiver")) as part:
        yield part


@pytest.fixture
def gate(tmp_path: Path, receiver: Receiver) -> Iterator[RunningGate]:
    """Run a follower's gate before the receiver."""
    with running_gate(tmp_path, memory_bytes=64 << 20) as process:
        process.order(Endpoint("x", receiver.write_url, batch_deadline_s=0.5, max_backoff_s=0.5))
        yield process


@pytest.fixture
def sender(tmp_path: Path, gate: RunningGate) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes itself, and sends to the gate."""
    with started(Prometheus(tmp_path / "sender", CONFIG.replace("GATE", gate.url()))) as part:
        yield part


def times_at(prometheus: Prometheus) -> list[str]:
    """Return the times of all samples of ``up``."""
    url = f"{prometheus.url}/api/v1/query"
    answer = requests.get(url, params={"query": "up[10m]"}, timeout=5).json()
    return [repr(at) for series in answer["data"]["result"] for at, _ in series["values"]]


def await_all(sender: Prometheus, receiver: Receiver) -> None:
    """Wait until the receiver has each sample that the sender has now, each once."""
    expected = wait_until(lambda: times_at(sender), LIMIT_S, "the sender has samples")

    def has_come() -> bool:
        got = times_at(receiver)
        assert len(set(got)) == len(got)
        return got[: len(expected)] == expected

    wait_until(has_come, LIMIT_S, "the receiver has all", poll_s=0.2)


def failed(sender: Prometheus) -> float:
    """Return how many samples the sender counts as failed."""
    query = "prometheus_remote_storage_samples_failed_total"
    return sum(float(each["value"][1]) for each in sender.query(query))


def test_a_successor_sends_what_it_held(
    gate: RunningGate, receiver: Receiver, sender: Prometheus
) -> None:
    """When the gate opens, it sends the held samples first, and then passes requests on."""
    gate.await_endpoint(lambda each: each.held_batches >= 10, "it holds batches")
    assert times_at(receiver) == []
    gate.open()
    await_all(sender, receiver)
    report = gate.await_endpoint(lambda each: not each.held_batches, "nothing is held")
    assert report.counters["batches_sent_on"] >= 10
    assert report.counters["samples_rejected_known"] == report.counters["samples_given_up"] == 0
    assert failed(sender) == 0


def test_held_samples_are_sent_with_a_new_token(tmp_path: Path) -> None:
    """Held samples are sent with Prometheus' newest token, so none is lost."""
    token = tmp_path / "token"
    token.write_text("old")
    config = f"{CONFIG}  authorization: {{credentials_file: {token}}}\n"
    with receiving() as receiver, running_gate(tmp_path, memory_bytes=64 << 20) as gate:
        receiver.play = lambda request: request.answer(
            204 if request.received.field("authorization") == "Bearer new" else 401
        )
        gate.order(Endpoint("x", receiver.url, batch_deadline_s=0.5, max_backoff_s=0.5))
        sender = Prometheus(tmp_path / "sender", config.replace("GATE", gate.url()))
        with started(sender):
            gate.await_endpoint(lambda each: each.held_batches >= 5, "it holds batches")
            token.write_text("new")
            gate.open()
            gate.counted("batches_sent_on", 5)
            gate.counted("requests_passed", 2)
            report = gate.await_endpoint(lambda each: not each.held_batches, "nothing is held")
            assert report.counters["samples_given_up"] == 0
            assert failed(sender) == 0


def test_no_sample_is_lost_by_a_killed_or_closed_gate(
    gate: RunningGate, receiver: Receiver, sender: Prometheus
) -> None:
    """After a kill of the gate and an expired deadline, the receiver has all samples once."""
    gate.open()
    gate.counted("requests_passed", 2)
    gate.stop(signal.SIGKILL)
    gate.start()
    gate.open()
    gate.counted("requests_passed", 2)
    gate.order(open_until=now() + 0.5)
    gate.await_report(lambda report: not report.is_open, "the deadline has passed")
    gate.counted("requests_refused_closing", 2)
    gate.open()
    await_all(sender, receiver)
    assert failed(sender) == 0


def test_after_a_hand_over_the_receiver_has_all_up_to_the_mark(
    gate: RunningGate, receiver: Receiver, sender: Prometheus
) -> None:
    """After a hand-over, the receiver has all samples up to the mark, and none after it."""
    gate.open()
    gate.counted("requests_passed", 5)
    before = time.time()
    gate.order(hands_over=True)
    mark = gate.await_report(lambda report: report.has_handed_over, "handed over").marks["x"]
    gate.close()
    assert before - 1 <= mark / 1000 <= time.time()
    at_sender = [each for each in times_at(sender) if float(each) * 1000 <= mark]
    assert times_at(receiver) == at_sender
    assert len(at_sender) > 5
