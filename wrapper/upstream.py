"""One exchange with an upstream: send the request, hand back the answer, both streamed.

The target goes upstream byte by byte as it came, contents are never decoded, fields that belong to
one connection (RFC 9110, 7.6.1) never cross, repeated fields stay repeated. An answer that breaks
off upstream breaks off for the client too. Where it ends: one upstream connection a request and no
second try; a client that goes is noticed when something is sent to it; no trailers and no 1xx.
"""

from __future__ import annotations

import errno
import http.client
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from wrapper.web_options import WebOptions

LOG = logging.getLogger(__name__)
Environ = dict[str, Any]
Fields = list[tuple[str, str]]

HOP_FIELD = "Prometheus-Elector-Hop"
PIECE_BYTES = 64 << 10

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Written anew for the upstream; gunicorn has answered Expect itself.
_REWRITTEN = frozenset(
    {
        "host",
        "content-length",
        "expect",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        HOP_FIELD.lower(),
    }
)


class Refused(Exception):
    """The proxy answers by itself, in the form of Prometheus' API errors."""

    def __init__(self, code: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Target:
    """The leader's Prometheus: scheme and authority, and whether it is this replica's own."""

    url: str
    is_local: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets; ``close`` ends the upstream connection, whatever has been read."""

    code: int
    reason: str
    fields: Fields
    body: Iterable[bytes]
    close: Callable[[], None] = lambda: None


def refusal(refused: Refused, method: str) -> Answer:
    """Return the error as Prometheus' API would give it."""
    content = {"status": "error", "errorType": refused.kind, "error": str(refused)}
    body = json.dumps(content).encode() + b"\n"
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if refused.code == http.client.SERVICE_UNAVAILABLE:
        fields.append(("Retry-After", "1"))
    reason = http.client.responses[refused.code]
    return Answer(refused.code, reason, fields, () if method == "HEAD" else (body,))


def forward(environ: Environ, target: Target, hop: int, options: WebOptions) -> Answer:
    """Send the request and return the answer's head with its body still to come.

    Raises Refused (502, 504) where there is no answer, and ConnectionResetError when the client has
    gone before its request was whole.
    """
    connection = _connect(target, options)
    try:
        _send(connection, environ, _upstream_fields(environ, target, hop))
        return _received(connection, target)
    except BaseException:
        connection.close()
        raise


def _connect(target: Target, options: WebOptions) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(target.url)
        https = parts.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=options.connect_timeout_s)
        connection.connect()
    except (OSError, ValueError, http.client.InvalidURL) as error:
        raise Refused(502, "unavailable", f"{target.url} cannot be reached: {error}") from error
    connection.sock.settimeout(options.idle_timeout_s)
    return connection


def _upstream_fields(environ: Environ, target: Target, hop: int) -> Iterator[tuple[str, str]]:
    """Yield the header for the upstream: the client's end-to-end fields, and who asks for whom."""
    fields: Fields = environ["wsgi.input"].fields
    yield "Host", urlsplit(target.url).netloc
    yield from _end_to_end(fields, _REWRITTEN)
    yield from _forwarded(environ)
    yield HOP_FIELD, str(hop)
    if "HTTP_TRANSFER_ENCODING" in environ:
        yield "Transfer-Encoding", "chunked"
    elif "CONTENT_LENGTH" in environ:
        yield "Content-Length", environ["CONTENT_LENGTH"]


def _forwarded(environ: Environ) -> Iterator[tuple[str, str]]:
    """Yield who asked, and for what, going on with what proxies before us have said."""
    client = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
    before = environ.get("HTTP_X_FORWARDED_FOR")
    yield "X-Forwarded-For", f"{before}, {client}" if before else client
    yield "X-Forwarded-Proto", environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"]
    host = environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST")
    if host:
        yield "X-Forwarded-Host", host


