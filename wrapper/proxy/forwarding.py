"""What crosses the proxy, in both directions, and how it is framed there; pure.

Fields that belong to one connection never cross (RFC 9110, 7.6.1), all others do: as they came, as
often as they came. Who asked, for what and through whom is added (RFC 7239; RFC 9110, 7.6.3). What
two readers could take for two different messages is refused. Where it ends: a body's own framing.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from typing import NamedTuple

from wrapper.proxy.http_body import Body, ChunkedBody, ClosedBody, LengthBody
from wrapper.proxy.http_head import BadHead, Fields, ResponseHead, fields_of, is_within_limits

HOP_FIELD = b"Prometheus-Elector-Hop"
_VIA = b"1.1 prometheus-elector"
_REMEMBERED_BYTES = 4096  # clients repeat their fields, and most are short

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Written anew for the upstream.
_REWRITTEN = frozenset(
    {
        b"host",
        b"content-length",
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        HOP_FIELD.lower(),
    }
)
MOST_HOPS = 2  # from a client to another replica's proxy, and from that to its own Prometheus
_LENGTH = re.compile(rb"[0-9]{1,18}")
_FRAMING_FIELD = re.compile(
    rb"(?im)^(connection|keep-alive|proxy-[a-z]+|te|trailer|transfer-encoding|upgrade|"
    rb"content-length|date):[ \t]*([^\r\n]*?)[ \t]*\r"
)
_AUTHORIZATION = re.compile(rb"(?im)^authorization:[ \t]*([^\r\n]*?)[ \t]*\r\n")
_VERBATIM = frozenset((b"content-length", b"transfer-encoding", b"date"))
_NO_CONTENT, _NOT_MODIFIED = 204, 304


# --- from the client to the upstream ---------------------------------------------------------


class Problem(NamedTuple):
    """What a Refused is made from."""

    code: int
    kind: str
    text: str


class Crossing(NamedTuple):
    """A request's fields as they cross: rendered but for Host, and what they say of the message.

    ``authorization`` are the values of that field, which is not among the lines.
    ``length`` is None without a Content-Length. ``is_plain``: gunicorn's parser would take the
    fields as they are, and the body is not chunked. ``problem`` is why the request cannot pass.
    """

    lines: bytes
    length: int | None
    is_chunked: bool
    options: frozenset[bytes]
    hops: int
    expects: bool
    has_host: bool
    is_plain: bool
    problem: Problem | None
    authorization: tuple[bytes, ...] = ()


class Request(NamedTuple):
    """A request as the proxy takes it: its target in origin-form, HTTP's minor version."""

    method: bytes
    target: bytes
    minor: int
    crossing: Crossing

    @property
    def wants_more(self) -> bool:
        """Whether the client means to use its connection again."""
        options = self.crossing.options
        if b"close" in options or self.method == b"CONNECT":
            return False
        return self.minor > 0 or b"keep-alive" in options


def crossing(lines: bytes, client: str, scheme: str) -> Crossing:
    """Return how a request's field lines cross; they follow the grammar."""
    authorization = tuple(_AUTHORIZATION.findall(lines))
    if authorization:  # which is not remembered
        lines = _AUTHORIZATION.sub(b"", lines)
    is_short = len(lines) <= _REMEMBERED_BYTES
    found = (_remembered if is_short else _crossing)(lines, client, scheme)
    if not authorization:
        return found
    is_plain = found.is_plain and is_within_limits([(b"authorization", x) for x in authorization])
    return found._replace(authorization=authorization, is_plain=is_plain)


def _crossing(lines: bytes, client: str, scheme: str) -> Crossing:
    fields = [(name.lower(), value) for name, value in fields_of(lines)]
    options = _options(fields)
    hosts = _values(fields, b"host")
    lengths = _values(fields, b"content-length")
    codings = [coding.lower() for coding in _values(fields, b"transfer-encoding")]
    problem = _problem(lengths, codings)
    framing = b"Transfer-Encoding: chunked\r\n" if codings else b""
    if lengths:
        framing = b"Content-Length: %b\r\n" % lengths[0]
    return Crossing(
        lines=_lines(_forwarded(fields, options, client, scheme)) + framing,
        length=int(lengths[0]) if lengths and problem is None else None,
        is_chunked=bool(codings),
        options=options,
        hops=_hops(_values(fields, HOP_FIELD.lower())),
        expects=bool(_values(fields, b"expect")),
        has_host=len(hosts) == 1,
        is_plain=problem is None and _is_plain(fields, hosts),
        problem=problem,
    )


_remembered = lru_cache(maxsize=256)(_crossing)


def _problem(lengths: list[bytes], codings: list[bytes]) -> Problem | None:
    """Return why the request's end would be in doubt, None where it is not."""
    if codings not in ([], [b"chunked"]):
        return Problem(501, "bad_data", "of the transfer codings, only chunked is understood")
    if len(lengths) + len(codings) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        return Problem(400, "bad_data", "the request does not say how long it is")
    return None


def _is_plain(fields: Fields, hosts: list[bytes]) -> bool:
    """Tell whether gunicorn's parser has no objection, and nothing to add."""
    names = {name for name, _ in fields}
    return (
        is_within_limits(fields)
        and len(hosts) == 1
        and len(_values(fields, b"content-type")) <= 1
        and names.isdisjoint((b"transfer-encoding", b"expect"))
    )


