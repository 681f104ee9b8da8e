"""Clients that disconnect, are slow, pipeline requests, or send too much."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psutil
import pytest

from tests.support import free_port, wait_until
from tests.web.conftest import FOLLOWER, Web, answers, leading, read_all
from tests.web.upstreams import Call, Persistent, drain, persistent
from wrapper.proxy.exchange import SILENCE
from wrapper.web.server import listen

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
IN_FLIGHT = "prometheus_elector_proxy_requests_in_flight"


@contextlib.contextmanager
def connected(web: Web) -> Iterator[socket.socket]:
    """Connect to the proxy until the context ends."""
    with socket.create_connection(web.address, timeout=30) as client:
        yield client


def until_gone(call: Call) -> bool:
    """Send no answer, and wait until the proxy closes the connection."""
    while call.sock.recv(65536):
        pass
    return True


# --- clients that disconnect-------------------------------------------------------------------


def reset(client: socket.socket) -> None:
    """Close the connection with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


@pytest.mark.parametrize(
    "leave",
    [socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR), reset],
    ids=["close", "half", "reset"],
)
@pytest.mark.parametrize("data", [GET, GET + GET], ids=["one", "pipelined"])
def test_a_query_ends_with_its_client(
    web: Web, leave: Callable[[socket.socket], None], data: bytes
) -> None:
    """If the client disconnects before the answer, its query at the upstream ends."""
    with persistent(until_gone) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            client.sendall(data)
            wait_until(lambda: upstream.calls, 10, "the query is under way")
            leave(client)
            wait_until(lambda: upstream.ended, 10, "the query is given up")
        wait_until(lambda: web.metric(IN_FLIGHT) == 0, 10, "nothing in flight")
        assert len(upstream.calls) == 1


def test_an_upload_ends_with_its_client(web: Web) -> None:
    """If the client disconnects within a body that is not read, its request ends."""

    def answer(call: Call) -> bool:
        assert has_left.wait(20)
        return until_gone(call)

    has_left = threading.Event()
    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            client.sendall(b"x" * 100_000)
            wait_until(lambda: upstream.calls, 10, "the request is under way")
        has_left.set()
        wait_until(lambda: upstream.ended, 10, "the request is given up")
    wait_until(lambda: web.metric(IN_FLIGHT) == 0, 10, "nothing in flight")


def test_a_client_that_does_not_read_takes_little_memory(web: Web) -> None:
    """If a client does not read, its answer is not buffered, and other requests are answered."""
    sent = [0]

    def answer(call: Call) -> bool:
        if "last" in call.line:
            call.say()
            return False
        call.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            sent[0] += call.sock.send(b"x" * 1_000_000)

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            client.sendall(GET)
            assert client.recv(10)
            assert web.get("/last").ok
            assert sent[0] < 100_000_000
        wait_until(lambda: upstream.ended, 10, "the answer is given up")


# --- early answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_answer_may_come_before_the_body(web: Web, is_chunked: bool) -> None:
    """An upstream may answer without reading the body."""

    def answer(call: Call) -> None:
        call.sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 9999999"
    begun = b"5\r\nhello\r\n" if is_chunked else b"hello"
    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + begun)
            answered = read_all(client)
    assert answered.startswith(b"HTTP/1.1 413 Too Large\r\n")
    assert b"\r\nConnection: close\r\n" in answered
    assert answered.endswith(b"\r\n\r\nno")


def test_an_answer_may_come_before_the_request(web: Web) -> None:
    """The answer of an upstream that answers and closes at once is passed back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        sock, _ = listener.accept()
        sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        sock.close()

    with listener:
        thread = threading.Thread(target=answer)
        thread.start()
        web.tell(leading(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        answered = web.get("/", method="POST", data=b"x" * 60_000)
        thread.join()
    assert (answered.status_code, answered.text) == (503, "busy")


def test_both_bodies_are_passed_at_the_same_time(web: Web) -> None:
    """Parts of the answer are passed back while the request's body is still sent."""

    def answer(call: Call) -> bool:
        call.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = call.rest
        while not data.endswith(b"0\r\n\r\n"):
            if data:
                call.sock.sendall(data)
            data = call.sock.recv(65536)
        call.sock.sendall(b"0\r\n\r\n")
        return True

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            seen = b""
            for piece in (b"1\r\na\r\n", b"2\r\nbc\r\n", b"3\r\ndef\r\n"):
                client.sendall(piece)
                while not seen.endswith(piece):
                    seen += client.recv(65536)
            client.sendall(b"0\r\n\r\n")
            assert read_until(client, b"0\r\n\r\n").endswith(b"0\r\n\r\n")


