"""A proxy between replicas and the API server that causes faults of the network."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.real.parts import ApiServer, Namespace, kubeconfig
from tests.support import free_port, now

WRITES = frozenset({"POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that the proxy received."""

    method: str
    path: str
    at: float
    body: bytes = field(repr=False)

    @property
    def verb(self) -> str:
        """The request's verb in RBAC."""
        if self.method == "GET":
            return "watch" if "watch=" in self.path else "get"
        return {"POST": "create", "PUT": "update", "PATCH": "patch"}[self.method]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to requests of these methods, which are not passed on to the server."""

    status: int
    methods: frozenset[str] = WRITES
    headers: tuple[tuple[str, str], ...] = ()


class Proxy:
    """A proxy before the API server, with its certificate; it passes all on unless told otherwise.

    `refusal` and `loses_replies` affect requests; `swallow`, `forget` and `refuse` affect packets.
    Packets that were held by `swallow` arrive afterwards, as with TCP.
    """

    def __init__(self, server: ApiServer, folder: Path, host: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.server = server
        self.port = free_port()
        self.url = f"https://{host}:{self.port}"
        self.asked: list[Asked] = []
        self.refusal: Refusal | None = None
        self.loses_replies = False
        self.delay_s = 0.0
        self.gate = threading.Event()
        self._folder = folder
        self._closed = threading.Event()
        self._gates = [self.gate]
        self._sockets: list[socket.socket] = []
        self._listener: ThreadingHTTPServer | None = None
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(server.ca_file, server.ca_file.with_suffix(".key"))
        self.trust = ssl.create_default_context(cafile=str(server.ca_file))
        self.accept()

    def kubeconfig(self, namespace: Namespace) -> Path:
        """Return a kubeconfig that uses this proxy."""
        path = self._folder / f"kubeconfig-{self.port}"
        path.write_text(kubeconfig(self.server, namespace.name, namespace.token_file, self.url))
        return path

    def accept(self) -> None:
        """Listen, and pass everything on."""
        self.gate.set()
        self.refusal, self.loses_replies, self.delay_s = None, False, 0.0
        if self._listener is None:
            self._listener = _Listener((self.host, self.port), partial(_Relay, self))
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def refuse(self) -> None:
        """Stop listening, and close all connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown()
            listener.server_close()
        self._cut()

    def swallow(self) -> None:
        """Hold all packets, in both directions; connections stay open."""
        self.gate.clear()

    def forget(self) -> None:
        """Hold all packets of the present connections for ever; new connections work."""
        self.gate.clear()
        self.gate = threading.Event()
        self.gate.set()
        self._gates.append(self.gate)

    def count(self, *verbs: str, since: float = 0.0) -> int:
        """Return how many requests with these verbs have arrived."""
        return sum(each.verb in verbs and each.at >= since for each in tuple(self.asked))

    def close(self) -> None:
        """Stop the proxy and close its connections."""
        self._closed.set()
        self.refuse()
        for gate in self._gates:
            gate.set()

    def _cut(self) -> None:
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Wait until the proxy is closed."""
        self._closed.wait()

    def take(self, connection: socket.socket) -> None:
        """Remember a connection, to close it later."""
        self._sockets.append(connection)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: connections are closed here on purpose."""


class _Relay(BaseHTTPRequestHandler):
    """One connection to the proxy; each request gets its own connection to the server."""

    protocol_version = "HTTP/1.1"
    request: socket.socket

    def __init__(self, proxy: Proxy, *arguments: Any) -> None:
        self._proxy = proxy
        self._gate = proxy.gate
        super().__init__(*arguments)

    def setup(self) -> None:
        self._gate.wait()
        self._proxy.take(self.request)
        self.request = self._proxy.tls.wrap_socket(self.request, server_side=True)
        self._proxy.take(self.request)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._gate.wait()
        proxy = self._proxy
        proxy.asked.append(Asked(self.command, self.path, now(), body))
        proxy._closed.wait(proxy.delay_s)
        if proxy.refusal is not None and self.command in proxy.refusal.methods:
            return self._refuse(proxy.refusal)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", int(proxy.server.url.rpartition(":")[2]), context=proxy.trust
        )
        try:
            self._pass_on(connection, body)
        finally:
            connection.close()
        return None

    do_GET = do_POST = do_PUT = do_PATCH = _relay  # noqa: N815 - http.server's names

    def _refuse(self, refusal: Refusal) -> None:
        body = b'{"kind":"Status","status":"Failure","message":"so it is"}'
        self.send_response_only(refusal.status)
        for name, value in (*refusal.headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pass_on(self, connection: http.client.HTTPSConnection, body: bytes) -> None:
        connection.connect()
        self._proxy.take(connection.sock)
        connection.request(self.command, self.path, body, _end_to_end(self.headers.items()))
        response = connection.getresponse()
        if self._proxy.loses_replies and self.command in WRITES:
            self._proxy.stall()
        self._gate.wait()
        self.send_response_only(response.status)
        for name, value in _end_to_end(response.getheaders()).items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := response.read1(65536):
            self._gate.wait()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _end_to_end(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    own = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
    return {name: value for name, value in headers if name.lower() not in own}
