"""Memory of the proxy after an exchange that was given up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest

from tests.memory import stays
from wrapper.proxy import client_connection
from wrapper.proxy.client_connection import Client, ClientGone
from wrapper.proxy.exchange import Exchange
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.http_head import request_head
from wrapper.proxy.refusals import Refused
from wrapper.proxy.upload import Upload


@pytest.mark.parametrize(
    ("give_up", "kind"), [(Exchange.client_has_gone, ClientGone), (Exchange.is_silent, Refused)]
)
def test_an_exchange_that_was_given_up_is_freed(
    monkeypatch: pytest.MonkeyPatch, give_up: Callable[[Exchange], None], kind: type[Exception]
) -> None:
    """An exchange that was given up, and its request, do not stay in memory with the error."""
    monkeypatch.setattr(client_connection, "socket", gevent.socket)  # as in the web process

    def exchanged() -> None:
        with gevent.Timeout(20):
            _exchange(give_up)

    assert not stays(exchanged, kind)


def _exchange(give_up: Callable[[Exchange], None]) -> None:
    """Forward a request to an upstream that does not answer, and give the exchange up."""
    ours, theirs = gevent.socket.socketpair()
    upstream, prometheus = gevent.socket.socketpair()
    with ours, theirs, upstream, prometheus:
        client = Client(ours, "127.0.0.1", "http")
        head = request_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        request = Request(head.method, head.target, 1, forwarded_fields(head, "127.0.0.1", "http"))
        connection = SimpleNamespace(sock=upstream, answers=0, url="", close=upstream.close)
        leader: Any = SimpleNamespace(
            target=lambda: SimpleNamespace(label="leader", url="http://a", identity="a"),
            connections=SimpleNamespace(take=lambda *_, **__: connection),
            head=lambda *_: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            gap=SimpleNamespace(end=lambda: None),
        )
        configured: Any = SimpleNamespace(lines=b"", names=frozenset(), into=lambda lines: lines)
        exchange = Exchange(client, request, Upload(client, request, 0), configured, leader)

        def play() -> None:
            prometheus.recv(1000)
            give_up(exchange)

        player = gevent.spawn(play)
        try:
            exchange.forward()
        finally:
            player.join()
