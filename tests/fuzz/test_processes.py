"""The web process and the gate answer any data or close the connection, and do not grow."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import psutil
import pytest
from hypothesis import note
from hypothesis import strategies as st

from tests.fuzz.batches import BODIES
from tests.fuzz.form import fuzzed
from tests.fuzz.http_grammar import ANSWERS, REQUESTS
from tests.process.running_gate import V1, V2, RunningGate, running_gate
from tests.support import wait_until
from tests.web.conftest import Web, leading, read_all
from tests.web.upstreams import Call, Persistent, persistent
from wrapper.model.gate import Endpoint

LIMIT_S = 20.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CUTS = st.lists(st.integers(0, 300), max_size=3)
GROWTH_BYTES = 40 << 20


class FixedAnswer:
    """Answers every request with these bytes, and closes the connection."""

    def __init__(self) -> None:
        self.data = b"HTTP/1.1 204 No Content\r\n\r\n"

    def __call__(self, call: Call) -> bool:
        """Send the answer."""
        call.sock.sendall(self.data)
        call.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            read_all(call.sock)
        return True


@pytest.fixture(scope="module")
def upstream_answer() -> FixedAnswer:
    """Return the answer of the upstream and receiver, which the tests set."""
    return FixedAnswer()


@pytest.fixture(scope="module")
def upstream(upstream_answer: FixedAnswer) -> Iterator[Persistent]:
    """Run an upstream with that answer."""
    with persistent(upstream_answer) as server:
        yield server


@contextlib.contextmanager
def steady(pid: int, log: Callable[[], str]) -> Iterator[None]:
    """Check at the end that a process is alive, logged no traceback, and has not grown."""
    process = psutil.Process(pid)
    descriptors, threads, memory = process.num_fds(), process.num_threads(), _memory(process)
    yield
    assert process.is_running()
    assert "Traceback" not in log(), log()[-4000:]
    wait_until(lambda: process.num_fds() <= descriptors + 8, LIMIT_S, "descriptors are given back")
    assert process.num_threads() <= threads + 2
    assert _memory(process) - memory < GROWTH_BYTES


def _memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


@pytest.fixture(scope="module")
def web(upstream: Persistent) -> Iterator[Web]:
    """Run a web process whose leader answers as the tests set."""
    process = Web(idle_timeout_s=2.0, connect_timeout_s=2.0)
    said: list[str] = []
    process.tell(leading(upstream.url))
    process.get("/")
    try:
        with steady(process.process.pid, str):
            yield process
            assert process.get("/_elector/healthz").ok
    finally:
        said.append(process.stop())
    assert "Traceback" not in said[0], said[0][-4000:]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: Persistent) -> Iterator[RunningGate]:
    """Run an open gate whose receiver answers as the tests set."""
    with running_gate(tmp_path_factory.mktemp("gate"), memory_bytes=1 << 20) as process:
        process.open(Endpoint("x", upstream.url, timeout_s=2.0, max_backoff_s=0.1), for_s=36000.0)
        with steady(process.process.pid, lambda: process.log_text):
            yield process


def conversed(address: tuple[str, int], data: bytes, cuts: list[int]) -> bytes:
    """Send bytes in pieces, close our side, and return everything that is received."""
    with socket.create_connection(address, LIMIT_S) as client:
        at = 0
        with contextlib.suppress(ConnectionError):
            for size in (*cuts, len(data)):
                client.sendall(data[at : at + size])
                at += size
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


@fuzzed(100, data=REQUESTS, cuts=CUTS)
def test_the_web_process_answers_or_closes(
    web: Web, upstream_answer: FixedAnswer, data: bytes, cuts: list[int]
) -> None:
    """The web process answers any request with HTTP, or closes the connection."""
    note(repr(data)[:2000])
    upstream_answer.data = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    answered = conversed(web.address, data, cuts)
    assert answered == b"" or answered.startswith(b"HTTP/1.1 "), answered


@fuzzed(100, data=ANSWERS)
def test_the_proxy_answers_any_answer(web: Web, upstream_answer: FixedAnswer, data: bytes) -> None:
    """The client gets an HTTP answer or a closed connection for any answer of the upstream."""
    note(repr(data)[:2000])
    upstream_answer.data = data
    answered = conversed(web.address, GET, [])
    assert answered == b"" or answered.startswith(b"HTTP/1.1 "), answered


@fuzzed(100, data=REQUESTS.map(lambda data: data.replace(b" / ", b" /gate/x ")), cuts=CUTS)
def test_the_gate_answers_or_closes(
    gate: RunningGate, upstream_answer: FixedAnswer, data: bytes, cuts: list[int]
) -> None:
    """The gate answers any request with HTTP, or closes the connection."""
    note(repr(data)[:2000])
    upstream_answer.data = b"HTTP/1.1 204 No Content\r\n\r\n"
    answered = conversed(("127.0.0.1", gate.port), data, cuts)
    assert answered == b"" or answered.startswith(b"HTTP/1.1 "), answered


@fuzzed(100, data=ANSWERS)
def test_the_gate_answers_any_answer(
    gate: RunningGate, upstream_answer: FixedAnswer, data: bytes
) -> None:
    """For any answer of the receiver, Prometheus gets a final answer."""
    note(repr(data)[:2000])
    upstream_answer.data = data
    status = gate.post(b"a batch").status_code
    assert 200 <= status <= 999


@fuzzed(20, body=BODIES, answer=ANSWERS, is_held=st.booleans(), is_second=st.booleans())
def test_the_gate_accepts_any_batch(  # noqa: PLR0917 - a fixture each
    gate: RunningGate,
    upstream_answer: FixedAnswer,
    body: bytes,
    answer: bytes,
    is_held: bool,
    is_second: bool,
) -> None:
    """Any batch is held or passed on, and later sent; afterwards the gate still works."""
    note(repr(body))
    upstream_answer.data = answer
    if is_held:
        gate.close()
    held = gate.post(body, V2 if is_second else V1)
    assert held.status_code == 204 or not is_held
    upstream_answer.data = b"HTTP/1.1 204 No Content\r\n\r\n"
    if is_held:
        gate.open(*gate.newest.endpoints, for_s=36000.0)
        gate.await_endpoint(lambda each: each.held_batches == 0, "all is sent on")
    wait_until(lambda: gate.post(b"a batch").status_code == 204, LIMIT_S, "it goes on")
