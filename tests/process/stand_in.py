"""A stand-in for the API server on loopback, for faults that a real one cannot be made to show."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from wrapper.election import lease_object
from wrapper.model.lease import LeaseRecord, LeaseUnavailable

LIMIT_S = 0.5
RECORD = LeaseRecord("a", 15.0, "2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:05.000006Z")
LEASE = lease_object.lease_of(
    RECORD, {"kind": "Lease", "metadata": {"name": "prometheus", "resourceVersion": "7"}}, "pod-1"
)

Play = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """A request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: StandIn

    def handle_one_request(self) -> None:
        """Ignore errors of a client that has disconnected."""
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def do_GET(self) -> None:
        """Record the request, and answer it as the test has set."""
        self.body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        self.server.seen.append(self)
        self.server.play(self)

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names that http.server looks for

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        """Send a complete answer."""
        content = json.dumps(body or {"kind": "Status", "message": "played"}).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def begin_watch(self) -> None:
        """Send the header of a stream."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, kind: str, of: Any = LEASE) -> None:
        """Send one event of a stream."""
        line = json.dumps({"type": kind, "object": of}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def end_watch(self) -> None:
        """Send the end of a stream."""
        self.wfile.write(b"0\r\n\r\n")

    def wait(self) -> None:
        """Send nothing until the test ends."""
        self.server.is_over.wait(10)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class StandIn(ThreadingHTTPServer):
    """A server that answers as the test sets in `play`, and that records its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.play: Play = lambda request: request.answer(200, LEASE)
        self.seen: list[Request] = []
        self.is_over = threading.Event()
        self.scheme = "http"

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Ignore errors of clients that have disconnected."""


@contextmanager
def running(server: StandIn) -> Iterator[StandIn]:
    """Run a server until the context ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def with_tls(server: StandIn, certificate: tuple[Path, Path]) -> None:
    """Make the stand-in use TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"


def raw(body: bytes, **headers: str) -> Play:
    """Return a function that answers 200 with these bytes."""

    def play(request: Request) -> None:
        request.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return play


def endless(request: Request) -> None:
    """Answer 200 with a body that never ends."""
    request.begin_watch()
    while not request.server.is_over.is_set():
        request.wfile.write(b"10000\r\n%s\r\n" % (b" " * 0x10000))


def problem_of(call: Callable[[], object]) -> tuple[LeaseUnavailable, float]:
    """Return the error that a call raises, and the seconds that it took."""
    started_at = time.monotonic()
    with pytest.raises(LeaseUnavailable) as caught:
        call()
    return caught.value, time.monotonic() - started_at
