"""Heads are read to the letter, and plain requests as gunicorn's parser would read them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http.parser import RequestParser  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapper.proxy.forwarding import crossing
from wrapper.proxy.http_head import (
    MOST_HEAD_BYTES,
    BadHead,
    fields_of,
    is_head_over,
    plain_request,
    response_head,
)

PLAIN = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_plain_request_is_read() -> None:
    """Method, target, field lines, and where the head ends."""
    head = plain_request(b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX:y \r\n\r\nbody")
    assert head is not None
    assert (head.method, head.target) == (b"POST", b"/a?b=%2F")
    assert fields_of(head.lines) == [(b"Host", b"h"), (b"X", b"y")]
    assert head.end == len(b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX:y \r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-1],
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"h\r\n", b"h\n"),
        PLAIN.replace(b"h\r\n", b"h\r"),
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"GET", b"G\0T"),
        PLAIN.replace(b" /a ", b"  /a "),
        PLAIN.replace(b" /a ", b" /a\t"),
        PLAIN.replace(b"/a", b"/\xe9"),
        PLAIN.replace(b"/a", b"http://h/a"),
        PLAIN.replace(b"/a", b"*"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"1.1", b"2.0"),
        PLAIN.replace(b"1.1", b"1.1 "),
        PLAIN.replace(b"Host:", b"Host :"),
        PLAIN.replace(b"Host:", b" Host:"),
        PLAIN.replace(b"Host: h", b"Host: h\r\n folded"),
        PLAIN.replace(b"Host: h", b"Host: h\r\nno colon"),
        PLAIN.replace(b"Host: h", b"Host: h\r\n: no name"),
        PLAIN.replace(b"Host: h", b"Host: h\r\nX_Y: z"),
        PLAIN.replace(b"Host: h", b"Host: h\0"),
        PLAIN.replace(b"Host: h", b"Host: h\x7f"),
        b"\r\n" + PLAIN,
        b" " + PLAIN,
    ],
)
def test_what_is_not_plain_is_left_alone(data: bytes) -> None:
    """Anything unusual, or wrong, is for gunicorn's parser to judge."""
    assert plain_request(data) is None


# --- the subset property ---------------------------------------------------------------------

CONFIG = Config()
CONFIG.set("limit_request_line", 0)
CONFIG.set("http_parser", "python")

_PIECES = st.sampled_from(
    (
        *(b"GET", b"POST", b" ", b"/", b"/a%2F?b", b"*", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n"),
        *(b"\r", b"\t", b"\0", b"\xe9", b":", b"Host: a\r\n", b"Content-Length: 3\r\n", b"_", b","),
        *(b"Content-Length: 03\r\n", b"Content-Length: +3\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Expect: 100-continue\r\n", b"Content-Type: a\r\n", b"X-Y: z\r\n", b" z\r\n", b"a"),
        *(b"Connection: close\r\n", b"content-length: 3\r\n", b"\r\n\r\n", b"3\r\nabc\r\n0"),
    )
)


def _requests() -> Iterator[st.SearchStrategy[bytes]]:
    yield st.lists(_PIECES, max_size=12).map(b"".join)
    line = st.sampled_from((b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n"))
    fields = st.lists(_PIECES, max_size=6).map(b"".join)
    yield st.tuples(line, st.just(b"Host: a\r\n"), fields, st.just(b"\r\n")).map(b"".join)
    yield st.tuples(line, fields, st.just(b"\r\n"), st.binary(max_size=9)).map(b"".join)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(*_requests()))
def test_what_is_plain_gunicorn_reads_alike(data: bytes) -> None:
    """Whatever is taken as plain, gunicorn's parser takes too, with the same meaning and end."""
    head = plain_request(data)
    if head is None:
        return
    fields = crossing(head.lines, "127.0.0.1", "http")
    if not fields.is_plain:
        return
    parser = RequestParser(CONFIG, iter((data,)), ("127.0.0.1", 1))
    incoming = next(parser)
    assert incoming.method.encode() == head.method
    assert incoming.uri.encode("latin-1") == head.target
    assert incoming.version == (1, 1)
    assert [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in incoming.headers
    ] == [(name.upper(), value) for name, value in fields_of(head.lines)]
    assert getattr(incoming.body.reader, "length", None) == (fields.length or 0)
    assert parser.unreader.take_buffered() == data[head.end :]


# --- when to wait for more -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "is_over"),
    [
        (PLAIN, True),
        (PLAIN[:-1], False),
        (b"GET / HTTP/1.1\n", True),
        (b"GET / HTTP/1.1\r", False),
        (b"x" * (MOST_HEAD_BYTES + 1), True),
        (b"", False),
    ],
)
def test_a_head_is_waited_for_while_it_can_come(data: bytes, is_over: bool) -> None:
    """A whole head, a bare line feed or too many bytes end the wait."""
    assert is_head_over(data) is is_over


@given(st.integers(0, len(PLAIN) - 1))
def test_the_end_is_found_wherever_it_is_cut(cut: int) -> None:
    """Bytes looked at before are not looked at again, and no end is missed."""
    assert not is_head_over(PLAIN[:cut])
    assert is_head_over(PLAIN, cut)


# --- responses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", (1, 200, b"OK", b"")),
        (b"HTTP/1.1 404 \r\n\r\n", (1, 404, b"", b"")),
        (b"HTTP/1.1 404\r\n\r\n", (1, 404, b"", b"")),
        (b"HTTP/1.0 206 Some Of It\r\nX: y\r\n\r\nz", (0, 206, b"Some Of It", b"X: y\r\n")),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nY: c\r\n\r\n", (1, 200, b"OK", b"X: a b\r\nY: c\r\n")),
    ],
)
def test_a_response_is_read(data: bytes, found: tuple[int, int, bytes, bytes]) -> None:
    """Version, code, reason and field lines; folded lines become one."""
    head = response_head(data)
    assert head is not None
    assert head[:4] == found
    assert head.end == data.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MOST_HEAD_BYTES,
    ],
)
def test_a_bad_response_is_none(data: bytes) -> None:
    """What does not follow the grammar is refused, at once where that is certain."""
    with pytest.raises(BadHead):
        response_head(data)


@given(st.integers(0, 50))
def test_half_a_response_is_waited_for(cut: int) -> None:
    """A head that is not whole yet is none yet."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n b\r\n\r\n"
    assert response_head(whole[: min(cut, len(whole) - 1)]) is None
    assert response_head(whole) is not None
