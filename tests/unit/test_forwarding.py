"""What crosses the proxy: fields, framing, and whose connection goes on."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.proxy.forwarding import Asked, Crossing, Request, crossing, forwarding
from wrapper.proxy.http_body import ChunkedBody, ClosedBody, LengthBody
from wrapper.proxy.http_head import BadHead, response_head

GET = Asked(b"GET", 1, keeps_client=True)
DATE = b"Date: x\r\n"


def crossed(lines: bytes, client: str = "192.0.2.1", scheme: str = "http") -> dict[bytes, bytes]:
    """Return what the upstream gets of these field lines, names in lower case."""
    found = crossing(lines, client, scheme).lines.split(b"\r\n")
    pairs = (line.partition(b": ") for line in found if line)
    return {name.lower(): value for name, _, value in pairs}


# --- requests --------------------------------------------------------------------------------


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
def test_the_client_is_named(client: str, lines: bytes, forwarded: bytes, chain: bytes) -> None:
    """Forwarded and X-Forwarded-For go on with what was said before, in the standard's quoting."""
    fields = crossed(lines, client)
    assert (fields[b"forwarded"], fields[b"x-forwarded-for"]) == (forwarded, chain)


def test_repeated_fields_stay_repeated() -> None:
    """Fields that come twice go twice, in order, with the spaces of their values kept inside."""
    lines = crossing(b"Cookie: a=1;  b\r\nX: 1\r\nCookie: c\r\n", "1", "http").lines
    assert lines.startswith(b"cookie: a=1;  b\r\nx: 1\r\ncookie: c\r\n")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (b"Content-Length: 3\r\n", None),
        (b"Transfer-Encoding: Chunked\r\n", None),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        (b"Content-Length: 3, 3\r\n", 400),
        (b"Content-Length: +3\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: identity\r\n", 501),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
    ],
)
def test_a_request_says_clearly_how_long_it_is(lines: bytes, problem: int | None) -> None:
    """One length or chunks, nothing else, whoever has read the head."""
    found = crossing(lines, "1", "http").problem
    assert (found.code if found else None) == problem


@pytest.mark.parametrize(
    ("lines", "is_plain"),
    [
        (b"Host: h\r\nContent-Length: 3\r\n", True),
        (b"", False),
        (b"Host: h\r\nHost: h\r\n", False),
        (b"Host: h\r\nContent-Type: a\r\nContent-Type: b\r\n", False),
        (b"Host: h\r\nTransfer-Encoding: chunked\r\n", False),
        (b"Host: h\r\nExpect: 100-continue\r\n", False),
        (b"Host: h\r\n" + b"X: y\r\n" * 100, False),
        (b"Host: h\r\nX: " + b"y" * 8190 + b"\r\n", False),
    ],
)
def test_the_unusual_is_not_plain(lines: bytes, is_plain: bool) -> None:
    """What gunicorn's parser would refuse, or has to add to, is left to it."""
    assert crossing(lines, "1", "http").is_plain is is_plain


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
def test_a_client_says_whether_it_wants_more(minor: int, lines: bytes, wants_more: bool) -> None:
    """HTTP/1.1 goes on unless told otherwise, HTTP/1.0 ends."""
    assert Request(b"GET", b"/", minor, crossing(lines, "1", "http")).wants_more is wants_more


def test_framing_fields_cannot_be_taken_away() -> None:
    """Connection may name any field; the body's length still crosses."""
    fields = crossed(b"Host: h\r\nConnection: content-length, host\r\nContent-Length: 3\r\n")
    assert fields[b"content-length"] == b"3"


@pytest.mark.parametrize(
    ("value", "hops"), [(None, 0), (b"1", 1), (b"2", 2), (b"0", 2), (b"9", 2), (b"x", 2)]
)
def test_hops_are_counted(value: bytes | None, hops: int) -> None:
    """A count that is not ours is one too many."""
    found: Crossing = crossing(
        b"Prometheus-Elector-Hop: %b\r\n" % value if value else b"", "1", "http"
    )
    assert found.hops == hops
    assert b"Prometheus-Elector-Hop: %d\r\n" % (hops + 1) in found.lines


# --- answers ---------------------------------------------------------------------------------


def answered(lines: bytes, asked: Asked = GET, status: bytes = b"1.1 200 OK") -> Any:
    """Return how an answer with these field lines goes on."""
    head = response_head(b"HTTP/" + status + b"\r\n" + lines + b"\r\n")
    assert head is not None
    return forwarding(head, asked, wall=0.0)