def read_until(client: socket.socket, end: bytes) -> bytes:
    """Return the data that is received, up to these bytes."""
    data = b""
    while not data.endswith(end):
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def hint_and_answer(call: Call, version: bytes) -> None:
    """Send an interim answer with this version of HTTP, then the answer."""
    call.sock.sendall(b"HTTP/%b 103 Early Hints\r\nLink: </a>\r\n\r\n" % version)
    call.say()


def test_interim_answers_pass(web: Web) -> None:
    """A 103 is passed to an HTTP/1.1 client, and not to an HTTP/1.0 client."""
    with persistent(partial(hint_and_answer, version=b"1.1")) as upstream:
        web.tell(leading(upstream.url))
        assert web.raw(LAST).startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 2")
        assert web.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_interim_answers_of_http_1_0_do_not_pass(web: Web) -> None:
    """Interim answers with HTTP/1.0 are dropped, since it has none (RFC 9110, 15.2)."""
    with persistent(partial(hint_and_answer, version=b"1.0")) as upstream:
        web.tell(leading(upstream.url))
        assert web.raw(LAST).startswith(b"HTTP/1.1 200 OK\r\n")


# --- incomplete answers ----------------------------------------------------------------------

IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhalf"
FOR_OLD = b"GET / HTTP/1.0\r\n\r\n"


def half(call: Call, begun: bytes) -> bool:
    """Begin an answer, and wait until the proxy closes the connection."""
    call.sock.sendall(begun)
    return until_gone(call)


def read_strictly(client: socket.socket) -> bytes:
    """Return the data until a normal close; raise ConnectionResetError for a reset."""
    return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("begun", [IN_CHUNKS, UNTIL_CLOSED], ids=["chunked", "until closed"])
def test_a_silent_upstream_gives_an_incomplete_answer(web: Web, begun: bytes) -> None:
    """If the upstream is silent within a body, the client's answer is visibly incomplete.

    For HTTP/1.0 that needs a reset, since a normal close would end the answer.
    """
    with persistent(lambda call: half(call, begun)) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(FOR_OLD)
        with pytest.raises(ConnectionResetError):
            read_strictly(client)
        assert not web.raw(LAST).endswith(b"0\r\n\r\n")


def test_an_upstream_that_fails_resets_http_1_0_clients(web: Web) -> None:
    """If the upstream fails within a body, an HTTP/1.0 client gets a reset."""
    may_break = threading.Event()

    def answer(call: Call) -> bool:
        call.sock.sendall(IN_CHUNKS)
        assert may_break.wait(20)
        return True

    with persistent(answer) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(FOR_OLD)
        read_until(client, b"half")
        may_break.set()
        with pytest.raises(ConnectionResetError):
            read_strictly(client)


def test_a_client_that_half_closes_gets_a_reset(web: Web) -> None:
    """A client that half-closes counts as disconnected, and gets a reset."""
    with persistent(lambda call: half(call, IN_CHUNKS)) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(FOR_OLD)
        read_until(client, b"half")
        client.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            read_strictly(client)


def test_a_body_over_the_limit_leaves_the_answer_incomplete(open_web: Web) -> None:
    """If a body exceeds the limit while its answer is sent, the answer stays incomplete."""
    with persistent(lambda call: half(call, UNTIL_CLOSED)) as upstream:
        open_web.tell(leading(upstream.url))
        with connected(open_web) as client:
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            read_until(client, b"half\r\n")
            client.sendall(b"7d0\r\n" + b"y" * 2000 + b"\r\n")
            assert read_all(client) == b""


def test_a_stop_resets_answers_and_silence_is_logged() -> None:
    """A stop resets an answer in progress. The log gives the reason for a silent upstream."""
    web = Web(idle_timeout_s=1.0, shutdown_grace_s=2.0)
    with contextlib.ExitStack() as stack:
        stack.callback(web.process.kill)
        upstream = stack.enter_context(persistent(lambda call: half(call, IN_CHUNKS)))
        web.tell(leading(upstream.url))
        web.raw(LAST)
        upstream.answer = _drip
        client = stack.enter_context(connected(web))
        client.sendall(FOR_OLD)
        read_until(client, b"x")
        said = web.stop()
        with pytest.raises(ConnectionResetError):
            read_strictly(client)
    assert SILENCE in said
    assert "greenlet" not in said


def _drip(call: Call) -> bool:
    call.sock.sendall(IN_CHUNKS)
    while True:
        call.sock.sendall(b"1\r\nx\r\n")
        time.sleep(0.1)


