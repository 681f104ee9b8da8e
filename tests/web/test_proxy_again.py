"""Connections are kept, and what can be asked again is, until an answer begins."""

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
    """Have one request answered: the gap of the tests before is forgotten."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        assert web.get("/").ok


def test_a_connection_is_kept(web: Web) -> None:
    """One request after the other goes over one connection."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get(f"/{n}").text for n in range(5)] == ["hello"] * 5
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "head",
    [b"Connection: close\r\n", b"Connection: x, Close\r\n"],
)
def test_a_connection_that_ends_is_not_kept(web: Web, head: bytes) -> None:
    """What says close is not used again."""
    with persistent(lambda call: call.say(head=head)) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get("/").text for _ in range(2)] == ["hello"] * 2
        assert upstream.connections == 2


def test_more_than_was_announced_ends_the_connection(web: Web) -> None:
    """Bytes after an answer are no answer to the next request."""
    with persistent(lambda call: call.sock.sendall(SPLIT)) as upstream:
        web.tell(leading(upstream.url))
        assert [web.get("/").text for _ in range(3)] == ["a"] * 3
        assert upstream.connections == 3


@pytest.mark.parametrize("is_closed", [False, True])
def test_what_comes_after_an_answer_answers_nobody(web: Web, is_closed: bool) -> None:
    """An answer that nobody has asked for ends its connection, also for a GET."""

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
def test_a_kept_connection_that_has_ended_is_no_failure(web: Web, method: str) -> None:
    """A request that meets a closed connection goes over a new one."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        for _ in range(20):
            assert web.get("/", method=method).ok
            upstream.hang_up()


def test_what_goes_once_goes_on_a_connection_just_checked(web: Web) -> None:
    """A POST is never sent on a connection that is known to have ended."""
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
def test_only_the_harmless_is_asked_again(
    web: Web, method: str, data: str | None, times: int
) -> None:
    """An upstream that breaks off is asked once more, or not."""

    def answer(call: Call) -> bool:
        if len(upstream.calls) < 2:
            return True
        call.say()
        return False

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        code = web.get("/", method=method, data=data).status_code
        assert (code, len(upstream.calls)) == (200 if times == 2 else 502, times)


def test_what_always_breaks_off_is_given_up_beside_others(web: Web) -> None:
    """A request that ends whoever is asked is told so, however well all others are answered."""

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


def test_a_request_that_ends_its_leader_is_not_carried_on(web: Web) -> None:
    """Of five leaders, one after the other, two are asked at most what ended the first."""
    with contextlib.ExitStack() as stack:

        def end(_call: Call) -> bool:
            ended = sum(len(each.calls) for each in upstreams)
            web.tell(following(upstreams[ended % 5].url))
            return True

        upstreams = [stack.enter_context(persistent(end)) for _ in range(5)]
        web.tell(following(upstreams[0].url))
        assert web.get("/heavy").status_code == 502
        assert [len(each.calls) for each in upstreams] == [1, 1, 0, 0, 0]


def test_nothing_is_asked_again_once_an_answer_has_begun(web: Web) -> None:
    """One byte of an answer is an answer, broken as it is."""

    def answer(call: Call) -> bool:
        call.sock.sendall(b"H")
        return True

    with persistent(answer) as upstream:
        web.tell(leading(upstream.url))
        assert web.get("/").status_code == 502
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_tried_again(web: Web, method: str) -> None:
    """Whatever has not been sent can wait for an upstream that comes up."""
    port = free_port()
    web.tell(leading(f"http://127.0.0.1:{port}"))
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/", method=method)
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        with persistent(Call.say, port):
            assert asked.result().text == "hello"


def test_a_request_moves_to_the_new_leader(web: Web) -> None:
    """While the old leader refuses, the newest word on who leads counts."""
    web.tell(following(f"http://127.0.0.1:{free_port()}"))
    with persistent(Call.say) as upstream, ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/")
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        web.tell(leading(upstream.url))
        assert asked.result().text == "hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_gap_between_two_leaders_is_waited_for(web: Web, method: str) -> None:
    """A request that meets no leader is answered by the next one."""
    web.tell(FOLLOWER)
    with persistent(Call.say) as upstream, ThreadPoolExecutor() as pool:
        asked = pool.submit(web.get, "/", method=method)
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
        web.tell(following(upstream.url))
        assert asked.result().text == "hello"


def test_a_client_that_waits_for_a_leader_can_go(web: Web) -> None:
    """Nobody waits on behalf of a client that has gone."""
    web.tell(FOLLOWER)
    line = 'prometheus_elector_proxy_requests_total{code="499",method="GET",target="none"}'
    before = web.metric(line) or 0
    with socket.create_connection(web.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: web.metric("prometheus_elector_proxy_requests_in_flight"), 10, "asked")
    wait_until(lambda: (web.metric(line) or 0) > before, 10, "it is counted as gone")


def test_patience_is_for_a_new_gap() -> None:
    """The first to miss a leader begins the gap; long after it, another may."""
    gap = LeaderGap()
    assert gap.allows(10.0)
    assert gap.allows(10.0 + GAP_S - 0.1)
    assert not gap.allows(10.0 + GAP_S)
    assert not gap.allows(60.0)
    assert gap.allows(100.0)
    gap.end()
    assert gap.allows(103.0)


def test_a_request_is_lost_twice_at_most_on_new_connections() -> None:
    """One that was kept may have been stale and costs no try; the time runs from the first loss."""
    stale, new = ConnectionLost(was_kept=True), ConnectionLost(was_kept=False)
    attempts = Attempts()
    assert [attempts.allow_again(each, 0.0) for each in (stale, new, new)] == [True, True, False]
    late = Attempts()
    assert late.allow_again(stale, 10.0)
    assert not late.allow_again(new, 10.0 + GAP_S)


def test_many_at_once_share_what_is_kept(web: Web) -> None:
    """Requests side by side each have a connection, and never another's answer."""

    def answer(call: Call) -> None:
        call.say(call.line.split()[1].encode())

    with persistent(answer) as upstream, ThreadPoolExecutor(16) as pool:
        web.tell(leading(upstream.url))
        paths = [f"/{number}" for number in range(400)]
        assert list(pool.map(lambda path: web.get(path).text, paths)) == paths
        assert upstream.connections <= 16


def test_a_slow_request_delays_no_other(web: Web) -> None:
    """While one waits for its answer, another is answered."""
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
    """The histogram has each request, with the time that it took."""
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
    """Heads and bodies count, as the upstream and the client see them."""
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
