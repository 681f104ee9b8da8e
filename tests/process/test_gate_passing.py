"""The gate's process on the leader: passing requests on, answers, deadline, and its end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.process.receiving import Incoming, Play, StandInReceiver, receiving
from tests.process.running_gate import LIMIT_S, V1, V2, RunningGate, running_gate
from tests.support import let_pass, now, wait_until
from wrapper.gate.decisions import ABORT_MARGIN_S
from wrapper.model.gate import Endpoint

BATCH = bytes(range(256)) * 40  # no snappy: the gate passes on bodies that it cannot read


@pytest.fixture
def receiver() -> Iterator[StandInReceiver]:
    """Run a receiver that answers 204, unless the test changes that."""
    with receiving() as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RunningGate]:
    """Run a gate that has no order yet."""
    with running_gate(tmp_path) as process:
        yield process


def to(receiver: StandInReceiver, **fields: object) -> Endpoint:
    """Return the endpoint x with this receiver."""
    return Endpoint("x", receiver.url, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [V1, V2], ids=["protocol 1", "protocol 2"])
def test_a_request_is_passed_on_unchanged(
    gate: RunningGate, receiver: StandInReceiver, header: dict[str, str]
) -> None:
    """Body and header fields are passed on unchanged, also unknown fields."""
    gate.open(to(receiver))
    more = {"x-Scope-OrgID": "team a", "Authorization": "Bearer t", "X_Under_Score": "1"}
    answer = gate.post(BATCH, header | more | {"Connection": "x-hop", "X-Hop": "1"})
    assert (answer.status_code, answer.content) == (204, b"")
    (seen,) = receiver.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/write", BATCH)
    fields = dict(seen.fields)
    assert {name: fields[name] for name in (*header, *more)} == header | more
    assert fields["User-Agent"] == "Prometheus/2.42.0"
    assert fields["Host"] == f"127.0.0.1:{receiver.server_port}"
    assert "X-Hop" not in fields
    assert gate.counted("requests_passed") == 1


@pytest.mark.parametrize("status", [200, 400, 409, 429, 500, 503])
def test_passes_the_answer_back(gate: RunningGate, receiver: StandInReceiver, status: int) -> None:
    """The receiver's status, body and Retry-After are passed back to Prometheus."""
    receiver.play = lambda request: request.answer(
        status,
        b"why\nso",
        Content_Type="text/plain; charset=utf-8",
        Retry_After="17",
        X_Prometheus_Remote_Write_Samples_Written="3",
        X_Other="1",
    )
    gate.open(to(receiver))
    answer = gate.post(BATCH, V2)
    assert (answer.status_code, answer.content) == (status, b"why\nso")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Retry-After"] == "17"
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "3"
    assert "X-Other" not in answer.headers


def test_a_long_answer_is_cut(gate: RunningGate, receiver: StandInReceiver) -> None:
    """Only the first 64 KiB of an answer are passed back, and its connection is closed."""
    receiver.play = lambda request: request.answer(500, b"a" * (1 << 20))
    gate.open(to(receiver))
    assert gate.post(BATCH).content == b"a" * (64 << 10)
    receiver.play = Incoming.answer
    assert gate.post(BATCH).status_code == 204
    assert receiver.connections == 2


def drip(request: Incoming) -> None:
    """Send a body byte by byte, without an end."""
    while not request.server.is_over.wait(0.05):
        request.wfile.write(b".")


@pytest.mark.parametrize("end", [Incoming.hang_up, Incoming.hang, drip])
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_with_an_incomplete_body_counts(
    gate: RunningGate, receiver: StandInReceiver, status: int, end: Play
) -> None:
    """If an answer's body is incomplete, its status counts.

    Prometheus reads the body only for its log.
    """

    def part(request: Incoming) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        end(request)

    receiver.play = part
    gate.open(to(receiver, timeout_s=1.0))
    assert gate.post(BATCH).status_code == status
    receiver.play = Incoming.answer
    assert gate.post(BATCH).status_code == 204
    assert receiver.connections == 2


def test_connections_are_reused_and_replaced(gate: RunningGate, receiver: StandInReceiver) -> None:
    """A connection is used for many requests; if the receiver closes it, no request fails."""
    gate.open(to(receiver))
    for _ in range(3):
        assert gate.post(BATCH).status_code == 204
    assert receiver.connections == 1

    def close(request: Incoming) -> None:
        request.answer()
        request.close_connection = True  # without saying so

    receiver.play = close
    for _ in range(3):
        assert gate.post(BATCH).status_code == 204
        let_pass(0.05)
    assert len(receiver.seen) == 6


def test_requests_are_passed_on_concurrently(gate: RunningGate, receiver: StandInReceiver) -> None:
    """100 requests are passed on at the same time."""
    together = threading.Barrier(100)

    def wait(request: Incoming) -> None:
        together.wait(LIMIT_S)
        request.answer()

    receiver.play = wait
    gate.open(to(receiver))
    with ThreadPoolExecutor(together.parties) as shards:
        answers = shards.map(lambda _: gate.post(BATCH).status_code, range(together.parties))
        assert set(answers) == {204}


