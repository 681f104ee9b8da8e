"""The gate's HTTP server, run in the test's process."""

from __future__ import annotations

import gevent
import gevent.socket
import pytest

from wrapper.gate import server
from wrapper.gate.gate import Gate
from wrapper.gate.request_handler import RequestHandler

LIMIT_S = 20.0
PART = b"POST /gate/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 101


def test_the_first_bytes_of_a_body_count_for_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first bytes of a body count for the memory limit.

    No client can exceed it with one piece of a body.
    """
    monkeypatch.setattr(server, "MOST_BYTES", 100)
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    handler = RequestHandler(Gate(1 << 20), {}, has_ended=gevent.sleep, has_held=gevent.sleep)
    serving = server.Server(listener, handler)
    serving.start()
    try:
        with gevent.socket.create_connection(listener.getsockname(), LIMIT_S) as client:
            client.sendall(PART)
            assert client.recv(1) == b""
    finally:
        serving.stop()