# --- several requests on one connection ------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        GET,
        b"\r\n" + GET,
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /_elector/leader HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /_elector/leader HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"POST /-/quit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=[
        "plain",
        "CRLF",
        "absolute",
        "ours",
        "ours with body",
        "POST",
        "chunked",
        "refused",
        "1.0",
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
def test_requests_on_one_connection_are_separated(web: Web, first: bytes, piece_bytes: int) -> None:
    """Requests on one connection are separated correctly, however their bytes arrive."""
    with persistent(_echo) as upstream:
        web.tell(leading(upstream.url))
        with connected(web) as client:
            data = first + LAST
            for at in range(0, len(data), piece_bytes):
                client.sendall(data[at : at + piece_bytes])
            answered = read_all(client)
    assert answers(answered) == 2
    assert answered.endswith(b"\r\n\r\nGET /last HTTP/1.1 ")


def _echo(call: Call) -> None:
    body = call.rest
    while call.line.startswith("POST") and b"hello" not in body:
        body += call.sock.recv(100)
    while b"chunked" in call.head and not body.endswith(b"0\r\n\r\n"):
        body += call.sock.recv(100)
    call.say(call.line.encode() + b" " + body)


# --- slow clients ----------------------------------------------------------------------------


def test_many_silent_clients_do_not_delay_others() -> None:
    """500 clients that send nothing, half a header or half a body do not delay the next.

    The next request has a shorter timeout than any after which a slow client is disconnected.
    """
    web = Web()
    with persistent(Call.say) as upstream, contextlib.ExitStack() as stack:
        stack.callback(web.stop)
        web.tell(leading(upstream.url))
        for number in range(500):
            client = stack.enter_context(connected(web))
            client.sendall(STALLED[number % 3] if number % 2 else GET[: number % 20])
        assert web.get("/").ok


STALLED = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
]


@pytest.mark.parametrize("request_", STALLED, ids=["small", "large", "chunked"])
def test_a_client_that_stalls_in_its_body_gets_408(web: Web, request_: bytes) -> None:
    """A client that stops within its body gets a 408, and its request ends."""
    with persistent(until_gone) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(request_)
        answered = read_all(client)
        assert answered.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"\r\nConnection: close\r\n" in answered
        assert b"body was not sent in time" in answered
        wait_until(lambda: web.metric(IN_FLIGHT) == 0, 10, "nothing in flight")


def test_a_client_that_sends_its_body_slowly_gets_408(web: Web) -> None:
    """A client that sends a small body too slowly gets a 408: the limit is for the whole body."""
    with persistent(until_gone) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
        client.settimeout(0.2)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            client.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
                break
        assert time.monotonic() < until


def test_a_client_that_waits_for_100_continue_gets_504(web: Web) -> None:
    """If the upstream does not answer Expect: 100-continue, the client gets a 504, not a 408."""
    with persistent(until_gone) as upstream:
        web.tell(leading(upstream.url))
        head = STALLED[1].partition(b"\r\n\r\n")[0]
        assert web.raw(head + b"\r\nExpect: 100-continue\r\n\r\n").startswith(b"HTTP/1.1 504 ")


