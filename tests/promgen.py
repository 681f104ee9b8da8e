"""A server that answers as Promgen does, or with errors, and that records its requests."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TARGETS, URLS, RULES = "/api/v1/targets", "/api/v1/urls", "/api/v1/rules"


def group(*targets: str, shard: str = "promshard", **labels: str) -> dict[str, Any]:
    """Return a target group in Promgen's format."""
    own = {"__shard": shard, "service": "s", "project": "p", "farm": "f", "job": "node"}
    return {"labels": {**own, "__scheme__": "http", **labels}, "targets": list(targets)}


def targets(*groups: dict[str, Any]) -> bytes:
    """Return the body of an answer with these groups."""
    return json.dumps(list(groups), indent=2).encode()


def rendered(body: bytes) -> Any:
    """Return the content of a body or a file of targets, or None if it is no JSON."""
    with contextlib.suppress(ValueError):
        return json.loads(body)
    return None


def rules(expr: str = "up == 0", name: str = "Down") -> bytes:
    """Return the body of an answer with one rule."""
    return f"""\
groups:
- name: promgen
  rules:
  - alert: {name}
    expr: {expr}
    for: 1m
    labels: {{severity: major}}
""".encode()


class Promgen(ThreadingHTTPServer):
    """The server: ``bodies`` by path; ``act``, if set, answers instead."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://{host}:{self.server_port}"
        self.bodies: dict[str, bytes] = {}
        self.act: Callable[[Any], None] | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.statuses: list[int] = []
        self.ends = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """End the server and its answers in progress."""
        self.ends.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    """Answers with the body of the path and its ETag, or as ``act`` does."""

    protocol_version = "HTTP/1.1"
    server: Promgen

    def do_GET(self) -> None:
        """Record the request, and answer it."""
        self.close_connection = True
        self.server.requests.append((self.path, dict(self.headers)))
        if self.server.act is not None:
            with contextlib.suppress(OSError):
                self.server.act(self)
        else:
            answer(self, self.server.bodies[self.path.removeprefix(self.server.url)])

    def do_POST(self) -> None:
        """Answer as a GET request."""
        self.do_GET()

    def log_request(self, code: Any = "-", _size: Any = "-") -> None:
        """Record the status."""
        self.server.statuses.append(int(code))

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def answer(to: Any, body: bytes, status: int = 200, **fields: str) -> None:
    """Send a complete answer, or 304 if the client's ETag matches."""
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    if to.headers.get("If-None-Match") == etag and status == 200:
        status, body = 304, b""
    head(to, status, ETag=etag, Content_Length=str(len(body)), **fields)
    to.wfile.write(body)


def head(to: Any, status: int, **fields: str) -> None:
    """Send a status and fields, with hyphens for underscores."""
    to.send_response(status)
    for name, value in fields.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()


# --- wrong answers -----


def with_status(status: int, body: bytes = b"<html>no</html>") -> Callable[[Any], None]:
    """Return a function that answers with this status and body."""
    return lambda to: answer(to, body, status)


def to_login(to: Any) -> None:
    """Redirect the client to a login page."""
    head(to, 302, Location="/accounts/login/?next=/api/v1/targets", Content_Length="0")


def to_slash(to: Any) -> None:
    """Redirect the client to the same path with a slash at its end, as Django does."""
    head(to, 301, Location=f"{to.path}/", Content_Length="0")


def half_of(body: bytes) -> Callable[[Any], None]:
    """Return a function that closes the connection in the middle of a body."""

    def act(to: Any) -> None:
        head(to, 200, Content_Length=str(len(body)))
        to.wfile.write(body[: len(body) // 2])

    return act


def half_of_chunks(body: bytes) -> Callable[[Any], None]:
    """Return a function that closes the connection before the last chunk."""

    def act(to: Any) -> None:
        head(to, 200, Transfer_Encoding="chunked")
        to.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))

    return act


def without_length(body: bytes) -> Callable[[Any], None]:
    """Return a function that ends a body by closing the connection, as a kill would."""

    def act(to: Any) -> None:
        head(to, 200)
        to.wfile.write(body)

    return act


def packed(body: bytes, keep: float = 1.0) -> Callable[[Any], None]:
    """Return a function that answers with gzip, or with a part of it."""

    def act(to: Any) -> None:
        data = gzip.compress(body)
        answer(to, data[: int(len(data) * keep)], Content_Encoding="gzip")

    return act


def dripping(to: Any) -> None:
    """Send a body byte by byte without end, so that no single wait is long."""
    head(to, 200, Content_Length="1000000")
    while not to.server.ends.wait(0.01):
        to.wfile.write(b" ")


def endless(to: Any) -> None:
    """Send a body without end, as fast as it is read."""
    head(to, 200, Transfer_Encoding="chunked")
    while not to.server.ends.is_set():
        to.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