def _end_to_end(fields: Fields, but: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the fields that do not belong to one connection, by name or by Connection's word."""
    named = ",".join(value for name, value in fields if name.lower() == "connection").lower()
    dropped = _HOP_BY_HOP | but | {name.strip() for name in named.split(",")}
    yield from ((name, value) for name, value in fields if name.lower() not in dropped)


def _send(
    connection: http.client.HTTPConnection, environ: Environ, fields: Iterable[tuple[str, str]]
) -> None:
    """Send the request; an upstream that closes meanwhile may have answered already."""
    target = origin_form(environ["RAW_URI"])
    connection.putrequest(
        environ["REQUEST_METHOD"], target, skip_host=True, skip_accept_encoding=True
    )
    for name, value in fields:
        connection.putheader(name.title(), value)
    if not _is_accepted(connection.endheaders):
        return
    for piece in _body(environ):
        if not _is_accepted(partial(connection.send, piece)):
            return


def _is_accepted(send: Callable[[], None]) -> bool:
    try:
        send()
    except OSError:
        return False
    return True


def _body(environ: Environ) -> Iterator[bytes]:
    """Yield the request's body in the framing that its header announces."""
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    return _in_chunks(environ) if is_chunked else _of_known_length(environ)


def _of_known_length(environ: Environ) -> Iterator[bytes]:
    """Yield a body that must not pass as whole when it ends early."""
    missing = int(environ.get("CONTENT_LENGTH") or 0)
    while missing:
        piece = environ["wsgi.input"].read(min(missing, PIECE_BYTES))
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone inside its request")
        missing -= len(piece)
        yield piece


def _in_chunks(environ: Environ) -> Iterator[bytes]:
    """Yield a body of unknown length; gunicorn raises where it is cut short."""
    while piece := environ["wsgi.input"].read(PIECE_BYTES):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _received(connection: http.client.HTTPConnection, target: Target) -> Answer:
    """Return the answer's head as soon as it has come."""
    try:
        response = connection.getresponse()
    except TimeoutError as error:
        raise Refused(504, "timeout", f"{target.url} did not answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise Refused(502, "unavailable", f"{target.url} broke off: {reason}") from error

    def close() -> None:
        response.close()
        connection.close()

    fields = _client_fields(response, target)
    return Answer(response.status, response.reason, fields, _pieces(response, target), close)


def _client_fields(response: http.client.HTTPResponse, target: Target) -> Fields:
    """Return the header for the client; raise Refused where the answer's end would be in doubt."""
    fields = [(name, re.sub(r"\s*\r?\n\s*", " ", value)) for name, value in response.getheaders()]
    codings = [value.lower() for name, value in fields if name.lower() == "transfer-encoding"]
    lengths = {value.strip() for name, value in fields if name.lower() == "content-length"}
    is_clear = codings in ([], ["chunked"]) and len(lengths) <= 1
    if not is_clear or not all(re.fullmatch("[0-9]+", length) for length in lengths):
        raise Refused(502, "unavailable", f"{target.url} does not say how long its answer is")
    if response.status < http.client.OK:
        raise Refused(502, "unavailable", f"{target.url} wants to switch protocols")
    kept = list(_end_to_end(fields, frozenset(("content-length",))))
    if lengths and not codings:
        kept.append(("Content-Length", lengths.pop()))
    return kept


def _pieces(response: http.client.HTTPResponse, target: Target) -> Iterator[bytes]:
    """Yield the body as it comes; raise where it ends before its end."""
    try:
        while piece := response.read1(PIECE_BYTES):
            yield piece
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
    except (OSError, http.client.HTTPException) as error:
        LOG.warning("an answer broke off", extra={"target": target.url, "reason": repr(error)})
        raise ConnectionResetError(errno.ECONNRESET, "the upstream broke off") from error


def origin_form(raw: str) -> str:
    """Return the request target without scheme and authority, otherwise as it came."""
    if raw.startswith("/") or raw == "*":
        return raw
    rest = raw.partition("://")[2]
    start = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    return rest[start:] if rest[start : start + 1] == "/" else "/" + rest[start:]