def _forwarded(fields: Fields, options: frozenset[bytes], client: str, scheme: str) -> Fields:
    """Return the fields for the upstream: the end-to-end ones, and who asks for whom."""
    dropped = _HOP_BY_HOP | _REWRITTEN | options
    kept = [(name, value) for name, value in fields if name not in dropped]
    host = b", ".join(_values(fields, b"host"))
    address = client.removeprefix("::ffff:").encode()
    told_host = b", ".join(_values(fields, b"x-forwarded-host")) or host
    told_scheme = b", ".join(_values(fields, b"x-forwarded-proto")) or scheme.encode()
    added: Fields = [
        (b"X-Forwarded-For", _continued(fields, b"x-forwarded-for", address)),
        (b"X-Forwarded-Proto", told_scheme),
        (b"X-Forwarded-Host", told_host),
        (b"Forwarded", _continued(fields, b"forwarded", _element(address, host, scheme))),
        (b"Via", _continued(fields, b"via", _VIA)),
        (HOP_FIELD, b"%d" % (_hops(_values(fields, HOP_FIELD.lower())) + 1)),
    ]
    return [*kept, *((name, value) for name, value in added if value)]


def _continued(fields: Fields, name: bytes, own: bytes) -> bytes:
    """Return what those before us have said, and our own word."""
    return b", ".join([*filter(None, _values(fields, name)), own])


def _element(address: bytes, host: bytes, scheme: str) -> bytes:
    """Return our element of Forwarded (RFC 7239, 4)."""
    node = b'"[%b]"' % address if b":" in address else address
    named = b';host="%b"' % host if host and not re.search(rb'["\\\t]', host) else b""
    return b"for=%b%b;proto=%b" % (node or b"unknown", named, scheme.encode())


def _hops(values: list[bytes]) -> int:
    """Return how many of us a request has passed; a value that is not ours counts as too many."""
    if not values:
        return 0
    return int(values[0]) if values in ([b"1"], [b"2"]) else MOST_HOPS


def _values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for each, value in fields if each == name]


def _options(fields: Fields) -> frozenset[bytes]:
    """Return the words of Connection, in lower case."""
    words = b",".join(_values(fields, b"connection")).lower().split(b",")
    return frozenset(filter(None, (word.strip() for word in words)))


def _lines(fields: Fields) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


# --- from the upstream to the client ---------------------------------------------------------


class Forwarding(NamedTuple):
    """An answer's head for the client and the body that follows.

    ``keeps_upstream`` and ``keeps_client`` say whether that connection can take another request.
    """

    code: int
    head: bytes
    body: Body
    keeps_upstream: bool
    keeps_client: bool


class Asked(NamedTuple):
    """What an answer's framing depends on: how it was asked for."""

    method: bytes
    minor: int
    keeps_client: bool


def forwarding(head: ResponseHead, asked: Asked, wall: float) -> Forwarding:
    """Return what the client gets; raise BadHead where the answer's end would be in doubt.

    ``wall`` is the time, for an answer that has no Date (RFC 9110, 6.6.1).
    """
    special = [(name.lower(), value) for name, value in _FRAMING_FIELD.findall(head.lines)]
    lengths = _values(special, b"content-length")
    codings = [coding.lower() for coding in _values(special, b"transfer-encoding")]
    if len(lengths) + len(codings) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        raise BadHead
    if codings and (codings != [b"chunked"] or head.minor == 0):
        raise BadHead
    body = _body(head, lengths, codings, asked)
    is_closed = isinstance(body, ClosedBody)
    keeps_client = asked.keeps_client and (asked.minor > 0 or isinstance(body, LengthBody))
    is_verbatim = (
        _VERBATIM.issuperset(name for name, _ in special)
        and len(special) == len(lengths) + len(codings) + 1  # and Date, once
        and not is_closed
        and head.code != _NO_CONTENT
        and (asked.minor > 0 or not codings)
    )
    lines = head.lines if is_verbatim else _rebuilt(head, lengths, body, asked, wall)
    if not keeps_client:
        lines += b"Connection: close\r\n"
    elif asked.minor == 0:
        lines += b"Connection: keep-alive\r\n"
    return Forwarding(
        head.code,
        b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.code, head.reason, lines),
        body,
        head.minor > 0 and not is_closed and b"close" not in _options(special),
        keeps_client,
    )


def _body(head: ResponseHead, lengths: list[bytes], codings: list[bytes], asked: Asked) -> Body:
    """Return how the answer's body ends (RFC 9112, 6.3)."""
    if asked.method == b"HEAD" or head.code in (_NO_CONTENT, _NOT_MODIFIED):
        return LengthBody(0)
    if codings:
        return ChunkedBody(decoded=asked.minor == 0)
    if lengths:
        return LengthBody(int(lengths[0]))
    return ClosedBody(in_chunks=asked.minor > 0)


def _rebuilt(
    head: ResponseHead, lengths: list[bytes], body: Body, asked: Asked, wall: float
) -> bytes:
    """Return the field lines without those of the upstream's connection."""
    fields = fields_of(head.lines)
    lowered = [(name.lower(), value) for name, value in fields]
    dropped = _HOP_BY_HOP | _options(lowered) | {b"content-length"}
    kept = [(name, value) for name, value in fields if name.lower() not in dropped]
    if lengths and head.code != _NO_CONTENT:
        kept.append((b"Content-Length", lengths[0]))
    elif not isinstance(body, LengthBody) and asked.minor > 0:
        kept.append((b"Transfer-Encoding", b"chunked"))
    if not _values(lowered, b"date"):
        kept.append((b"Date", formatdate(wall, usegmt=True).encode()))
    return _lines(kept)
