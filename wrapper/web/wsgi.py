"""Call the Flask app by WSGI (PEP 3333): convert a request to an environ, and the result to bytes.

Both are held in memory: the size of bodies is limited, and the answers are our own.
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
    """Return the WSGI environ.

    A field whose name has an underscore is left out, because its key would be that of the field
    with a hyphen.
    """
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
            key, text = _BARE.get(key, key), value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def answer_of(app: Flask, environ: dict[str, Any], *, keeps_client: bool) -> bytes:
    """Return the app's answer as bytes, head and body."""
    head: list[Any] = []
    start: Any = lambda *values: head.extend(values)  # noqa: E731 - start_response of PEP 3333
    answer = app(environ, start)
    with contextlib.closing(answer):  # type: ignore[type-var]
        body = b"".join(answer)
    status, headers = head[:2]
    version = environ["SERVER_PROTOCOL"]
    fields = [*headers, ("Date", formatdate(usegmt=True))]
    if version == "HTTP/1.0" or not keeps_client:
        fields.append(("Connection", "keep-alive" if keeps_client else "close"))
    lines = [f"{version} {status}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
