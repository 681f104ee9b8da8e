"""The Flask app's part: a request that has been read becomes an environ, and an answer (PEP 3333).

Where it ends: both are whole in memory, for bodies are bounded and answers ours.
"""

from __future__ import annotations

import contextlib
import io
import sys
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask

from wrapper.proxy.client_connection import Client
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.http_head import Fields

TARGET, SOCKET = "prometheus_elector.target", "prometheus_elector.socket"
_BARE = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}


def environ_of(request: Request, fields: Fields, body: bytes, client: Client) -> dict[str, Any]:
    """Return what the app is told; a field whose name has an underscore would be another's."""
    path, _, query = request.target.partition(b"#")[0].partition(b"?")
    host, port, *_ = client.sock.getsockname()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method.decode(),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode(),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/1.{request.minor}",
        "REMOTE_ADDR": client.address,
        "wsgi.url_scheme": client.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        TARGET: request.target,
        SOCKET: client.sock,
    }
    for name, value in fields:
        if b"_" not in name:
            key = "HTTP_" + name.decode().upper().replace("-", "_")
            key, told = _BARE.get(key, key), value.decode("latin-1")
            environ[key] = f"{environ[key]},{told}" if key in environ else told
    return environ


def answer_of(app: Flask, environ: dict[str, Any], *, keeps_client: bool) -> bytes:
    """Return the app's whole answer."""
    told: list[Any] = []
    start: Any = lambda *head: told.extend(head)  # noqa: E731 - which one line says
    answer = app(environ, start)
    with contextlib.closing(answer):  # type: ignore[type-var]
        body = b"".join(answer)
    status, headers = told[:2]
    version = environ["SERVER_PROTOCOL"]
    fields = [*headers, ("Date", formatdate(usegmt=True))]
    if version == "HTTP/1.0" or not keeps_client:
        fields.append(("Connection", "keep-alive" if keeps_client else "close"))
    lines = [f"{version} {status}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
