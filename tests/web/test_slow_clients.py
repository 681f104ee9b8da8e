"""1,000 clients that dawdle: everybody else is answered, and all is given back."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import psutil
import pytest

from tests.support import wait_until
from tests.web.conftest import Web, leading
from tests.web.upstreams import Persistent, persistent
from wrapper.proxy.client_connection import Client, ClientGone
from wrapper.proxy.waiting_clients import WaitingClients

CLIENTS = 1000
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
BEGUN = {
    "nothing": b"",
    "half a head": GET + b"X: ",
    "a long half of a head": GET + (b"X: " + b"y" * 8000 + b"\r\n") * 31,
    "half a body": GET.replace(b"GET", b"POST") + b"Content-Length: 60000\r\n\r\n" + b"a" * 50_000,
}
LARGE = bytes(1 << 20)
KEPT = 128  # connections to Prometheus, for the next requests


@pytest.fixture(scope="module")
def upstream() -> Iterator[Persistent]:
    """Serve as an upstream whose answers are large."""
    with persistent(lambda call: call.say(LARGE if "large" in call.line else b"hello")) as server:
        yield server


@contextlib.contextmanager
def running(upstream: Persistent, descriptors: str) -> Iterator[Web]:
    """Run a web process with this limit of descriptors: what it has, and what it may have."""
    web = Web(run_by=("prlimit", f"--nofile={descriptors}"))
    web.tell(leading(upstream.url))
    try:
        yield web
    finally:
        said = web.stop()
        assert "Traceback" not in said, said


def dawdling(web: Web, stack: contextlib.ExitStack, begun: bytes) -> None:
    """Connect a client that sends this and then nothing, and reads nothing."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.settimeout(0.2)
    with contextlib.suppress(OSError):  # its place may have been given to another
        client.connect(web.address)
        client.sendall(begun)


def is_answering(web: Web) -> bool:
    """Ask for what a kubelet, a page, a Prometheus and a client of the leader ask for."""
    paths = ("/_elector/healthz", "/_elector/status", "/_elector/metrics", "/")
    return all(web.get(path).ok for path in paths)


def test_many_that_send_slowly_keep_nobody_waiting(upstream: Persistent) -> None:
    """Nothing, half a head, a long one, half a body: descriptors and memory have limits."""
    with running(upstream, "256:4096") as web, contextlib.ExitStack() as stack:
        process = psutil.Process(web.process.pid)
        assert is_answering(web)
        descriptors, memory = process.num_fds(), process.memory_info().rss
        for number in range(CLIENTS):
            dawdling(web, stack, list(BEGUN.values())[number % len(BEGUN)])
        wait_until(lambda: process.num_fds() > CLIENTS, 20, "all are connected")
        assert is_answering(web)
        assert process.memory_info().rss - memory < 160 << 20
        stack.close()
        wait_until(lambda: process.num_fds() <= descriptors + 2, 20, "all is given back")
        assert is_answering(web)


def test_many_that_read_nothing_keep_nobody_waiting(upstream: Persistent) -> None:
    """What is held of their answers has a limit, and Prometheus is asked no further."""
    with running(upstream, "256:4096") as web, contextlib.ExitStack() as stack:
        process = psutil.Process(web.process.pid)
        assert is_answering(web)
        descriptors, memory = process.num_fds(), process.memory_info().rss
        for _ in range(CLIENTS):
            dawdling(web, stack, GET.replace(b"/ ", b"/large ", 1) + b"\r\n")
        assert is_answering(web)
        assert process.memory_info().rss - memory < 160 << 20
        stack.close()
        wait_until(lambda: process.num_fds() <= descriptors + KEPT, 20, "all is given back")


def test_few_descriptors_are_shared_out(upstream: Persistent) -> None:
    """Where 256 is all that there is, those that dawdle give way."""
    with running(upstream, "256:256") as web, contextlib.ExitStack() as stack:
        for number in range(CLIENTS):
            begun = [b"", GET.replace(b"/ ", b"/large ", 1) + b"\r\n"][number % 2]
            dawdling(web, stack, begun)
        assert is_answering(web)


def test_requests_in_a_row_do_not_go_before_others(upstream: Persistent) -> None:
    """A client that sends a thousand at once waits between them as others do."""
    with running(upstream, "4096:4096") as web, contextlib.ExitStack() as stack:
        dawdling(web, stack, b"GET /_elector/metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        process = psutil.Process(web.process.pid)
        before = sum(process.cpu_times()[:2])
        assert web.get("/_elector/healthz").ok
        assert sum(process.cpu_times()[:2]) - before < 0.5


def test_what_waiting_clients_hold_has_a_limit() -> None:
    """The one that holds most is cut off; for a place, the one that was waited for longest."""
    pairs = [socket.socketpair() for _ in range(3)]
    clients = [Client(ours, "", "http") for ours, _ in pairs]
    waiting = WaitingClients(most_bytes=100)
    with contextlib.ExitStack() as stack:
        for client, size in zip(clients, (40, 50, 60), strict=True):
            stack.enter_context(waiting.wait(client))
            waiting.set_size(client, size)
        assert pairs[2][1].recv(1) == b""
        waiting.set_size(clients[2], 1000)  # which has gone
        waiting.set_size(clients[0], 45)
        assert waiting.hang_up_longest()
        assert pairs[0][1].recv(1) == b""
        waiting.set_size(clients[1], 100)
        pairs[1][1].setblocking(False)  # noqa: FBT003 - its own form
        with pytest.raises(BlockingIOError):
            pairs[1][1].recv(1)
    assert not waiting.hang_up_longest()
    for each in (each for pair in pairs for each in pair):
        each.close()


def test_the_first_bytes_of_a_head_count_already() -> None:
    """Nobody holds more than the limit by one piece and silence."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.settimeout(5)
        client = Client(ours, "", "http")
        client.data = GET
        waiting = WaitingClients(most_bytes=len(GET) - 1)
        with waiting.wait(client), pytest.raises(ClientGone):
            waiting.await_head(client)
        assert theirs.recv(1) == b""
