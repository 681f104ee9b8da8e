"""An answer in the form in which the client gets it: its fields and its framing; pure.

Hop-by-hop fields are removed (RFC 9110, 7.6.1). All others are passed on unchanged. An answer whose
end is ambiguous is not passed on. ``http_body`` reads the body.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import NamedTuple

from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.header_overrides import ConfiguredFields
from wrapper.proxy.http_body import Body, ChunkedBody, ClosedBody, LengthBody
from wrapper.proxy.http_head import (
    HOP_BY_HOP,
    BadHead,
    Fields,
    ResponseHead,
    connection_options,
    field_lines,
    is_framed_once,
    values_of,
)

_OF_THE_CONNECTION = HOP_BY_HOP | {b"content-length"}
_NO_CONTENT, _NOT_MODIFIED = 204, 304
_NO_OPTIONS = frozenset((b"close", b"keep-alive"))  # options that do not name a field


class Forwarding(NamedTuple):
    """An answer for the client.

    - ``code``: its status.
    - ``head``: its head, rendered.
    - ``body``: its body, of which nothing has been read.
    - ``keeps_upstream``: whether the connection to Prometheus can be used for another request.
    - ``keeps_client``: the same for the client's connection.
    """

    code: int
    head: bytes
    body: Body
    keeps_upstream: bool
    keeps_client: bool


def forwarding(
    head: ResponseHead, request: Request, wall: float, own: ConfiguredFields, *, keeps_client: bool
) -> Forwarding:
    """Return the answer for the client; raise BadHead if its end is ambiguous.

    ``wall`` is the wall time in seconds, for an answer that has no Date (RFC 9110, 6.6.1). ``own``
    are our own fields, which replace those of the upstream.
    """
    kept: Fields = []
    special: Fields = []
    has_date = False
    for field in head.fields:
        name = field[0].lower()
        has_date = has_date or name == b"date"
        if name in _OF_THE_CONNECTION:
            special.append((name, field[1]))
        else:
            kept.append(field)
    lengths = values_of(special, b"content-length")
    body = _body(head, lengths, values_of(special, b"transfer-encoding"), request)
    options = connection_options(special)
    if options - _NO_OPTIONS:
        kept = [field for field in kept if field[0].lower() not in options]
        has_date = has_date and b"date" not in options
    is_counted = isinstance(body, LengthBody)
    if lengths and head.code != _NO_CONTENT:
        kept.append((b"Content-Length", lengths[0]))
    elif not is_counted and request.minor > 0:
        kept.append((b"Transfer-Encoding", b"chunked"))
    if not has_date:
        kept.append((b"Date", formatdate(wall, usegmt=True).encode()))
    keeps_client = keeps_client and (request.minor > 0 or is_counted)
    lines = own.into(field_lines(kept))
    if not keeps_client:
        lines += b"Connection: close\r\n"
    elif request.minor == 0:
        lines += b"Connection: keep-alive\r\n"
    return Forwarding(
        head.code,
        b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.code, head.reason, lines),
        body,
        head.minor > 0 and not isinstance(body, ClosedBody) and b"close" not in options,
        keeps_client,
    )


def _body(head: ResponseHead, lengths: list[bytes], codings: list[bytes], request: Request) -> Body:
    """Return the answer's body (RFC 9112, 6.3); raise BadHead if its end is ambiguous."""
    if not is_framed_once(lengths, codings):
        raise BadHead("its length is ambiguous or too large")
    if codings and (codings[0].lower() != b"chunked" or head.minor == 0):
        raise BadHead("the only supported Transfer-Encoding is chunked, in HTTP/1.1")
    if request.method == b"HEAD" or head.code in (_NO_CONTENT, _NOT_MODIFIED):
        return LengthBody(0)
    if codings:
        return ChunkedBody(decoded=request.minor == 0)
    if lengths:
        return LengthBody(int(lengths[0]))
    return ClosedBody(in_chunks=request.minor > 0)
