"""Several workers act as one server, and each one exposes the metrics of all."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from tests.support import wait_until
from tests.web.conftest import Web, leading
from tests.web.upstreams import Call, persistent

REQUESTS = 'prometheus_elector_proxy_requests_total{code="200",method="GET",target="local"}'
IN_FLIGHT = "prometheus_elector_proxy_requests_in_flight"


@pytest.fixture
def web() -> Iterator[Web]:
    """Run a web process with three workers."""
    web = Web(workers=3)
    yield web
    web.stop()


def _ask(web: Web) -> socket.socket:
    client = socket.create_connection(web.address, timeout=20)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


def _never(call: Call) -> bool:
    while call.sock.recv(100):
        pass
    return True


def test_metrics_are_those_of_all_workers(web: Web) -> None:
    """Each request is counted once, and every worker exposes the total.

    This also holds after workers were killed.
    """
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        for number in range(1, 61):
            assert web.get("/").ok
            # A worker counts a request after its client has the answer.
            wait_until(lambda total=number: web.metric(REQUESTS) == total, 15, "it is counted")  # type: ignore[misc]
            if number % 20 == 0:
                web.workers[0].send_signal(signal.SIGKILL)
                wait_until(lambda: len(web.workers) == 3, 15, "it has a successor")
                assert web.metric(REQUESTS) == number
        assert [web.metric(REQUESTS) for _ in range(20)] == [60.0] * 20


def test_a_killed_workers_requests_are_not_in_flight(web: Web) -> None:
    """When a worker is killed, its requests are no longer in flight."""
    with persistent(_never) as upstream:
        web.tell(leading(upstream.url))
        clients = [_ask(web) for _ in range(12)]
        wait_until(lambda: web.metric(IN_FLIGHT) == 12, 15, "all are in flight")
        for worker in web.workers:
            worker.send_signal(signal.SIGKILL)
        wait_until(lambda: web.metric(IN_FLIGHT) == 0, 15, "nothing is in flight")
    for client in clients:
        client.close()
