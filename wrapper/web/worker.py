"""A worker: requests under /_elector/ go to the Flask app, all others to the proxy.

One parser reads all requests. Forwarded requests are copied from socket to socket, without WSGI,
which would change them. ``server`` starts and stops workers.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import gevent
from flask import Flask
from gevent.event import Event
from gevent.server import StreamServer
from gevent.util import wrap_errors

from wrapper.base import clock, log
from wrapper.options.web_options import WebOptions
from wrapper.proxy.client_connection import Client, ClientGone
from wrapper.proxy.connection_pool import ConnectionPool
from wrapper.proxy.exchange_watch import ExchangeWatch
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.http_head import BadHead, Fields, RequestHead, origin_form, request_head
from wrapper.proxy.proxy import Proxy
from wrapper.proxy.refusals import Refused, rendered
from wrapper.proxy.route import is_ours
from wrapper.proxy.upload import Upload
from wrapper.proxy.waiting_clients import WaitingClients
from wrapper.web.wsgi import answer_of, environ_of

LOG = log.limited(logging.getLogger(__name__))
Tls = Callable[[], ssl.SSLContext]

_NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port expects TLS: use https.\n"
)
PROXY = "proxy"  # the name of the proxy among the app's extensions
CHECK_PERIOD_S = 3.0  # between heartbeats (one is due each minute) and checks of idle connections
END_PERIOD_S = 1.0  # between checks of requests in flight, after the order to stop
MOST_HEAD_BYTES_TOGETHER = 64 << 20  # of all incomplete heads
LARGEST_BODY = 64 << 10  # bytes, of a request under /_elector/
# Ends before the arbiter kills the worker: an answer aborted by that would look complete.
BEFORE_KILL_S = 0.5


class ProxyWorker:
    """Serves client connections, each in its own greenlet."""

    def __init__(self, app: Flask, options: WebOptions, tls: Tls | None) -> None:
        """Take the app and the options; gevent must have patched blocking functions before."""
        self._app = app
        self._options = options
        self._tls = tls
        self._proxy: Proxy | None = app.extensions.get(PROXY)
        self._watch = ExchangeWatch(options.idle_timeout_s)
        self._waiting = WaitingClients(MOST_HEAD_BYTES_TOGETHER)
        self._pool = ConnectionPool()
        self._is_leaving = False
        self._wake = Event()

    def run(self, listener: socket.socket, notify: Callable[[], None]) -> bool:
        """Serve until stopped; then let requests in flight end, within the grace time.

        ``notify`` is called every few seconds. Return False if a failure has ended the watch over
        connections, or the accepting of connections.
        """
        watching = gevent.spawn(wrap_errors((Exception,), self._watch.run))
        watching.link(lambda _: self._wake.set())
        server = StreamServer(listener, handle=self._serve, spawn=self._pool)
        if self._options.workers > 1:
            server.max_accept = 1  # leaves the other workers their share
        server.start()
        is_sound = True
        while not self._is_leaving and (is_sound := _is_sound(watching, server)):
            notify()
            if self._proxy is not None:
                self._proxy.tidy()
            self._wake.wait(CHECK_PERIOD_S)
        server.close()
        grace_s = math.ceil(self._options.shutdown_grace_s) - BEFORE_KILL_S
        self._await_end(notify, grace_s if is_sound else 0.0)
        return is_sound

    def stop(self) -> None:
        """Accept no more connections, and close those that wait for a request."""
        self._is_leaving = True
        self._wake.set()

    def _await_end(self, notify: Callable[[], None], within_s: float) -> None:
        """Let requests in flight end; close connections that have none."""
        self._is_leaving = True
        if self._proxy is not None:
            self._proxy.leave()
        until = time.monotonic() + within_s
        self._watch.hang_up_waiting()
        while (left_s := until - time.monotonic()) > 0:
            if self._pool.join(timeout=min(left_s, END_PERIOD_S)):
                break
            notify()
            self._watch.hang_up_waiting()
        self._pool.kill(timeout=END_PERIOD_S)

    # --- one connection ---

    def _serve(self, sock: socket.socket, peer: Any) -> None:
        """Answer the requests of a connection; an error ends only this connection."""
        tls = self._tls
        client = Client(sock, peer[0], "https" if tls else "http")
        self._make_room()
        try:
            with contextlib.suppress(OSError, ClientGone, gevent.GreenletExit):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    self._secure(client, tls())
                self._converse(client)
        except Exception:
            LOG.exception("connection failed")
        finally:
            client.sock.close()

    def _make_room(self) -> None:
        """Disconnect a slow client if few places are left, because others need them."""
        if self._pool.is_nearly_full:
            _ = self._waiting.hang_up_longest() or self._watch.abort_slowest()

    def _secure(self, client: Client, context: ssl.SSLContext) -> None:
        """Do the TLS handshake, within the time limit for a head."""
        secured = context.wrap_socket(client.sock, server_side=True, do_handshake_on_connect=False)
        client.sock = secured
        try:
            with self._watch.waited_for(client), self._waiting.wait(client):
                secured.do_handshake()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                os.write(secured.fileno(), _NO_TLS)
            raise

    def _converse(self, client: Client) -> None:
        goes_on = True
        while goes_on and not self._is_leaving:
            client.since = clock.now()
            with self._watch.waited_for(client), self._waiting.wait(client):
                _await_head(client, self._waiting)
            try:
                goes_on = self._answer(_take_head(client), client)
            except Refused as refused:
                details = {"client": client.address, "reason": str(refused)}
                LOG.warning("request refused", extra={"status": refused.code, **details})
                client.send(rendered(refused, clock.wall(), has_body=True, keeps_client=False))
                goes_on = False
            client.is_new = False
            if client.data:
                gevent.sleep(0)  # let other connections run, even if many requests wait on this one
        with self._watch.waited_for(client), self._waiting.wait(client):
            client.linger()

    def _answer(self, head: RequestHead, client: Client) -> bool:
        """Answer a request whose head was received; return whether the connection stays open."""
        fields = forwarded_fields(head, client.address, client.scheme)
        request = Request(head.method, origin_form(head.target), head.minor, fields)
        if request.problem is not None:
            raise Refused(*request.problem)
        if self._proxy is not None and not is_ours(request.target):
            return self._proxy.serve(client, request, self._watch)
        return self._answer_by_app(request, head.fields, client)

    def _answer_by_app(self, request: Request, fields: Fields, client: Client) -> bool:
        """Have the Flask app answer; the client must send and read within the body's time limit."""
        within_s = self._options.body_timeout_s
        upload = Upload(client, request, LARGEST_BODY, is_ours=True)
        upload.begin(within_s)
        if request.minor > 0 and request.fields.expects and not upload.is_complete:
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        upload.finish(within_s)
        environ = environ_of(request, fields, upload.first, client)
        keeps_client = request.wants_more and not self._is_leaving
        answer = answer_of(self._app, environ, keeps_client=keeps_client)
        client.sock.settimeout(within_s)
        client.send(answer)
        client.sock.settimeout(None)
        return keeps_client


def _is_sound(watching: gevent.Greenlet[[], Any], server: StreamServer) -> bool:
    """Return whether connections are watched and accepted; log which of the two has ended."""
    if watching.ready():
        LOG.error("connections are no longer watched: exiting", exc_info=watching.value)
    if server.closed:
        LOG.error("connections are no longer accepted: exiting")
    return not (watching.ready() or server.closed)


def _await_head(client: Client, waiting: WaitingClients) -> None:
    """Wait for a complete head, or for bytes that cannot become one; raise ClientGone."""
    if not client.data:
        client.data = client.receive()
    client.since = clock.now()
    waiting.await_head(client)


def _take_head(client: Client) -> RequestHead:
    """Parse the head, and remove it from the client's data; raise Refused."""
    try:
        head = request_head(client.data)
    except BadHead as error:
        raise Refused(error.code, "bad_data", f"malformed request: {error}") from error
    client.data = client.data[head.end :]
    return head
