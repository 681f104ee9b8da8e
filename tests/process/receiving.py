"""A receiver of remote writes on loopback that can misbehave, and that records its requests."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import Pair
from tests.support import now

Play = Callable[["Incoming"], None]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it was received, with its header fields in order and as they were spelled.

    ``at`` is when, in seconds since boot.
    """

    at: float
    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str | None:
        """Return the value of the first field with this name."""
        return next((value for each, value in self.fields if each.lower() == name), None)


class Incoming(BaseHTTPRequestHandler):
    """A request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: StandInReceiver
    received: Received

    def handle_one_request(self) -> None:
        """Ignore errors of a client that has disconnected."""
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def do_POST(self) -> None:
        """Record the request, and answer it as the test has set."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = tuple(self.headers.items())
        self.received = Received(now(), self.command, self.path, fields, body)
        self.server.seen.append(self.received)
        self.server.play(self)

    def do_CONNECT(self) -> None:
        """Act as a proxy: record the request for a tunnel, and provide the tunnel."""
        self.server.seen.append(
            Received(now(), "CONNECT", self.path, tuple(self.headers.items()), b"")
        )
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            sides = {self.connection: there, there: self.connection}
            while ready := select.select(list(sides), [], [], 10)[0]:
                for side in ready:
                    if not (piece := side.recv(1 << 16)):
                        self.close_connection = True
                        return
                    sides[side].sendall(piece)

    def answer(self, status: int = 204, body: bytes = b"", **fields: str) -> None:
        """Send a complete answer; ``_`` in the name of a field stands for ``-``."""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def hang(self) -> None:
        """Send nothing until the test ends."""
        self.server.is_over.wait(60)
        self.close_connection = True

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class StandInReceiver(ThreadingHTTPServer):
    """A receiver that answers as the test sets in `play`; by default with 204."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Incoming)
        self.play: Play = Incoming.answer
        self.seen: list[Received] = []
        self.is_over = threading.Event()
        self.connections = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        """The URL for remote writes."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}/api/v1/write"

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the requests, in the order of their arrival."""
        return [each.body for each in self.seen]

    def use_tls(self, pair: Pair, clients: Path | None = None) -> None:
        """Use TLS from now on; ``clients`` is the CA of the required client certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair.paths)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"

    def process_request(self, request: object, client_address: object) -> None:
        """Count the connection."""
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, *_: object) -> None:
        """Ignore errors of clients that have disconnected."""


@contextmanager
def receiving() -> Iterator[StandInReceiver]:
    """Run a receiver until the context ends."""
    server = StandInReceiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
