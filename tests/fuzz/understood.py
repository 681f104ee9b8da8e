"""How this program's parser reads a client's data: the steps of a worker, without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from wrapper.options.web_options import WebOptions
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.http_body import BadBody
from wrapper.proxy.http_head import BadHead, is_head_over, origin_form, request_head
from wrapper.proxy.refusals import Refused
from wrapper.proxy.route import check_admission, is_ours

OPTIONS = WebOptions(snapshot_fd=0)


@dataclass(frozen=True, slots=True)
class Taken:
    """An accepted request: its decoded body, and the complete request as it is forwarded."""

    request: Request
    body: bytes
    forwarded: bytes
    is_broken: bool


@dataclass(slots=True)
class Conversation:
    """The requests of a connection.

    ``refused`` is the reason why the next one was not accepted; ``is_over``: the connection ends.
    """

    taken: list[Taken]
    refused: Refused | None = None
    is_over: bool = False


def understood(data: bytes, piece_bytes: int = 1 << 20) -> Conversation:
    """Return the requests in data that a client sends in such pieces before it closes."""
    pieces = _pieces(data, piece_bytes)
    found = Conversation([])
    rest = b""
    try:
        while not found.is_over:
            request, rest = _request(rest, pieces)
            if request is None:
                break
            if not is_ours(request.target):
                check_admission(request, OPTIONS)
            taken, rest = _body(request, rest, pieces)
            found.taken.append(taken)
            found.is_over = taken.is_broken or not request.wants_more
    except Refused as refused:
        found.refused = refused
    return found


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _request(data: bytes, pieces: Iterator[bytes]) -> tuple[Request | None, bytes]:
    """Return the next request or None, and what follows its header."""
    looked_at = 0
    while not is_head_over(data, looked_at):
        looked_at = len(data)
        piece = next(pieces, None)
        if piece is None:
            return None, b""
        data += piece
    try:
        head = request_head(data)
    except BadHead as error:
        raise Refused(error.code, "bad_data", str(error)) from error
    fields = forwarded_fields(head, "192.0.2.1", "http")
    request = Request(head.method, origin_form(head.target), head.minor, fields)
    if request.problem is not None:
        raise Refused(*request.problem)
    return request, data[head.end :]


def _body(request: Request, data: bytes, pieces: Iterator[bytes]) -> tuple[Taken, bytes]:
    """Return the request with its body, and what follows."""
    as_sent, decoded = request.body(), request.body(decoded=True)
    forwarded, body = _head(request), b""
    is_complete = as_sent.is_complete
    if is_complete:
        return Taken(request, body, forwarded, is_broken=False), data
    try:
        for piece in chain((data,), pieces):
            forwarded += as_sent.take(piece)
            body += decoded.take(piece)
            is_complete = as_sent.is_complete
            if is_complete:
                break
    except BadBody as error:
        raise Refused(400, "bad_data", str(error)) from error
    assert decoded.is_complete == is_complete
    return Taken(request, body, forwarded, not is_complete), as_sent.rest


def _head(request: Request) -> bytes:
    """Return the header as it is forwarded."""
    authorization = b"".join(
        b"Authorization: %b\r\n" % each for each in request.fields.authorization
    )
    return b"%b %b HTTP/1.1\r\nHost: upstream\r\n%b%b\r\n" % (
        request.method,
        request.target,
        request.fields.lines,
        authorization,
    )
