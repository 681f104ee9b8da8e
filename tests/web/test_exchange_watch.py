"""The watch over connections: it ends silent clients, and sleeps while there are none."""

from __future__ import annotations

import socket

import gevent
import gevent.socket

from wrapper.proxy.client_connection import Client
from wrapper.proxy.exchange_watch import HEAD_S, ExchangeWatch

LIMIT_S = 20.0


def test_clients_that_connect_while_it_sleeps_are_watched() -> None:
    """A silent client is disconnected, also if it connects while the watch sleeps."""
    watch = ExchangeWatch(idle_timeout_s=600.0)
    watching = gevent.spawn(watch.run)
    for _ in range(2):
        gevent.sleep(0)
        ours, its = socket.socketpair()
        with ours, its:
            client = Client(ours, "127.0.0.1", "http")
            client.since -= HEAD_S
            with watch.waited_for(client):
                gevent.socket.wait_read(its.fileno(), LIMIT_S, TimeoutError)
            assert its.recv(1) == b""
    watching.kill()
