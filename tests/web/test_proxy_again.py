"""Kept connections to the upstream, and requests that are repeated before an answer begins."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import free_port, wait_until
from tests.web.conftest import FOLLOWER, Web, following, leading
from tests.web.upstreams import Call, persistent
from wrapper.proxy.leader_attempts import GAP_S, Attempts, ConnectionLost, LeaderGap


@pytest.fixture(autouse=True)
def _gap_is_new(web: Web) -> None:
    """Send one successful request, so that an earlier gap between leaders has ended."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        assert web.get("/").ok


def test_a_connection_is_kept(web: Web) -> None:
    """Consecutive requests use one connection."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get(f"/{n}").text for n in range(5)] == ["hello"] * 5
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "head",
    [b"Connection: close\r\n", b"Connection: x, Close\r\n"],
)
def test_a_connection_that_ends_is_not_kept(web: Web, head: bytes) -> None:
    """After an answer with Connection: close, the next request uses a new connection."""
    with persistent(lambda call: call.say(head=head)) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get("/").text for _ in range(2)] == ["hello"] * 2
        assert upstream.connections == 2


def test_bytes_after_an_answer_end_the_connection(web: Web) -> None:
    """Bytes after an answer end the connection, and are not the answer to the next request."""
    with persistent(lambda call: call.sock.sendall(SPLIT)) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get("/").text for _ in range(3)] == ["a"] * 3
        assert upstream.connections == 3


@pytest.mark.parametrize("is_closed", [False, True])
def test_an_unrequested_answer_ends_the_connection(web: Web, is_closed: bool) -> None:
    """An answer without a request ends its connection, and no client gets it."""

    def answer(call: Call) -> bool:
        call.say(call.line.split()[1].encode())
        if "one" in call.line:
            assert has_ended.wait(20)
            call.sock.sendall(b"HTTP/1.1 408 Too Slow\r\nContent-Length: 5\r\n\r\nstray")
            has_strayed.set()
        return is_closed

    has_ended, has_strayed = threading.Event(), threading.Event()
    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        assert web.get("/one").text == "/one"
        has_ended.set()
        assert has_strayed.wait(20)
        assert [web.get(path).text for path in ("/two", "/three")] == ["/two", "/three"]


SPLIT = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"
)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stale_connection_is_replaced(web: Web, method: str) -> None:
    """A request on a connection that has been closed is sent again on a new one."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        for _ in range(20):
            assert web.get("/", method=method).ok
            upstream.hang_up()


def test_a_post_does_not_use_a_closed_connection(web: Web) -> None:
    """A POST is not sent on a kept connection that the upstream has closed."""
    with persistent(_answer_post) as upstream:
        web.tell(leading(upstream.url))
        for _ in range(10):
            assert web.get("/").ok
            ended = upstream.ended
            upstream.hang_up()
            wait_until(lambda before=ended: upstream.ended > before, 10, "it has hung up")  # type: ignore[misc]
            assert web.get("/", method="POST", data="x").ok


def _answer_post(call: Call) -> None:
    if call.line.startswith("POST") and not call.rest:
        call.sock.recv(100)
    call.say()


@pytest.mark.parametrize(
    ("method", "data", "times"),
    [("GET", None, 2), ("HEAD", None, 2), ("POST", "x", 1), ("GET", "x", 1), ("DELETE", None, 1)],
)
def test_only_safe_requests_are_repeated(
    web: Web, method: str, data: str | None, times: int
) -> None:
    """If the upstream closes the connection, only a GET or HEAD without a body is repeated."""

    def answer(call: Call) -> bool:
        if len(upstream.calls) < 2:
            return True
        call.say()
        return False

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        code = web.get("/", method=method, data=data).status_code
        assert (code, len(upstream.calls)) == (200 if times == 2 else 502, times)


def test_a_request_that_always_fails_gets_an_error(web: Web) -> None:
    """A request that always fails gets a 502, also while other requests succeed."""

    def answer(call: Call) -> bool:
        if "bad" in call.line:
            return True
        call.say()
        return False

    def ask_others() -> None:
        while not is_over.is_set():
            assert web.get("/ok").ok

    is_over = threading.Event()
    with persistent(answer) as upstream, ThreadPoolExecutor() as pool:
        web.tell(leading(upstream.url))
        others = [pool.submit(ask_others) for _ in range(2)]
        wait_until(lambda: len(upstream.calls) > 10, 10, "others are answered")
        try:
            assert web.get("/bad", timeout=30).status_code == 502
        finally:
            is_over.set()
        assert sum("bad" in call.line for call in upstream.calls) <= 3
        assert [each.result() for each in others] == [None, None]


def test_a_request_that_breaks_leaders_reaches_only_two(web: Web) -> None:
    """A request after which leaders fail is sent to at most two of them."""
    with contextlib.ExitStack() as stack:

        def end(_call: Call) -> bool:
            ended = sum(len(each.calls) for each in upstreams)
            web.tell(following(upstreams[ended % 5].url))
            return True

        upstreams = [stack.enter_context(persistent(end)) for _ in range(5)]
        web.tell(following(upstreams[0].url))
        assert web.get("/heavy").status_code == 502
        assert [len(each.calls) for each in upstreams] == [1, 1, 0, 0, 0]


