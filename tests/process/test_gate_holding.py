"""The gate's process on a standby, on a new leader, and on a leader that hands over."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cramjam
import pytest

from tests import remote_write
from tests.process.receiving import Incoming, Play, StandInReceiver, receiving
from tests.process.running_gate import LIMIT_S, V1, V2, RunningGate, running_gate
from tests.support import let_pass, now, wait_until
from wrapper.gate.samples import REQUESTS, Protocol
from wrapper.model.gate import Endpoint

# What has not been answered after this time is still in progress.
OTHER_S = 0.3


@pytest.fixture
def receiver() -> Iterator[StandInReceiver]:
    """Run a receiver that answers 204, unless the test changes that."""
    with receiving() as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path, receiver: StandInReceiver) -> Iterator[RunningGate]:
    """Run a standby's gate with the endpoint x."""
    with running_gate(tmp_path, memory_bytes=100_000) as process:
        process.order(Endpoint("x", receiver.url, batch_deadline_s=0.1, max_backoff_s=0.1))
        yield process


def wall_ms() -> int:
    """Return the wall time in milliseconds."""
    return int(time.time() * 1000)


def batch(*times: int, series: int = 1, protocol: int = 1) -> bytes:
    """Return a batch of some series with a sample at each of these times."""
    samples = [(at, 1.0) for at in times]
    labels = [{"__name__": "up", "instance": f"{number:04}"} for number in range(series)]
    return remote_write.body([(each, samples) for each in labels], protocol)


def times_in(body: bytes) -> list[int]:
    """Return the times of the samples in a batch of protocol 1."""
    request = REQUESTS[Protocol.V1].FromString(bytes(cramjam.snappy.decompress_raw(body)))
    return [sample.timestamp for series in request.timeseries for sample in series.samples]


# --- a standby ---


