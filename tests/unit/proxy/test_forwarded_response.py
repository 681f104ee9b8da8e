"""What the proxy forwards of an answer: fields, framing, and kept connections."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.forwarded_response import forwarding
from wrapper.proxy.header_overrides import ConfiguredFields
from wrapper.proxy.http_body import ChunkedBody, ClosedBody, LengthBody
from wrapper.proxy.http_head import BadHead, request_head, response_head

GET = Request(
    b"GET", b"/", 1, forwarded_fields(request_head(b"GET / HTTP/1.1\r\n\r\n"), "1", "http")
)
DATE = b"Date: x\r\n"


def answered(
    lines: bytes,
    request: Request = GET,
    status: bytes = b"1.1 200 OK",
    *,
    keeps_client: bool = True,
) -> Any:
    """Return the forwarding of an answer with these field lines."""
    head = response_head(b"HTTP/" + status + b"\r\n" + lines + b"\r\n")
    assert head is not None
    return forwarding(head, request, 0.0, ConfiguredFields(), keeps_client=keeps_client)


@pytest.mark.parametrize(
    ("lines", "request_", "status", "passed", "body"),
    [
        (b"Content-Length: 3\r\n", GET, b"1.1 200 OK", b"Content-Length: 3\r\n", LengthBody),
        (b"TRANSFER-encoding: CHUNKED\r\n", GET, b"1.1 200 OK", b"Transfer-Encoding: chunked\r\n",
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
def test_framing_of_an_answer_fits_its_body(
    lines: bytes, request_: Request, status: bytes, passed: bytes, body: type
) -> None:
    """A length and chunks stay; a body that ends with its connection gets chunks."""
    answer = answered(DATE + lines, request_, status)
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
def test_http_1_0_client_gets_no_chunks(lines: bytes, added: bytes, passed: bytes) -> None:
    """HTTP/1.0 knows only lengths and closed connections."""
    answer = answered(DATE + lines, GET._replace(minor=0))
    assert answer.head == b"HTTP/1.1 200 OK\r\n" + DATE + added + b"\r\n"
    assert answer.body.take(b"3\r\nabc\r\n") == passed


def test_hop_by_hop_fields_are_not_forwarded() -> None:
    """Hop-by-hop fields and those that Connection names are left out; the others stay in order."""
    answer = answered(
        b"X: 1\r\nConnection: close, Y\r\nY: 2\r\nKeep-Alive: 3\r\nDate: x\r\nX: 4\r\n"
        b"Proxy-Authenticate: z\r\nTrailer: T\r\nUpgrade: u\r\nContent-Length: 0\r\n"
    )
    assert answer.head == (
        b"HTTP/1.1 200 OK\r\nX: 1\r\nDate: x\r\nX: 4\r\nContent-Length: 0\r\n\r\n"
    )


def test_answer_without_a_date_gets_one() -> None:
    """A proxy with a clock adds the date (RFC 9110, 6.6.1)."""
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
def test_when_the_connection_to_the_upstream_is_kept(
    lines: bytes, status: bytes, keeps: bool
) -> None:
    """HTTP/1.1 keeps the connection, unless it says close or the end of the body closes it."""
    assert answered(lines, status=status).keeps_upstream is keeps


def test_last_answer_says_close() -> None:
    """The last answer on a client's connection has ``Connection: close``."""
    answer = answered(DATE + b"Content-Length: 0\r\n", keeps_client=False)
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
def test_answer_without_a_clear_end_is_refused(lines: bytes, status: bytes) -> None:
    """An answer whose end two readers could see in two places is refused."""
    with pytest.raises(BadHead):
        answered(lines, status=status)
