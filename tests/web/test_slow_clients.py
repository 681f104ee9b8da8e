"""1,000 slow clients: others are answered, and all resources are freed."""

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
KEPT = 128  # connections to Prometheus that are kept for the next requests


@pytest.fixture(scope="module")
def upstream() -> Iterator[Persistent]:
    """Run an upstream with large answers."""
    with persistent(lambda call: call.say(LARGE if "large" in call.line else b"hello")) as server:
        yield server


@contextlib.contextmanager
def running(upstream: Persistent, descriptors: str) -> Iterator[Web]:
    """Run a web process with this soft and hard limit of descriptors."""
    web = Web(run_by=("prlimit", f"--nofile={descriptors}"))
    web.tell(leading(upstream.url))
    try:
        yield web
    finally:
        said = web.stop()
        assert "Traceback" not in said, said


def connect_slow_client(web: Web, stack: contextlib.ExitStack, begun: bytes) -> None:
    """Connect a client that sends this, and then neither sends nor reads."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.settimeout(0.2)
    with contextlib.suppress(OSError):  # it may have been disconnected in favour of another
        client.connect(web.address)
        client.sendall(begun)


def is_answering(web: Web) -> bool:
    """Return whether health, status, metrics and the proxy answer."""
    paths = ("/_elector/healthz", "/_elector/status", "/_elector/metrics", "/")
    return all(web.get(path).ok for path in paths)


def test_clients_that_send_slowly_do_not_block_others(upstream: Persistent) -> None:
    """Clients that stop within a request do not delay others, and take limited memory."""
    with running(upstream, "256:4096") as web, contextlib.ExitStack() as stack:
        process = psutil.Process(web.process.pid)
        assert is_answering(web)
        descriptors, memory = process.num_fds(), process.memory_info().rss
        for number in range(CLIENTS):
            connect_slow_client(web, stack, list(BEGUN.values())[number % len(BEGUN)])
        wait_until(lambda: process.num_fds() > CLIENTS, 20, "all are connected")
        assert is_answering(web)
        assert process.memory_info().rss - memory < 160 << 20
        stack.close()
        wait_until(lambda: process.num_fds() <= descriptors + 2, 20, "all is given back")
        assert is_answering(web)


def test_clients_that_do_not_read_do_not_block_others(upstream: Persistent) -> None:
    """Clients that do not read their answers do not delay others, and take limited memory."""
    with running(upstream, "256:4096") as web, contextlib.ExitStack() as stack:
        process = psutil.Process(web.process.pid)
        assert is_answering(web)
        descriptors, memory = process.num_fds(), process.memory_info().rss
        for _ in range(CLIENTS):
            connect_slow_client(web, stack, GET.replace(b"/ ", b"/large ", 1) + b"\r\n")
        assert is_answering(web)
        assert process.memory_info().rss - memory < 160 << 20
        stack.close()
        wait_until(lambda: process.num_fds() <= descriptors + KEPT, 20, "all is given back")


def test_slow_clients_are_disconnected_for_others(upstream: Persistent) -> None:
    """If only 256 descriptors are available, slow clients are disconnected for others."""
    with running(upstream, "256:256") as web, contextlib.ExitStack() as stack:
        for number in range(CLIENTS):
            begun = [b"", GET.replace(b"/ ", b"/large ", 1) + b"\r\n"][number % 2]
            connect_slow_client(web, stack, begun)
        assert is_answering(web)


def test_pipelined_requests_do_not_block_others(upstream: Persistent) -> None:
    """A client that pipelines 1,000 requests does not delay another client's request."""
    with running(upstream, "4096:4096") as web, contextlib.ExitStack() as stack:
        connect_slow_client(web, stack, b"GET /_elector/metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        process = psutil.Process(web.process.pid)
        before = sum(process.cpu_times()[:2])
        assert web.get("/_elector/healthz").ok
        assert sum(process.cpu_times()[:2]) - before < 0.5


def test_data_of_waiting_clients_is_limited() -> None:
    """Above the limit, the client with the most data is disconnected.

    For a new client, the one that has waited longest is disconnected.
    """
    pairs = [socket.socketpair() for _ in range(3)]
    clients = [Client(ours, "", "http") for ours, _ in pairs]
    waiting = WaitingClients(most_bytes=100)
    with contextlib.ExitStack() as stack:
        for client, size in zip(clients, (40, 50, 60), strict=True):
            stack.enter_context(waiting.wait(client))
            waiting.set_size(client, size)
        assert pairs[2][1].recv(1) == b""
        waiting.set_size(clients[2], 1000)  # it was disconnected
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


def test_the_first_bytes_of_a_header_count_for_the_limit() -> None:
    """The first bytes of a header count for the limit.

    No client can exceed it with one piece of a header.
    """
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
