"""gunicorn's gevent worker with the proxy beside the Flask app: what is not ours goes to it.

A plain request's head is read by ``plain_request``; all others, and all for the app, by gunicorn's
own strict parser, which also words the refusal of a bad one. Requests that are forwarded go from
socket to socket, round WSGI, which could not carry them unchanged. Where it ends: what happens to a
request after its head is the proxy's, or the app's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import NoMoreData  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from wrapper import clock
from wrapper.proxy.exchange import FIRST_PIECE_BYTES, Client, ClientGone
from wrapper.proxy.exchange_watch import HEAD_S, ExchangeWatch
from wrapper.proxy.forwarding import Request, crossing
from wrapper.proxy.http_head import PlainRequest, is_head_over, is_too_long, plain_request
from wrapper.proxy.proxy import Proxy
from wrapper.proxy.refusals import Refused, rendered
from wrapper.proxy.route import is_ours, origin_form

Tls = Callable[[], ssl.SSLContext]

_TOO_LONG = Refused(431, "bad_data", "the request's head is too long")

_NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS: write https.\n"
)
PROXY = "proxy"  # the app's extension that forwards
HEARTBEAT_PERIOD_S = 1.0
BEFORE_KILL_S = 0.5  # the arbiter kills when the grace is over, and what is cut looks whole


class ProxyWorker(GeventWorker):  # type: ignore[misc]
    """Serves clients' connections, each in a greenlet of its own."""

    def init_process(self) -> None:
        """Prepare and run, in the new process."""
        self._is_leaving = Event()
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop; then let requests under way end, for the grace time."""
        self._proxy: Proxy | None = self.wsgi.extensions.get(PROXY)
        self._watch = ExchangeWatch(self.app.options.idle_timeout_s)
        self._watch.start()
        pool = Pool(self.worker_connections)
        servers = [
            StreamServer(each, handle=self._handler(each), spawn=pool) for each in self.sockets
        ]
        for server in servers:
            if self.cfg.workers > 1:
                server.max_accept = 1  # the others get their share
            server.start()
        while self.alive:
            self.notify()
            if self._proxy is not None:
                self._proxy.tidy()
            self._is_leaving.wait(HEARTBEAT_PERIOD_S)
        for server in servers:
            server.close()
        self._await_end(pool)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Leave: take no more connections, and end those that wait for a request."""
        super().handle_exit(sig, frame)
        self._is_leaving.set()

    def _handler(self, listener: socket.socket) -> Any:
        name = listener.getsockname()
        return lambda sock, peer: self._serve(name, sock, peer)

    def _await_end(self, pool: Pool) -> None:
        """Let requests under way end; connections without one are ended."""
        if self._proxy is not None:
            self._proxy.leave()
        until = time.monotonic() + self.cfg.graceful_timeout - BEFORE_KILL_S
        self._watch.hang_up_waiting()
        while (left_s := until - time.monotonic()) > 0:
            if pool.join(timeout=min(left_s, HEARTBEAT_PERIOD_S)):
                break
            self.notify()
            self._watch.hang_up_waiting()
        pool.kill(timeout=HEARTBEAT_PERIOD_S)

    # --- one connection ---

    def _serve(self, listener_name: Any, sock: socket.socket, peer: Any) -> None:
        """Answer one request after the other; whatever goes wrong is this connection's alone."""
        tls: Tls | None = self.app.tls
        client = Client(sock, peer[0], "https" if tls else "http")
        try:
            with contextlib.suppress(OSError, ClientGone, gevent.GreenletExit):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    self._secure(client, tls())
                self._converse(listener_name, client, peer)
        except Exception:
            self.log.exception("a connection failed")
        finally:
            client.sock.close()

    def _secure(self, client: Client, context: ssl.SSLContext) -> None:
        """Shake hands, within the time that a head has."""
        secured = context.wrap_socket(client.sock, server_side=True, do_handshake_on_connect=False)
        client.sock = secured
        try:
            with self._watch.waited_for(client):
                secured.do_handshake()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                os.write(secured.fileno(), _NO_TLS)
            raise

    def _converse(self, listener_name: Any, client: Client, peer: Any) -> None:
        goes_on = True
        while goes_on and self.alive:
            client.since = clock.now()
            with self._watch.waited_for(client):
                plain = _next_head(client)
            goes_on = self._answer(plain, listener_name, client, peer)
            client.is_new = False
        with self._watch.waited_for(client):
            client.linger()

    def _answer(
        self, plain: PlainRequest | None, listener_name: Any, client: Client, peer: Any
    ) -> bool:
        """Answer a request of which the head has come; tell whether the connection can go on."""
        if plain is not None and self._proxy is not None and not is_ours(plain.target):
            fields = crossing(plain.lines, client.address, client.scheme)
            if fields.is_plain:
                client.data = client.data[plain.end :]
                request = Request(plain.method, plain.target, 1, fields)
                return self._proxy.serve(client, request, self._watch)
        return self._answer_any(listener_name, client, peer)

    def _answer_any(self, listener_name: Any, client: Client, peer: Any) -> bool:
        """Have gunicorn read the head, and the app or the proxy answer."""
        if is_too_long(client.data):
            client.sock.sendall(rendered(_TOO_LONG, has_body=True, keeps_client=False))
            return False
        parser = RequestParser(self.cfg, client.sock, peer)
        parser.unreader.unread(client.data)
        client.data = b""
        try:
            incoming = next(parser)
        except (StopIteration, NoMoreData, OSError):
            return False
        except Exception as error:  # noqa: BLE001 - gunicorn words what was wrong
            self.handle_error(None, client.sock, peer, error)
            return False
        target = origin_form(incoming.uri.encode("latin-1"))
        if self._proxy is not None and not is_ours(target):
            client.data = parser.unreader.take_buffered()
            return self._proxy.serve(client, _request(incoming, target, client), self._watch)
        return self._answer_by_app(parser, incoming, listener_name, client, peer)

    def _answer_by_app(
        self, parser: Any, incoming: Any, listener_name: Any, client: Client, peer: Any
    ) -> bool:
        """Have the Flask app answer, through WSGI; a client has to send, and to read, meanwhile."""
        client.sock.settimeout(self.app.options.body_timeout_s)
        try:
            self.handle_request(listener_name, incoming, client.sock, peer)
        except StopIteration:
            return False
        client.sock.settimeout(None)
        is_read = parser.finish_body(deadline=time.monotonic() + HEAD_S)
        client.data = parser.unreader.take_buffered()
        return bool(is_read)


def _next_head(client: Client) -> PlainRequest | None:
    """Wait until a head has come; return it if it is a plain one. Raise ClientGone."""
    looked_at = 0
    while not is_head_over(client.data, looked_at):
        if client.data and not looked_at:
            client.since = clock.now()
        looked_at = len(client.data)
        data = client.sock.recv(FIRST_PIECE_BYTES)
        if not data:
            raise ClientGone
        client.data += data
    return plain_request(client.data)


def _request(incoming: Any, target: bytes, client: Client) -> Request:
    """Return a request that gunicorn's parser has read, as the proxy takes it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in incoming.headers)
    fields = crossing(lines.encode("latin-1"), client.address, client.scheme)
    return Request(incoming.method.encode(), target, incoming.version[1], fields)
