"""The gate's HTTP server: it refuses ambiguous requests, and slow clients do not delay others."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import psutil
import pytest

from tests.log_lines import read_log
from tests.process.receiving import Incoming, StandInReceiver, receiving
from tests.process.running_gate import LIMIT_S, RunningGate, running_gate
from tests.support import let_pass, now, wait_until
from tests.unit.gate.batches import batch
from tests.web.conftest import read_all
from wrapper.base.line_limit import FIRST
from wrapper.model.gate import Endpoint

POST = b"POST /gate/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"POST /gate/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nend"


@pytest.fixture(scope="module")
def receiver() -> Iterator[StandInReceiver]:
    """Run a receiver that answers 204."""
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def shared_gate(
    tmp_path_factory: pytest.TempPathFactory, receiver: StandInReceiver
) -> Iterator[RunningGate]:
    """Run a gate that is open, and check at the end that its log has no traceback."""
    with running_gate(tmp_path_factory.mktemp("gate")) as process:
        process.open(Endpoint("x", receiver.url, timeout_s=5.0), for_s=3600.0)
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.log_text, process.log_text


@pytest.fixture
def gate(shared_gate: RunningGate, receiver: StandInReceiver) -> RunningGate:
    """Return the shared gate, and clear the record of earlier requests."""
    receiver.seen.clear()
    receiver.play = Incoming.answer
    return shared_gate


def sent(gate: RunningGate, data: bytes) -> bytes:
    """Send these bytes, and return everything that is received until the connection ends."""
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as client:
        client.sendall(data)
        return read_all(client)


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: 3_\r\n\r\nabc",
        POST + b"Content-Length: 1_0\r\n\r\n0123456789",
        POST + b"Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3;\nabc\r\n0\r\n\r\n",
        POST + b"No colon\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length : 3\r\n\r\nabc",
        POST + b"X: a\r\n Content-Length: 0\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"X: a\nContent-Length: 3\r\n\r\nabc",
        POST + b"Host: b\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /gate/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"POST  /gate/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /gate/x HTTP/1.9\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /gate/x HTTP/x\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /gate/x\r\nHost: a\r\n\r\n",
        POST + b"X: " + b"a" * 9000 + b"\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"X: a\r\n" * 101 + b"Content-Length: 3\r\n\r\nabc",
        POST + b"X: a\r\n" * 100_000,
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n",
    ],
)
def test_ambiguous_requests_are_refused(
    gate: RunningGate, receiver: StandInReceiver, request_: bytes
) -> None:
    """An ambiguous request is refused, and the bytes after it do not count as a request."""
    answered = sent(gate, request_ + NEXT)
    assert answered.split(b" ", 2)[1] in (b"400", b"431", b"501"), answered
    assert answered.count(b"HTTP/1.1 ") == 1
    assert receiver.bodies == []


@pytest.mark.parametrize(
    ("request_", "bodies"),
    [
        (POST + b"Content-Length: 3\r\n\r\nabc", [b"abc"]),
        (POST + b"Content-Length: 0\r\n\r\n", [b""]),
        (POST + b"\r\n", [b""]),
        (CHUNKED + b"1;a=b\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n", [b"abc"]),
        (POST + b"Content-Length: 1\r\n\r\na" + CHUNKED + b"0\r\n\r\n", [b"a", b""]),
        (b"POST http://there/gate/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", [b"a"]),
        (b"POST /gate/%78 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", [b"a"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_requests_on_one_connection_are_separated(
    gate: RunningGate,
    receiver: StandInReceiver,
    request_: bytes,
    bodies: list[bytes],
    piece_bytes: int,
) -> None:
    """Requests on one connection are separated correctly, however their bytes arrive."""
    data = request_ + NEXT
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), piece_bytes):
            client.sendall(data[at : at + piece_bytes])
        answered = read_all(client)
    assert receiver.bodies == [*bodies, b"end"]
    assert answered.count(b"HTTP/1.1 204 ") == len(bodies) + 1, answered


def test_http_1_0_keeps_a_connection_only_on_request(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """An HTTP/1.0 connection stays open only with keep-alive, and the answer states it."""
    once = b"POST /gate/x HTTP/1.0\r\nContent-Length: 1\r\n\r\na"
    assert b"\r\nConnection: close\r\n" in sent(gate, once)
    kept = once.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
    answered = sent(gate, kept + once)
    assert answered.count(b"\r\nConnection: keep-alive\r\n") == 1
    assert len(receiver.bodies) == 3


def test_expect_100_continue_is_answered(gate: RunningGate, receiver: StandInReceiver) -> None:
    """A client that sends Expect: 100-continue gets a 100 before it sends its body."""
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as client:
        client.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert receiver.bodies == [b"abc"]


def test_interim_answers_are_skipped(gate: RunningGate, receiver: StandInReceiver) -> None:
    """Interim answers of the receiver, such as early hints, are skipped."""

    def play(request: Incoming) -> None:
        request.send_response_only(HTTPStatus.EARLY_HINTS)
        request.send_header("Link", "</style.css>; rel=preload")
        request.end_headers()
        request.answer()

    receiver.play = play
    answer = gate.post(b"a batch")
    assert answer.status_code == 204
    assert "Link" not in answer.headers


@pytest.mark.parametrize(("status", "times"), [(101, 1), (103, 6)])
def test_a_receiver_without_a_final_answer_is_an_error(
    gate: RunningGate, receiver: StandInReceiver, status: int, times: int
) -> None:
    """If the receiver sends no final answer, Prometheus gets a 502 instead of waiting."""

    def play(request: Incoming) -> None:
        for _ in range(times):
            request.send_response_only(status)
            request.end_headers()

    receiver.play = play
    answer = gate.post(b"a batch")
    assert answer.status_code == 502
    assert f"no final answer, only status {status}" in answer.json()["error"]


def test_slow_clients_do_not_delay_others(gate: RunningGate, receiver: StandInReceiver) -> None:
    """1,000 clients that send nothing, or a part, do not delay others; their sockets are freed."""
    process = psutil.Process(gate.process.pid)
    before = process.num_fds()
    begun = [b"", b"POST /gate/x HT", POST + b"Content-Length: 60000000\r\n\r\nabc",
             CHUNKED + b"3\r\nab"]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", gate.port), LIMIT_S)
            )
            client.sendall(begun[number % len(begun)])
        for _ in range(10):
            assert gate.post(b"a batch").status_code == 204
        assert process.memory_info().rss < 120 << 20
    wait_until(lambda: process.num_fds() <= before + 2, LIMIT_S, "their places are given back")
    assert receiver.bodies == [b"a batch"] * 10


def test_refused_requests_are_logged_only_a_few_times(tmp_path: Path) -> None:
    """Every refused request is answered, but only the first few are logged."""
    with running_gate(tmp_path) as gate:
        gate.await_report(lambda _: True, "the gate runs")
        for _ in range(3 * FIRST):
            assert sent(gate, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
        lines = [each for each in read_log(gate.log_text) if each.message == "request refused"]
        assert [each.fields["status"] for each in lines] == ["400"] * FIRST


def test_the_mark_waits_for_an_incomplete_body(tmp_path: Path) -> None:
    """While a body is incomplete, the mark stays before it.

    After the connection has ended, the mark moves again.
    """
    with receiving() as receiver, running_gate(tmp_path) as own:
        endpoint = Endpoint("x", receiver.url, batch_deadline_s=0.1, max_backoff_s=0.1)

        def mark_after_a_batch() -> int:
            body = batch(("m", int(time.time() * 1000)), came=0).body
            answer = own.post(body)
            assert answer.status_code == 204, answer.text
            return own.await_endpoint(lambda _: True, "a report").mark or 0

        own.open(endpoint)
        wait_until(mark_after_a_batch, LIMIT_S, "the mark has begun to move")
        with socket.create_connection(("127.0.0.1", own.port), LIMIT_S) as client:
            client.sendall(POST + b"Content-Length: 10\r\n\r\nhalf")
            let_pass(0.2)  # it is read
            sent_ms = int(time.time() * 1000)
            until = now() + 3.0
            while now() < until:
                assert mark_after_a_batch() < sent_ms
        wait_until(lambda: mark_after_a_batch() > sent_ms, LIMIT_S, "it moves again")