def test_a_client_that_reads_no_answers_is_disconnected(web: Web) -> None:
    """A client that sends many requests and reads no answers is disconnected."""
    with connected(web) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        with pytest.raises(ConnectionError):
            client.sendall(b"GET /_elector/metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000_000)


def test_tcp_keep_alive_is_enabled() -> None:
    """Accepted connections have TCP keep-alive, far below the system's two hours."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen("127.0.0.1", 0))
        stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(listener.accept()[0])
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60


def test_a_client_that_sends_its_header_slowly_is_disconnected(web: Web) -> None:
    """A client that sends its header slowly is disconnected."""
    with connected(web) as client, contextlib.suppress(ConnectionError):
        begun = time.monotonic()
        client.sendall(GET[:-2] + b"X: ")
        client.settimeout(0.2)
        while time.monotonic() < begun + 40:
            client.sendall(b"y")
            with contextlib.suppress(TimeoutError):
                assert client.recv(100) == b""
                break
    assert time.monotonic() < begun + 30


# --- flags -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_web() -> Iterator[Web]:
    """Run a web process with open admin paths and a limit on bodies."""
    web = Web(proxy_admin=True, max_body_bytes=1000)
    yield web
    said = web.stop()
    assert "Traceback" not in said, said


@pytest.fixture
def drained(open_web: Web) -> Iterator[Persistent]:
    """Run an upstream that reads chunked bodies."""
    with persistent(drain) as upstream:
        open_web.tell(leading(upstream.url))
        yield upstream


@pytest.mark.parametrize("path", ["/-/quit", "/-/reload", "/api/v1/admin/tsdb/snapshot"])
def test_admin_paths_can_be_opened(open_web: Web, path: str) -> None:
    """With --api-proxy-admin, admin paths are forwarded."""
    with persistent(Call.say) as upstream:
        open_web.tell(leading(upstream.url))
        assert open_web.get(path, method="POST").ok
        assert upstream.calls[0].line == f"POST {path} HTTP/1.1"


def test_a_body_of_known_length_over_the_limit_is_413(open_web: Web, drained: Persistent) -> None:
    """A Content-Length above the limit is a 413 before the upstream is asked."""
    answered = open_web.raw(POST + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert drained.calls == []


@pytest.mark.parametrize("size", [1001, 1_000_000])
def test_chunks_over_the_limit_are_413(open_web: Web, drained: Persistent, size: int) -> None:
    """A chunked body above the limit is a 413."""
    chunk = b"%x\r\n%b\r\n" % (size // 2 + 1, b"x" * (size // 2 + 1))
    head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert open_web.raw(head + chunk + chunk + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_bodies_up_to_the_limit_pass(open_web: Web, drained: Persistent) -> None:
    """A body of exactly the limit is forwarded."""
    head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert open_web.raw(head + b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n").startswith(
        b"HTTP/1.1 200 "
    )


def test_without_the_proxy_everything_else_is_404() -> None:
    """Without --api-proxy-enabled, other paths are a 404 that names the flag."""
    web = Web(proxy_enabled=False)
    web.tell(leading(f"http://127.0.0.1:{free_port()}"))
    answer = web.get("/api/v1/query")
    web.stop()
    assert answer.status_code == 404
    assert "--api-proxy-enabled" in answer.json()["error"]


# --- our own routes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/_elector/leader", "//_elector/leader", "/%5felector/x", "/x/../_elector/x", "/_elector",
     "/_elector/nothing", "/./_elector/", "http://elsewhere/_elector/leader"],
)  # fmt: skip
def test_our_own_paths_never_reach_prometheus(web: Web, path: str) -> None:
    """Paths under /_elector/ are never forwarded, in any notation."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        web.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert upstream.calls == []


@pytest.mark.parametrize(
    ("tell", "code"), [(lambda: leading("http://127.0.0.1:1"), 200), (lambda: FOLLOWER, 503)]
)
def test_is_leader_is_200_only_on_the_leader(web: Web, tell: Callable[[], Any], code: int) -> None:
    """/_elector/is-leader is a 200 on the leader, and a 503 elsewhere."""
    web.tell(tell())
    assert web.get("/_elector/is-leader").status_code == code
    assert web.get("/_elector/is-leader", method="HEAD").status_code == code


def test_is_leader_is_503_for_a_stale_snapshot(web: Web) -> None:
    """With a stale snapshot, /_elector/is-leader is a 503."""
    web.tell(leading("http://127.0.0.1:1"), age_s=60.0)
    assert web.get("/_elector/is-leader").status_code == 503


# --- the end of the process ------------------------------------------------------------------


def test_a_stop_finishes_requests_and_closes_idle_clients() -> None:
    """At a stop, requests in flight are answered with Connection: close; idle ones are closed."""
    may_answer = threading.Event()

    def answer(call: Call) -> None:
        assert may_answer.wait(30)
        call.say()

    web = Web(shutdown_grace_s=30.0)
    with contextlib.ExitStack() as stack:
        stack.callback(web.process.kill)
        upstream = stack.enter_context(persistent(answer))
        idle, busy = (stack.enter_context(connected(web)) for _ in range(2))
        web.tell(leading(upstream.url))
        busy.sendall(GET)
        wait_until(lambda: upstream.calls, 10, "a request is under way")
        web.process.send_signal(signal.SIGTERM)
        assert read_all(idle) == b""
        may_answer.set()
        answered = read_all(busy)
        assert b"\r\nConnection: close\r\n" in answered
        assert answered.endswith(b"hello")
        assert "Traceback" not in web.stop()


def test_a_client_that_never_closes_is_disconnected(web: Web) -> None:
    """After the last answer, the proxy waits for the client's close only for a limited time."""
    with persistent(Call.say) as upstream, connected(web) as client:
        web.tell(leading(upstream.url))
        client.sendall(LAST)
        assert read_all(client).endswith(b"hello")
        (worker,) = web.workers
        port = client.getsockname()[1]
        wait_until(lambda: port not in _peers(worker), 40, "the connection is closed")


def _peers(process: psutil.Process) -> set[int]:
    """Return the remote ports of the connections of a process."""
    return {getattr(each.raddr, "port", 0) for each in process.net_connections()}
