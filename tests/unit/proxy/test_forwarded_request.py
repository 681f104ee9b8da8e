"""The fields of a request that the proxy forwards, and what they mean for the message."""

from __future__ import annotations

import pytest

from wrapper.proxy.forwarded_request import ForwardedFields, Request, forwarded_fields
from wrapper.proxy.http_head import BadHead, request_head


def crossing_of(lines: bytes, client: str = "1", scheme: str = "http") -> ForwardedFields:
    """Return the forwarded fields of these field lines."""
    return forwarded_fields(request_head(b"GET / HTTP/1.1\r\n%b\r\n" % lines), client, scheme)


def crossed(lines: bytes, client: str = "192.0.2.1", scheme: str = "http") -> dict[bytes, bytes]:
    """Return the fields that the upstream gets, by their names in lower case."""
    found = crossing_of(lines, client, scheme).lines.split(b"\r\n")
    pairs = (line.partition(b": ") for line in found if line)
    return {name.lower(): value for name, _, value in pairs}


@pytest.mark.parametrize(
    ("client", "lines", "forwarded", "chain"),
    [
        ("192.0.2.1", b"Host: h\r\n", b'for=192.0.2.1;host="h";proto=http', b"192.0.2.1"),
        ("::ffff:192.0.2.1", b"Host: h\r\n", b'for=192.0.2.1;host="h";proto=http', b"192.0.2.1"),
        ("::1", b"Host: [::1]:9\r\n", b'for="[::1]";host="[::1]:9";proto=http', b"::1"),
        ("1", b"", b"for=1;proto=http", b"1"),
        ("1", b'Host: a"b\r\n', b"for=1;proto=http", b"1"),
        ("1", b"Host: h\r\nForwarded: for=2\r\n", b'for=2, for=1;host="h";proto=http', b"1"),
        ("1", b"X-Forwarded-For: 3\r\nX-Forwarded-For: 2\r\n", b"for=1;proto=http", b"3, 2, 1"),
    ],
)
def test_client_is_added_to_the_forwarded_fields(
    client: str, lines: bytes, forwarded: bytes, chain: bytes
) -> None:
    """Forwarded and X-Forwarded-For are continued, in the standard's quoting."""
    fields = crossed(lines, client)
    assert (fields[b"forwarded"], fields[b"x-forwarded-for"]) == (forwarded, chain)


def test_repeated_fields_stay_repeated() -> None:
    """Repeated fields are forwarded in order, with the spaces inside their values."""
    lines = crossing_of(b"Cookie: a=1;  b\r\nX: 1\r\nCookie: c\r\n").lines
    assert lines.startswith(b"cookie: a=1;  b\r\nx: 1\r\ncookie: c\r\n")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (b"Content-Length: 3\r\n", None),
        (b"Transfer-Encoding: Chunked\r\n", None),
        (b"Content-Length: 1234567890123456789\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Host: h\r\nHost: h\r\n", 400),
        (b"Content-Type: a\r\nContent-Type: a\r\n", 400),
        (b"Expect: 100-Continue\r\n", None),
        (b"Expect: 200\r\n", 417),
        (b"X: y\r\n" * 100, None),
        (b"X: y\r\n" * 101, 431),
        (b"X: " + b"y" * 8189 + b"\r\n", None),
        (b"X: " + b"y" * 8190 + b"\r\n", 431),
        (b"Authorization: " + b"y" * 8191 + b"\r\n", 431),
    ],
)
def test_doubtful_request_is_a_problem(lines: bytes, problem: int | None) -> None:
    """More than one length, host or type, an unknown expectation, or too much is a problem."""
    found = crossing_of(lines).problem
    assert (found[0] if found else None) == problem


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_request_with_two_ends_is_refused(lines: bytes) -> None:
    """A request whose body may have two ends is refused, by llhttp or by our checks."""
    try:
        assert crossing_of(lines).problem is not None
    except BadHead:
        return


def test_http_1_0_has_no_chunks() -> None:
    """Chunks in HTTP/1.0 are refused, because they are ambiguous."""
    found = crossing_of(b"Host: x\r\nTransfer-Encoding: chunked\r\n")
    assert Request(b"POST", b"/", 1, found).problem is None
    problem = Request(b"POST", b"/", 0, found).problem
    assert problem is not None
    assert problem[0] == 400


def test_name_with_an_underscore_is_not_forwarded() -> None:
    """A field with an underscore is not forwarded: it could be taken for one with a hyphen."""
    assert b"evil" not in crossing_of(b"X_Forwarded_For: evil\r\nContent_Length: evil\r\n").lines


@pytest.mark.parametrize(
    ("minor", "lines", "wants_more"),
    [
        (1, b"", True),
        (1, b"Connection: Close\r\n", False),
        (1, b"Connection: x, close\r\n", False),
        (0, b"", False),
        (0, b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_client_determines_whether_the_connection_is_kept(
    minor: int, lines: bytes, wants_more: bool
) -> None:
    """HTTP/1.1 keeps the connection unless it is to be closed; HTTP/1.0 closes it by default."""
    assert Request(b"GET", b"/", minor, crossing_of(lines)).wants_more is wants_more


def test_framing_fields_cannot_be_removed() -> None:
    """Connection cannot remove the length of the body."""
    fields = crossed(b"Host: h\r\nConnection: content-length, host\r\nContent-Length: 3\r\n")
    assert fields[b"content-length"] == b"3"


@pytest.mark.parametrize(
    ("value", "hops"), [(None, 0), (b"1", 1), (b"2", 2), (b"0", 2), (b"9", 2), (b"x", 2)]
)
def test_hops_are_counted(value: bytes | None, hops: int) -> None:
    """A hop count that is not one of ours counts as too many."""
    found = crossing_of(b"Prometheus-Elector-Hop: %b\r\n" % value if value else b"")
    assert found.hops == hops
    assert b"Prometheus-Elector-Hop: %d\r\n" % (hops + 1) in found.lines