@pytest.mark.parametrize(
    ("lines", "asked", "status", "passed", "body"),
    [
        (b"Content-Length: 3\r\n", GET, b"1.1 200 OK", b"Content-Length: 3\r\n", LengthBody),
        (b"TRANSFER-encoding: CHUNKED\r\n", GET, b"1.1 200 OK", b"TRANSFER-encoding: CHUNKED\r\n",
         ChunkedBody),
        (b"", GET, b"1.1 200 OK", b"Transfer-Encoding: chunked\r\n", ClosedBody),
        (b"", GET._replace(method=b"HEAD"), b"1.1 200 OK", b"", LengthBody),
        (b"Content-Length: 3\r\n", GET._replace(method=b"HEAD"), b"1.1 200 OK",
         b"Content-Length: 3\r\n", LengthBody),
        (b"Content-Length: 3\r\n", GET, b"1.1 204 No Content", b"", LengthBody),
        (b"Content-Length: 3\r\n", GET, b"1.1 304 Not Modified", b"Content-Length: 3\r\n",
         LengthBody),
        (b"Content-Length: 3\r\n", GET, b"1.0 200 OK", b"Content-Length: 3\r\n", LengthBody),
    ],
    ids=["length", "chunks", "closed", "HEAD", "HEAD with length", "204", "304", "1.0"],
)  # fmt: skip
def test_an_answer_is_framed_as_its_body(
    lines: bytes, asked: Asked, status: bytes, passed: bytes, body: type
) -> None:
    """Its length stays, chunks stay chunks, and what ends with its connection gets chunks."""
    answer = answered(DATE + lines, asked, status)
    code_and_reason = status.partition(b" ")[2]
    assert answer.head == b"HTTP/1.1 " + code_and_reason + b"\r\n" + DATE + passed + b"\r\n"
    assert type(answer.body) is body


@pytest.mark.parametrize(
    ("lines", "added", "passed"),
    [
        (b"Content-Length: 8\r\n", b"Content-Length: 8\r\nConnection: keep-alive\r\n",
         b"3\r\nabc\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"abc"),
        (b"", b"Connection: close\r\n", b"3\r\nabc\r\n"),
    ],
)  # fmt: skip
def test_an_old_client_gets_no_chunks(lines: bytes, added: bytes, passed: bytes) -> None:
    """HTTP/1.0 knows lengths and closing only."""
    answer = answered(DATE + lines, GET._replace(minor=0))
    assert answer.head == b"HTTP/1.1 200 OK\r\n" + DATE + added + b"\r\n"
    assert answer.body.take(b"3\r\nabc\r\n") == passed


def test_fields_of_the_upstreams_connection_end_here() -> None:
    """Hop-by-hop fields and those that Connection names are left out, the rest stays in order."""
    answer = answered(
        b"X: 1\r\nConnection: close, Y\r\nY: 2\r\nKeep-Alive: 3\r\nDate: x\r\nX: 4\r\n"
        b"Proxy-Authenticate: z\r\nTrailer: T\r\nUpgrade: u\r\nContent-Length: 0\r\n"
    )
    assert answer.head == (
        b"HTTP/1.1 200 OK\r\nX: 1\r\nDate: x\r\nX: 4\r\nContent-Length: 0\r\n\r\n"
    )


def test_an_answer_without_a_date_gets_one() -> None:
    """A proxy with a clock adds the time (RFC 9110, 6.6.1)."""
    assert b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in answered(b"Content-Length: 0\r\n").head


@pytest.mark.parametrize(
    ("lines", "status", "keeps"),
    [
        (b"Content-Length: 0\r\n", b"1.1 200 OK", True),
        (b"Content-Length: 0\r\nConnection: close\r\n", b"1.1 200 OK", False),
        (b"Content-Length: 0\r\n", b"1.0 200 OK", False),
        (b"", b"1.1 200 OK", False),
    ],
)
def test_an_upstreams_connection_goes_on_if_it_says_so(
    lines: bytes, status: bytes, keeps: bool
) -> None:
    """HTTP/1.1 goes on unless it says close, or ends its answer so."""
    assert answered(lines, status=status).keeps_upstream is keeps


def test_a_client_that_closes_is_told_so() -> None:
    """The last answer on a connection says that it is."""
    answer = answered(DATE + b"Content-Length: 0\r\n", GET._replace(keeps_client=False))
    assert answer.head.endswith(b"Connection: close\r\n\r\n")
    assert not answer.keeps_client


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", b"1.1 200 OK"),
        (b"Content-Length: 3, 3\r\n", b"1.1 200 OK"),
        (b"Content-Length: -3\r\n", b"1.1 200 OK"),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"1.1 200 OK"),
        (b"Transfer-Encoding: gzip, chunked\r\n", b"1.1 200 OK"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"1.1 200 OK"),
        (b"Transfer-Encoding: chunked\r\n", b"1.0 200 OK"),
    ],
)
def test_an_answer_without_a_clear_end_is_refused(lines: bytes, status: bytes) -> None:
    """What two readers could end in two places does not pass."""
    with pytest.raises(BadHead):
        answered(lines, status=status)
