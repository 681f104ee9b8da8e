"""A request in the form in which it is forwarded: its fields, and its framing; pure.

Hop-by-hop fields are removed (RFC 9110, 7.6.1). All others are forwarded unchanged. Fields that
name the client, the host and the proxies are added (RFC 7239; RFC 9110, 7.6.3). An ambiguous
request, which two parsers could read differently, is refused. ``http_body`` reads the body.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from wrapper.proxy.http_body import ChunkedUpload, LengthBody
from wrapper.proxy.http_head import (
    HOP_BY_HOP,
    Fields,
    RequestHead,
    connection_options,
    field_lines,
    is_framed_once,
    values_of,
)

HOP_FIELD = b"Prometheus-Elector-Hop"
MOST_HOPS = 2  # one to another replica's proxy, and one from there to its own Prometheus
MOST_FIELDS = 100
MOST_FIELD_BYTES = 8190
_VIA = b"1.1 prometheus-elector"
_REMEMBERED_BYTES = 4096  # heads up to this size are cached: clients repeat their fields

# Fields that the proxy writes itself.
_REWRITTEN = frozenset(
    b"host content-length forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto".split()
) | {HOP_FIELD.lower()}
# RFC 9110, 5.3: these are not lists, so parsers could differ if there are two.
_ONCE = (b"host", b"content-type")

# The same as in Go: no space, no / @ or #.
_HOST = re.compile(rb"[\w.:\[\]%~!$&'()*+,;=-]*", re.ASCII)


Problem = tuple[int, str, str]  # the arguments of Refused


class ForwardedFields(NamedTuple):
    """The fields of a request as they are forwarded, and what they say about the request.

    - ``lines``: the rendered fields, without Host and Authorization.
    - ``length``: the Content-Length; None without one.
    - ``is_chunked``: whether the body is chunked.
    - ``options``: the options of Connection, in lower case.
    - ``hops``: how many of our proxies the request has passed.
    - ``expects``: whether the client waits for 100 Continue.
    - ``has_host``: whether there is exactly one Host.
    - ``problem``: why the request is refused; None if it is not.
    - ``authorization``: the values of Authorization.
    """

    lines: bytes
    length: int | None
    is_chunked: bool
    options: frozenset[bytes]
    hops: int
    expects: bool
    has_host: bool
    problem: Problem | None
    authorization: tuple[bytes, ...] = ()


class Request(NamedTuple):
    """A request: its method, its target in origin-form, HTTP's minor version, and its fields."""

    method: bytes
    target: bytes
    minor: int
    fields: ForwardedFields

    @property
    def wants_more(self) -> bool:
        """Whether the client keeps its connection open for another request."""
        options = self.fields.options
        if b"close" in options or self.method == b"CONNECT":
            return False
        return self.minor > 0 or b"keep-alive" in options

    @property
    def is_repeatable(self) -> bool:
        """Whether the request may be sent twice without harm."""
        has_body = self.fields.is_chunked or self.fields.length
        return self.method in (b"GET", b"HEAD") and not has_body

    def body(self, *, decoded: bool = False) -> LengthBody | ChunkedUpload:
        """Return the body, of which nothing has been received yet."""
        if self.fields.is_chunked:
            return ChunkedUpload(decoded=decoded)
        return LengthBody(self.fields.length or 0)

    @property
    def problem(self) -> Problem | None:
        """Why the request is refused; None if it is not."""
        if self.minor == 0 and self.fields.is_chunked:
            return (400, "bad_data", "HTTP/1.0 has no Transfer-Encoding")
        if self.minor > 0 and not self.fields.has_host:
            return self.fields.problem or (
                400,
                "bad_data",
                "the request must have exactly one Host header",
            )
        return self.fields.problem


def forwarded_fields(head: RequestHead, client: str, scheme: str) -> ForwardedFields:
    """Return a request's fields in the form in which they are forwarded.

    A field whose name has an underscore is removed, because other programs would take it for the
    field with a hyphen.
    """
    if len(head.fields) > MOST_FIELDS:
        return _remembered((), client, scheme)._replace(problem=_TOO_MANY)
    # Credentials are not cached.
    given = [value for name, value in head.fields if name == b"authorization"]
    fields = tuple(field for field in head.fields if field[0] != b"authorization")
    is_short = head.end - len(head.target) <= _REMEMBERED_BYTES
    found = (_remembered if is_short else _forwarded_fields)(fields, client, scheme)
    if not given:
        return found
    problem = _TOO_LONG if max(map(len, given)) > MOST_FIELD_BYTES else found.problem
    return found._replace(authorization=tuple(given), problem=problem)


