"""Parse Prometheus' HTTP/1.1 requests to the gate, and render the answers.

Requests are parsed like those to the proxy: an ambiguous request, which two programs could read
differently, is refused. The connections are in ``server``.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from wrapper.gate.receiver import end_to_end_fields
from wrapper.gate.reply import Fields, Reply, error, unavailable
from wrapper.model.gate import PATH
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.http_body import BadBody, ChunkedUpload, LengthBody
from wrapper.proxy.http_head import BadHead, origin_form, request_head

LARGEST = 64 << 20  # bytes of a body
TOO_LARGE = error(413, f"a batch of more than {LARGEST >> 20} MiB: lower max_samples_per_send")
# 503, because Prometheus drops a batch after 408. It may only have been stopped for a while.
TOO_SLOW = unavailable("the rest of the request was not sent in time")
_BARE = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Refused(Exception):
    """A request is refused before it has been read completely.

    ``reply`` is the answer; then the connection is closed.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


class Head(NamedTuple):
    """The head of a request, without its body.

    - ``request``: the request line and the framing of the body.
    - ``fields``: the header fields to forward to the receiver, unchanged.
    - ``end``: the length of the head in bytes.
    """

    request: Request
    fields: Fields
    end: int

    @property
    def endpoint(self) -> str:
        """The name of the endpoint in the request's path; "" for any other path."""
        target = origin_form(self.request.target).partition(b"?")[0]
        path = unquote_to_bytes(target).decode(errors="replace")
        return path.removeprefix(PATH) if path.startswith(PATH) else ""


def head_of(data: bytes) -> Head:
    """Return the head at the beginning of ``data``; raise ``Refused``.

    ``data`` must contain a complete head, or bytes that cannot become one.
    """
    try:
        head = request_head(data)
    except BadHead as problem:
        raise Refused(error(problem.code, f"malformed request: {problem}")) from problem
    request = Request(head.method, head.target, head.minor, forwarded_fields(head, "", ""))
    if request.problem is not None:
        code, _, text = request.problem
        raise Refused(error(code, text))
    if (request.fields.length or 0) > LARGEST:
        raise Refused(TOO_LARGE)
    sent = ((name.decode(), value.decode("latin-1")) for name, value in head.sent_fields)
    return Head(request, end_to_end_fields(sent), head.end)


class Body:
    """The body of a request, while it is received."""

    def __init__(self, request: Request) -> None:
        self._body: LengthBody | ChunkedUpload = request.body(decoded=True)
        self._pieces: list[bytes] = []
        self.size = 0

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been received."""
        return self._body.is_complete

    @property
    def content(self) -> bytes:
        """The part of the body received so far."""
        return b"".join(self._pieces)

    def take(self, data: bytes) -> bytes:
        """Add received bytes, and return those after the end of the body; raise ``Refused``."""
        if self._body.is_complete:
            return data
        try:
            piece = self._body.take(data)
        except BadBody as problem:
            raise Refused(error(400, f"the request's body is malformed: {problem}")) from problem
        self._pieces.append(piece)
        self.size += len(piece)
        if self.size > LARGEST:
            raise Refused(TOO_LARGE)
        return self._body.rest


def rendered(reply: Reply, request: Request | None, wall: float, *, goes_on: bool) -> bytes:
    """Return an answer as bytes of HTTP.

    ``wall`` is the wall time in seconds. ``goes_on`` is whether the connection stays open.
    """
    status, body = reply.status, reply.body
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", f"Date: {formatdate(wall, usegmt=True)}"]
    for name, value in reply.fields:
        if _NAME.fullmatch(name) and _VALUE.fullmatch(value):  # a receiver's fields are untrusted
            lines.append(f"{name}: {value}")
    if status not in _BARE:
        lines.append(f"Content-Length: {len(body)}")
    if not goes_on:
        lines.append("Connection: close")
    elif request is not None and request.minor == 0:
        lines.append("Connection: keep-alive")
    has_body = status not in _BARE and (request is None or request.method != b"HEAD")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body if has_body else b"")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # the receiver may answer with a status that is not registered
        return "Unknown"