def test_other_paths_and_methods_are_refused(gate: RunningGate, receiver: StandInReceiver) -> None:
    """Other paths get 404 and other methods 405; the receiver gets nothing."""
    gate.open(to(receiver))
    base = f"http://127.0.0.1:{gate.port}"
    for path in ("/", "/gate", "/gate/", "/api/v1/write"):
        answer = requests.post(base + path, b"", timeout=LIMIT_S)
        assert answer.status_code == 404
        assert "no such path" in answer.json()["error"]
    answer = requests.get(base + "/gate/x", timeout=LIMIT_S)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert receiver.seen == []


def test_endpoint_names_may_be_percent_encoded(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """The name of an endpoint may be any text; it is percent-encoded in the path."""
    gate.open(Endpoint("a/b ü", receiver.url))
    assert gate.post(BATCH, name="a%2Fb%20%C3%BC").status_code == 204
    assert receiver.bodies == [BATCH]


def test_an_unknown_endpoint_gets_503(gate: RunningGate, receiver: StandInReceiver) -> None:
    """An unknown endpoint gets 503, so that Prometheus retries.

    Prometheus may know a new endpoint before the gate gets the order.
    """
    assert gate.post(BATCH).status_code == 503
    gate.open(to(receiver))
    answer = gate.post(BATCH, name="y")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "'y'" in answer.json()["error"]


def test_a_body_over_64_mib_is_refused(gate: RunningGate, receiver: StandInReceiver) -> None:
    """A body of more than 64 MiB gets 413 before it is read, so Prometheus does not retry."""
    gate.open(to(receiver))
    with socket.create_connection(("127.0.0.1", gate.port), LIMIT_S) as client:
        head = "POST /gate/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 67108865"
        client.sendall(f"{head}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert receiver.seen == []


def test_an_unreachable_receiver_gives_502(gate: RunningGate) -> None:
    """If the receiver refuses connections, Prometheus gets 502, and an error without secrets."""
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    gate.open(Endpoint("x", f"http://me:secret@127.0.0.1:{port}/write?token=t"))
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert f"http://127.0.0.1:{port}/write refuses connections" in answer.json()["error"]
    assert "secret" not in answer.text
    assert "token" not in answer.text
    assert gate.counted("requests_failed") == 1


def test_a_slow_receiver_gives_504(gate: RunningGate, receiver: StandInReceiver) -> None:
    """After the endpoint's remote_timeout Prometheus gets 504, also if the header is slow."""

    def drip(request: Incoming) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not request.server.is_over.wait(0.05):
            request.wfile.write(b".")

    receiver.play = drip
    gate.open(to(receiver, timeout_s=0.5))
    began = now()
    answer = gate.post(BATCH)
    assert answer.status_code == 504
    assert "within 0.5 s" in answer.json()["error"]
    assert now() - began >= 0.5


# --- the deadline ---


def test_no_request_is_passed_on_after_the_deadline(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """After the deadline, requests get 503, the receiver gets nothing, and the gate closes."""
    gate.open(to(receiver), for_s=2.0)
    assert gate.post(BATCH).status_code == 204
    until = gate.newest.open_until
    assert until is not None
    let_pass(until - ABORT_MARGIN_S - now())
    answer = gate.post(BATCH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert len(receiver.seen) == 1
    gate.await_report(lambda report: not report.is_open, "the gate closes by itself")
    let_pass(until + 0.2 - now())
    assert gate.process.poll() is None, "the kernel timer is off while it is closed"


def test_requests_in_flight_are_aborted_at_the_deadline(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """If the receiver hangs, its request is aborted, and the gate closes in time."""
    receiver.play = Incoming.hang
    gate.open(to(receiver), for_s=2.0)
    until = gate.newest.open_until
    assert until is not None
    answer = gate.post(BATCH)
    assert answer.status_code == 502
    assert "may no longer write" in answer.json()["error"]
    assert until - ABORT_MARGIN_S <= now()
    gate.await_report(lambda report: not report.is_open, "the gate is closed")
    let_pass(until + 0.2 - now())
    assert gate.process.poll() is None


def test_a_renewed_lease_extends_requests_in_flight(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """A request in flight has the newest deadline, not that of its beginning."""
    goes_on = threading.Event()

    def wait(request: Incoming) -> None:
        goes_on.wait(LIMIT_S)
        request.answer()

    receiver.play = wait
    gate.open(to(receiver), for_s=2.0)
    first = gate.newest.open_until
    assert first is not None
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(gate.post(BATCH).status_code))
    sender.start()
    wait_until(lambda: receiver.seen, LIMIT_S, "the request is under way")
    gate.open(for_s=60)
    let_pass(first + 0.3 - now())
    goes_on.set()
    sender.join(LIMIT_S)
    assert statuses == [204]


def test_an_order_to_close_aborts_requests_in_flight(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """An order to close aborts requests in flight; Prometheus gets 502."""
    receiver.play = Incoming.hang
    gate.open(to(receiver))
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(gate.post(BATCH).status_code))
    sender.start()
    wait_until(lambda: receiver.seen, LIMIT_S, "the request is under way")
    gate.close()
    sender.join(LIMIT_S)
    assert statuses == [502]


def test_a_connection_attempt_is_aborted_at_the_deadline(gate: RunningGate) -> None:
    """If the connection to the receiver is not made before the deadline, it is aborted."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        others = [_connecting(full) for _ in range(4)]
        gate.open(Endpoint("x", f"http://127.0.0.1:{full.getsockname()[1]}/"), for_s=2.0)
        assert gate.post(BATCH).status_code == 502
        gate.await_report(lambda report: not report.is_open, "the gate is closed")
        for each in others:
            each.close()


def _connecting(listener: socket.socket) -> socket.socket:
    """Return a socket that fills a place in the backlog of a listener."""
    client = socket.socket()
    client.settimeout(0)
    client.connect_ex(listener.getsockname())
    return client


def test_a_stopped_gate_is_killed_at_the_deadline(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """A kernel timer kills a gate that is stopped by SIGSTOP at the deadline."""
    gate.open(to(receiver), for_s=2.0)
    os.kill(gate.process.pid, signal.SIGSTOP)
    assert gate.process.wait(LIMIT_S) == -signal.SIGKILL
    assert gate.newest.open_until is not None
    assert now() >= gate.newest.open_until


def test_a_closed_gate_is_not_killed(gate: RunningGate, receiver: StandInReceiver) -> None:
    """A closed gate may be stopped by SIGSTOP for any time."""
    gate.open(to(receiver), for_s=2.0)
    until = gate.newest.open_until
    assert until is not None
    gate.close()
    os.kill(gate.process.pid, signal.SIGSTOP)
    let_pass(until + 0.3 - now())
    assert gate.process.poll() is None
    os.kill(gate.process.pid, signal.SIGCONT)
    gate.open(to(receiver))
    assert gate.post(BATCH).status_code == 204


def test_a_killed_gate_sends_nothing_more(gate: RunningGate) -> None:
    """When the gate is killed, the unsent part of a request is discarded by the kernel."""
    body = b"x" * (32 << 20)
    with closing(socket.create_server(("127.0.0.1", 0))) as slow:
        slow.settimeout(LIMIT_S)
        gate.open(Endpoint("x", f"http://127.0.0.1:{slow.getsockname()[1]}/"))
        sender = threading.Thread(target=_post_in_vain, args=(gate, body))
        sender.start()
        client, _ = slow.accept()
        client.settimeout(LIMIT_S)
        assert client.recv(1000)
        gate.stop(signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            _read_all(client)
        client.close()
        sender.join(LIMIT_S)


def _read_all(client: socket.socket) -> None:
    while client.recv(1 << 20):
        pass


def _post_in_vain(gate: RunningGate, body: bytes) -> None:
    try:
        gate.post(body)
    except OSError:
        return


# --- the process ---


def test_the_gate_ends_with_its_supervisor(gate: RunningGate, receiver: StandInReceiver) -> None:
    """If the channel to the supervisor is closed, the gate exits, also with requests in flight."""
    receiver.play = Incoming.hang
    gate.open(to(receiver))
    sender = threading.Thread(target=_post_in_vain, args=(gate, BATCH))
    sender.start()
    wait_until(lambda: receiver.seen, LIMIT_S, "the request is under way")
    gate.end.shutdown(socket.SHUT_RDWR)
    assert gate.process.wait(LIMIT_S) == 0
    sender.join(LIMIT_S)


def test_a_hanging_supervisor_does_not_block_the_gate(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """If the supervisor reads no reports, requests, orders and the deadline still work."""
    others = [Endpoint(f"{number}", receiver.url) for number in range(100)]
    gate.open(to(receiver), *others)
    gate.reads.clear()
    for _ in range(100):  # each is reported, and 1 MiB is kept for the supervisor
        gate.order()
        assert gate.post(BATCH).status_code == 204
    gate.order(open_until=now() + 0.5)
    wait_until(lambda: gate.post(BATCH).status_code == 503, LIMIT_S, "the deadline")
    gate.reads.set()
    gate.await_report(lambda report: not report.is_open, "it is closed, and says so")
    assert gate.process.poll() is None


def test_sigterm_ends_the_gate(gate: RunningGate, receiver: StandInReceiver) -> None:
    """SIGTERM ends the gate with status 0."""
    gate.open(to(receiver))
    assert gate.post(BATCH).status_code == 204
    assert gate.stop() == 0
    assert "Traceback" not in gate.log_text


def test_requests_wait_while_the_gate_restarts(
    gate: RunningGate, receiver: StandInReceiver
) -> None:
    """During a restart, requests wait at the listening socket, which the supervisor holds."""
    gate.open(to(receiver))
    gate.stop(signal.SIGKILL)
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(gate.post(BATCH).status_code))
    sender.start()
    gate.start()
    gate.order()
    sender.join(LIMIT_S)
    assert statuses in ([204], [503])
    gate.open()
    assert gate.post(BATCH).status_code == 204