_TOO_MANY = (431, "bad_data", f"the request has more than {MOST_FIELDS} fields")
_TOO_LONG = (431, "bad_data", f"a field is longer than {MOST_FIELD_BYTES} bytes")


def _forwarded_fields(
    came: tuple[tuple[bytes, bytes], ...], client: str, scheme: str
) -> ForwardedFields:
    fields = [field for field in came if b"_" not in field[0]]
    options = connection_options(fields)
    hosts = values_of(fields, b"host")
    lengths = values_of(fields, b"content-length")
    codings = [coding.lower() for coding in values_of(fields, b"transfer-encoding")]
    problem = _problem(fields, lengths, codings)
    framing = b"Transfer-Encoding: chunked\r\n" if codings else b""
    if lengths:
        framing = b"Content-Length: %b\r\n" % lengths[0]
    return ForwardedFields(
        lines=field_lines(_forwarded(fields, options, client, scheme)) + framing,
        length=int(lengths[0]) if lengths and problem is None else None,
        is_chunked=bool(codings),
        options=options,
        hops=_hops(values_of(fields, HOP_FIELD.lower())),
        expects=bool(values_of(fields, b"expect")),
        has_host=len(hosts) == 1,
        problem=problem,
    )


_remembered = lru_cache(maxsize=256)(_forwarded_fields)


def _problem(fields: Fields, lengths: list[bytes], codings: list[bytes]) -> Problem | None:
    """Return why the request is ambiguous or not supported; None if it is neither."""
    if any(len(name) + len(value) > MOST_FIELD_BYTES for name, value in fields):
        return _TOO_LONG
    if codings not in ([], [b"chunked"]):
        return (501, "bad_data", "Transfer-Encoding: only chunked is supported")
    if not is_framed_once(lengths, codings):
        return (
            400,
            "bad_data",
            "the request's length is ambiguous or too large: send one Content-Length",
        )
    if any(len(values_of(fields, name)) > 1 for name in _ONCE):
        return (400, "bad_data", "the request has more than one Host or Content-Type header")
    if not all(_HOST.fullmatch(value) for value in values_of(fields, b"host")):
        return (400, "bad_data", "the Host header is not a valid host and port")
    if any(value.lower() != b"100-continue" for value in values_of(fields, b"expect")):
        return (417, "bad_data", "Expect: only 100-continue is supported")
    return None


def _forwarded(fields: Fields, options: frozenset[bytes], client: str, scheme: str) -> Fields:
    """Return the fields for the upstream: the end-to-end fields and those of a proxy."""
    dropped = HOP_BY_HOP | _REWRITTEN | options
    kept = [(name, value) for name, value in fields if name not in dropped]
    host = b", ".join(values_of(fields, b"host"))
    address = client.removeprefix("::ffff:").encode()
    told_host = b", ".join(values_of(fields, b"x-forwarded-host")) or host
    told_scheme = b", ".join(values_of(fields, b"x-forwarded-proto")) or scheme.encode()
    added: Fields = [
        (b"X-Forwarded-For", _continued(fields, b"x-forwarded-for", address)),
        (b"X-Forwarded-Proto", told_scheme),
        (b"X-Forwarded-Host", told_host),
        (b"Forwarded", _continued(fields, b"forwarded", _element(address, host, scheme))),
        (b"Via", _continued(fields, b"via", _VIA)),
        (HOP_FIELD, b"%d" % (_hops(values_of(fields, HOP_FIELD.lower())) + 1)),
    ]
    return [*kept, *((name, value) for name, value in added if value)]


def _continued(fields: Fields, name: bytes, own: bytes) -> bytes:
    """Return the values of a field as received, with our own at the end."""
    return b", ".join([*filter(None, values_of(fields, name)), own])


def _element(address: bytes, host: bytes, scheme: str) -> bytes:
    """Return our element of Forwarded (RFC 7239, 4)."""
    node = b'"[%b]"' % address if b":" in address else address
    named = b';host="%b"' % host if host and not re.search(rb'["\\\t]', host) else b""
    return b"for=%b%b;proto=%b" % (node or b"unknown", named, scheme.encode())


def _hops(values: list[bytes]) -> int:
    """Return how many of our proxies a request has passed; MOST_HOPS for an unknown value."""
    if not values:
        return 0
    return int(values[0]) if values in ([b"1"], [b"2"]) else MOST_HOPS