def test_no_repetition_after_the_first_byte_of_an_answer(web: Web) -> None:
    """After the first byte of an answer, a request is not repeated."""

    def answer(call: Call) -> bool:
        call.sock.sendall(b"H")
        return True

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        assert web.get("/").status_code == 502
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_tried_again(web: Web, method: str) -> None:
    """If the upstream refuses the connection, every request waits until it accepts one."""
    port = free_port()
    web.tell(leading(f"http://127.0.0.1:{port}"))
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/", method=method)
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        with persistent(Call.say, port):
            assert asked.result().text == "hello"


def test_a_request_moves_to_the_new_leader(web: Web) -> None:
    """If the leader changes while the old one refuses connections, the new one gets the request."""
    web.tell(following(f"http://127.0.0.1:{free_port()}"))
    with persistent(Call.say) as upstream, ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/")
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        web.tell(leading(upstream.url))
        assert asked.result().text == "hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_waits_for_the_next_leader(web: Web, method: str) -> None:
    """A request without a leader waits for the next leader."""
    web.tell(FOLLOWER)
    with persistent(Call.say) as upstream, ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/", method=method)
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        web.tell(following(upstream.url))
        assert asked.result().text == "hello"


def test_a_disconnected_client_stops_the_wait_for_a_leader(web: Web) -> None:
    """If the client disconnects, the wait for a leader ends."""
    web.tell(FOLLOWER)
    line = 'prometheus_elector_proxy_requests_total{code="499",method="GET",target="none"}'
    before = web.metric(line) or 0
    with socket.create_connection(web.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
    wait_until(lambda: (web.metric(line) or 0) > before, 10, "it is counted as gone")


def test_requests_wait_only_at_the_beginning_of_a_gap() -> None:
    """Requests wait for a leader only at the beginning of a gap.

    A later gap allows a wait again.
    """
    gap = LeaderGap()
    assert gap.allows(10.0)
    assert gap.allows(10.0 + GAP_S - 0.1)
    assert not gap.allows(10.0 + GAP_S)
    assert not gap.allows(60.0)
    assert gap.allows(100.0)
    gap.end()
    assert gap.allows(103.0)


def test_a_request_is_sent_on_at_most_two_new_connections() -> None:
    """A request is sent on two new connections at most, within GAP_S of the first loss.

    A loss on a kept connection, which may have been stale, does not count.
    """
    stale, new = ConnectionLost(was_kept=True), ConnectionLost(was_kept=False)
    attempts = Attempts()
    assert [attempts.allow_again(each, 0.0) for each in (stale, new, new)] == [True, True, False]
    late = Attempts()
    assert late.allow_again(stale, 10.0)
    assert not late.allow_again(new, 10.0 + GAP_S)


def test_concurrent_requests_share_kept_connections(web: Web) -> None:
    """Concurrent requests reuse connections, and each gets its own answer."""

    def answer(call: Call) -> None:
        call.say(call.line.split()[1].encode())

    with persistent(answer) as upstream, ThreadPoolExecutor(16) as pool:
        web.tell(leading(upstream.url))
        paths = [f"/{number}" for number in range(400)]
        assert list(pool.map(lambda path: web.get(path).text, paths)) == paths
        assert upstream.connections <= 16


def test_a_slow_request_delays_no_other(web: Web) -> None:
    """While one request waits for its answer, another one is answered."""
    may_answer = threading.Event()

    def answer(call: Call) -> None:
        if "slow" in call.line:
            assert may_answer.wait(20)
        call.say()

    with persistent(answer) as upstream, ThreadPoolExecutor() as pool:
        web.tell(leading(upstream.url))
        slow = pool.submit(web.get, "/slow")
        wait_until(lambda: upstream.calls, 10, "the slow one is under way")
        assert web.get("/fast").ok
        assert not slow.done()
        may_answer.set()
        assert slow.result().ok


def test_the_latency_is_counted(web: Web) -> None:
    """The histogram counts each request in the bucket of its duration."""
    name = "prometheus_elector_proxy_request_duration_seconds"

    def answer(call: Call) -> None:
        threading.Event().wait(0.3)
        call.say()

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        short, all_ = f'{name}_bucket{{le="0.25"}}', f"{name}_count"
        before = (web.metric(short) or 0, web.metric(all_) or 0)
        assert web.get("/").ok
        assert (web.metric(short), web.metric(all_)) == (before[0], before[1] + 1)


def test_bytes_are_counted_both_ways(web: Web) -> None:
    """Bytes of headers and bodies are counted in both directions."""
    received = "prometheus_elector_proxy_received_bytes_total"
    sent = "prometheus_elector_proxy_sent_bytes_total"
    with persistent(_answer_post) as upstream:
        web.tell(leading(upstream.url))
        before = (web.metric(received) or 0, web.metric(sent) or 0)
        raw = web.raw(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
            + b"x" * 1000
        )
        head = len(upstream.calls[0].head) + 4
        assert web.metric(received) == before[0] + head + 1000
        assert web.metric(sent) == before[1] + len(raw)