def test_a_standby_holds_batches_and_answers_204(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """A standby's gate holds a batch and answers 204; the receiver gets nothing."""
    body = batch(wall_ms())
    answer = gate.post(body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "X-Prometheus-Remote-Write-Samples-Written" not in answer.headers
    held = gate.await_endpoint(lambda each: each.held_batches == 1, "the batch is held")
    assert held.held_bytes >= len(body)
    assert held.held_since == pytest.approx(time.time(), abs=LIMIT_S)
    assert held.counters["requests_held"] == 1
    assert receiver.seen == []


def test_held_batches_of_protocol_2_are_counted_in_the_answer(gate: RunningGate) -> None:
    """The answer to a held batch of protocol 2 has the counts.

    Without them, Prometheus would count the samples as lost.
    """
    answer = gate.post(batch(wall_ms(), wall_ms() + 1, series=3, protocol=2), V2)
    written = {
        name: answer.headers[f"X-Prometheus-Remote-Write-{name}-Written"]
        for name in ("Samples", "Histograms", "Exemplars")
    }
    assert (answer.status_code, written) == (
        204,
        {"Samples": "6", "Histograms": "0", "Exemplars": "0"},
    )


def test_batches_are_refused_while_memory_is_full(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """While the memory is full, batches are refused and Prometheus keeps them.

    A mark that releases held batches makes room.
    """
    large = b"\xff" * 60_000
    assert gate.post(large).status_code == 204
    answer = gate.post(large)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "memory" in answer.json()["error"]
    assert gate.counted("requests_refused_full") == 1
    gate.order(marks={"x": wall_ms()})
    assert gate.counted("batches_released") == 1
    assert gate.post(large).status_code == 204
    assert receiver.seen == []


def test_batches_received_after_the_mark_are_kept(gate: RunningGate) -> None:
    """A batch that was received after the mark is kept, even if its samples are older."""
    mark = wall_ms() - 1
    gate.post(batch(mark - 5000))
    gate.order(marks={"x": mark})
    report = gate.await_endpoint(lambda each: each.mark == mark, "the mark is known")
    assert report.held_batches == 1


# --- a successor ---


def test_a_new_leader_sends_held_batches_in_order(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """A new leader sends samples after the mark in order, and only then new batches.

    The first batch is cut at the mark; the others are sent unchanged.
    """
    gate.order(
        Endpoint("x", receiver.url, batch_deadline_s=30.0)
    )  # so that all are held at the mark
    start = wall_ms() - 10_000
    bodies = [batch(start + 1000 * number, start + 1000 * number + 500) for number in range(5)]
    of_tenant = {**V1, "X-Scope-OrgID": "a"}
    for body in bodies:
        assert gate.post(body, of_tenant).status_code == 204
    goes_on = threading.Event()

    def wait(request: Incoming) -> None:
        goes_on.wait(LIMIT_S)
        request.answer()

    receiver.play = wait
    gate.open(marks={"x": start + 2000})
    wait_until(lambda: receiver.seen, LIMIT_S, "it sends on")
    at = wall_ms()
    new = batch(at)
    answer = gate.post(new, of_tenant)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "held samples first" in answer.json()["error"]
    let_pass(OTHER_S)
    assert len(receiver.seen) == 1, "one at a time"
    goes_on.set()
    wait_until(lambda: gate.post(new, of_tenant).status_code == 204, LIMIT_S, "it is live")
    assert [times_in(each) for each in receiver.bodies] == [
        [start + 2500],
        [start + 3000, start + 3500],
        [start + 4000, start + 4500],
        [at],
    ]
    assert receiver.bodies[1:3] == bodies[3:], "as they came"
    assert {each.field("x-scope-orgid") for each in receiver.seen} == {"a"}
    gate.counted("requests_passed")
    report = gate.await_endpoint(lambda each: each.held_batches == 0, "nothing is held")
    assert (report.counters["batches_sent_on"], report.counters["samples_left_out"]) == (5, 5)


def test_held_batches_are_retried(gate: RunningGate, receiver: StandInReceiver) -> None:
    """After a 5xx, a 429 or no answer, held batches are sent again in the same order."""
    first, second = batch(wall_ms()), batch(wall_ms() + 1)
    gate.post(first)
    gate.post(second)
    plays: list[Play] = [
        lambda request: request.answer(500, b"no"),
        lambda request: request.answer(429, b"slower", Retry_After="1"),
        Incoming.hang_up,
    ]

    def play(request: Incoming) -> None:
        (plays.pop(0) if plays else Incoming.answer)(request)

    receiver.play = play
    gate.open()
    assert gate.counted("batches_sent_on", 2) == 2
    assert receiver.bodies == [first] * 4 + [second]
    assert receiver.seen[2].at - receiver.seen[1].at >= 1, "Retry-After"


def test_held_batches_are_sent_with_new_credentials(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """If a held batch gets a 401, the gate waits for a request of Prometheus with a new token."""
    old, new = ({**V1, "Authorization": f"Bearer {token}"} for token in ("old", "new"))
    first, second = batch(wall_ms()), batch(wall_ms() + 1)
    gate.post(first, old)
    gate.post(second, old)

    def play(request: Incoming) -> None:
        has_expired = request.received.field("authorization") != "Bearer new"
        request.answer(401 if has_expired else 204)

    receiver.play = play
    gate.open()
    gate.await_endpoint(lambda each: each.problem == "HTTP 401", "the token has expired")
    let_pass(OTHER_S)
    assert receiver.bodies == [first], "nothing is sent until Prometheus sends"
    live = batch(wall_ms() + 10_000)
    assert gate.post(live, new).status_code == 503
    wait_until(lambda: gate.post(live, new).status_code == 204, LIMIT_S, "it is live")
    assert receiver.bodies == [first, first, second, live]
    assert gate.counted("batches_sent_on", 2) == 2
    assert gate.reports[-1].endpoints[0].counters["samples_given_up"] == 0


def test_held_samples_that_the_receiver_has_are_skipped(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """Held samples that the receiver refuses because it has them are counted and skipped."""
    known, new = batch(wall_ms(), series=20), batch(wall_ms() + 1)
    gate.post(known)
    gate.post(new)

    def play(request: Incoming) -> None:
        is_new = request.received.body == new
        request.answer(204 if is_new else 400, b"" if is_new else b"out of order sample")

    receiver.play = play
    gate.open()
    assert gate.counted("batches_sent_on", 2) == 2
    assert gate.counted("samples_rejected_known") == 20
    assert receiver.bodies[-1] == new


def test_an_unacknowledged_batch_stays_held_after_close(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """If the gate closes while it sends a held batch, the batch stays held."""
    body = batch(wall_ms())
    gate.post(body)
    receiver.play = Incoming.hang
    gate.open()
    wait_until(lambda: receiver.seen, LIMIT_S, "it sends on")
    gate.close()
    report = gate.await_endpoint(lambda each: each.held_batches == 1, "it is held")
    assert report.counters["batches_sent_on"] == 0
    receiver.play = Incoming.answer
    gate.open()
    assert gate.counted("batches_sent_on") == 1
    assert receiver.bodies == [body, body]


def test_unreadable_batches_are_held_and_sent(gate: RunningGate, receiver: StandInReceiver) -> None:
    """A batch that the gate cannot read is held and sent; the receiver decides."""
    receiver.play = lambda request: request.answer(400, b"snappy: corrupt input")
    assert gate.post(b"no snappy").status_code == 204
    gate.open()
    assert gate.counted("samples_given_up") == 1
    assert set(receiver.bodies) == {b"no snappy"}
    assert gate.process.poll() is None


# --- the mark ---


def lead(gate: RunningGate) -> None:
    """Open the gate, and send batches until the mark is later than the opening."""
    gate.open()
    opened = wall_ms()

    def send() -> bool:
        assert gate.post(batch(wall_ms())).status_code == 204
        return gate.reports[-1].marks.get("x", 0) > opened

    wait_until(send, LIMIT_S, "the mark moves", poll_s=0.1)


def test_the_mark_stays_behind_unacknowledged_samples(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """The mark follows acknowledged samples, and stays behind samples in flight."""
    lead(gate)
    assert gate.reports[-1].marks["x"] < wall_ms()
    receiver.play = Incoming.hang
    oldest = wall_ms()
    sender = threading.Thread(target=gate.post, args=(batch(oldest),))
    sender.start()
    wait_until(lambda: times_in(receiver.bodies[-1]) == [oldest], LIMIT_S, "it is under way")
    receiver.play = Incoming.answer
    until = now() + 2.0  # longer than its window
    while now() < until:
        assert gate.post(batch(wall_ms())).status_code == 204
        let_pass(0.1)
    assert gate.reports[-1].marks["x"] < oldest
    gate.close()
    sender.join(LIMIT_S)


def test_a_hand_over_has_an_exact_mark(gate: RunningGate, receiver: StandInReceiver) -> None:
    """At a hand-over, samples up to the order are sent, later ones are held.

    The mark lies at the time of the order.
    """
    lead(gate)
    passed = len(receiver.seen)
    before = wall_ms()
    gate.order(hands_over=True)
    gate.await_report(lambda report: report.is_open, "the order has come")
    after = wall_ms()
    assert gate.post(batch(before - 1, after + 60_000)).status_code == 204
    late = batch(after + 61_000)
    assert gate.post(late).status_code == 204
    report = gate.await_report(lambda report: report.has_handed_over, "it has handed over")
    assert before <= report.marks["x"] <= after
    assert [times_in(each) for each in receiver.bodies[passed:]] == [[before - 1]]
    assert report.endpoints[0].held_batches == 2
    gate.order(open_until=None, hands_over=False)
    gate.await_report(lambda report: not report.is_open, "it is closed")
    assert len(receiver.seen) == passed + 1


def test_a_hand_over_waits_for_a_retried_request(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """A hand-over waits until the receiver has acknowledged a batch that failed before."""
    lead(gate)
    receiver.play = lambda request: request.answer(500, b"no")
    body = batch(wall_ms())
    assert gate.post(body).status_code == 500
    gate.order(hands_over=True)
    let_pass(2.0)  # longer than its window
    assert not gate.reports[-1].has_handed_over
    receiver.play = Incoming.answer
    assert gate.post(body).status_code == 204
    gate.await_report(lambda report: report.has_handed_over, "it has handed over")


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_hand_over_waits_for_requests_in_the_socket(
    gate: RunningGate, receiver: StandInReceiver, *, is_renewed: bool
) -> None:
    """A gate that was stopped by SIGSTOP does not hand over before it has read its socket."""
    lead(gate)
    receiver.play = Incoming.hang
    gate.order(hands_over=True)
    gate.await_report(lambda _: True, "the order has come")
    gate.process.send_signal(signal.SIGSTOP)
    oldest = wall_ms() - 2000
    sender = threading.Thread(target=gate.post, args=(batch(oldest),))
    sender.start()
    let_pass(2.0)  # longer than its window
    if is_renewed:
        gate.order(open_until=now() + 60)
    gate.process.send_signal(signal.SIGCONT)
    wait_until(lambda: times_in(receiver.bodies[-1]) == [oldest], LIMIT_S, "it is in flight")
    let_pass(OTHER_S)
    assert not any(report.has_handed_over for report in gate.reports)
    gate.close()
    sender.join(LIMIT_S)


def test_a_held_batch_is_reported_before_it_is_answered(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """An open gate reports a held batch before it answers Prometheus.

    If it is then killed, the supervisor knows that samples are lost.
    """
    receiver.play = Incoming.hang
    gate.open()
    assert gate.post(batch(wall_ms() - 10_000)).status_code == 204
    gate.stop(signal.SIGKILL)
    assert gate.reports[-1].endpoints[0].held_batches == 1
