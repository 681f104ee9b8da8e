"""The gate's HTTP server: Prometheus sends its batches by POST to /gate/<name>.

Each connection has its own greenlet.

Guarantees: a request that is neither passed on nor held gets an answer after which Prometheus sends
it again. Each wait for a client has a limit. Slow clients do not block others: when connections run
short, the client that has kept the server waiting longest is disconnected; when memory runs short,
the client that holds the most.

``gate`` decides what happens to a request, and ``receiver`` sends it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

import gevent
from gevent.server import StreamServer

from wrapper.base import clock, log
from wrapper.gate.reply import Reply, error
from wrapper.gate.request_handler import RequestHandler
from wrapper.gate.requests import TOO_SLOW, Body, Head, Refused, head_of, rendered
from wrapper.model.gate import PATH
from wrapper.proxy.client_connection import Client, ClientGone
from wrapper.proxy.connection_pool import ConnectionPool
from wrapper.proxy.waiting_clients import WaitingClients

LOG = log.limited(logging.getLogger(__name__))
HEAD_S = 10.0  # from the first byte of a head to its last, and from connecting to the first byte
IDLE_S = 330.0  # between two requests; Prometheus closes idle connections earlier, after 5 minutes
BODY_S = 30.0
SEND_S = 30.0
MOST_BYTES = 128 << 20  # of incomplete requests; the same limit again for requests in flight


class Server:
    """Accepts and serves all connections."""

    def __init__(self, listener: socket.socket, handler: RequestHandler) -> None:
        """Take the listening socket, and the handler that answers."""
        self._handler = handler
        self._pool = ConnectionPool()
        self._waiting = WaitingClients(MOST_BYTES)
        self._in_flight = 0  # bytes of bodies
        self._server = StreamServer(listener, self._serve, spawn=self._pool)

    def start(self) -> None:
        """Start to accept connections."""
        self._server.start()

    def stop(self) -> None:
        """Stop to accept connections, and close all."""
        self._server.stop(timeout=0)

    def _serve(self, sock: socket.socket, peer: Any) -> None:
        """Answer the requests of a connection; an error ends only this connection."""
        client = Client(sock, str(peer[0]), "http")
        if self._pool.is_nearly_full:
            self._waiting.hang_up_longest()
        try:
            with contextlib.suppress(OSError, ClientGone):
                while self._answer_next(client):
                    client.is_new = False
                    gevent.sleep(0)  # let other connections run
                with gevent.Timeout(HEAD_S, ClientGone()), self._waiting.wait(client):
                    client.linger()
        except Exception:
            LOG.exception("connection failed")
        finally:
            client.sock.close()

    def _answer_next(self, client: Client) -> bool:
        """Answer one request; return whether the connection stays open."""
        try:
            with self._waiting.wait(client) as wait:
                head = _read_head(client, wait)
                if (problem := _problem(head)) is None:
                    with self._handler.reading(head.endpoint):
                        body = _read_body(client, head, wait)
        except Refused as refused:
            details = {"status": refused.reply.status, "reason": str(refused)}
            LOG.warning("request refused", extra=details)
            self._send(client, rendered(refused.reply, None, clock.wall(), goes_on=False))
            return False
        reply = self._reply(head, body) if problem is None else problem
        goes_on = problem is None and head.request.wants_more
        self._send(client, rendered(reply, head.request, clock.wall(), goes_on=goes_on))
        return goes_on

    def _reply(self, head: Head, body: bytes) -> Reply:
        if self._in_flight and self._in_flight + len(body) > MOST_BYTES:
            return self._handler.refuse(head.endpoint, body, head.fields)
        self._in_flight += len(body)
        try:
            return self._handler.answer(head.endpoint, body, head.fields)
        finally:
            self._in_flight -= len(body)

    def _send(self, client: Client, answer: bytes) -> None:
        with gevent.Timeout(SEND_S, ClientGone()), self._waiting.wait(client):
            client.send(answer)


def _read_head(client: Client, waiting: WaitingClients) -> Head:
    """Read a head, and remove it from the client's data; raise ``Refused``, ``ClientGone``."""
    if not client.data:
        with gevent.Timeout(HEAD_S if client.is_new else IDLE_S, ClientGone()):
            client.data = client.receive()
    with gevent.Timeout(HEAD_S, ClientGone()):
        waiting.await_head(client)
    head = head_of(client.data)
    client.data = client.data[head.end :]
    return head


def _read_body(client: Client, head: Head, waiting: WaitingClients) -> bytes:
    """Read a body; raise ``Refused``, ``ClientGone``."""
    body = Body(head.request)
    client.data = body.take(client.data)
    if head.request.fields.expects and not body.is_complete:
        client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    with gevent.Timeout(BODY_S, Refused(TOO_SLOW)):
        while not body.is_complete:
            waiting.set_size(client, body.size)
            client.data = body.take(client.receive())
    return body.content


def _problem(head: Head) -> Reply | None:
    """Return the error for a request with a wrong path or method; its body is not read."""
    if not head.endpoint:
        return error(404, f"no such path here; remote_write sends to {PATH}NAME")
    if head.request.method != b"POST":
        return error(405, "remote_write sends by POST", ("Allow", "POST"))
    return None
