"""Heads are read strictly, by llhttp and by further checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.proxy.http_head import (
    MOST_HEAD_BYTES,
    BadHead,
    is_head_over,
    is_too_long,
    request_head,
    response_head,
)

PLAIN = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def test_request_is_read() -> None:
    """Method, target, version, fields in lower case and the end of the head are read."""
    head = request_head(b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX:y \t\r\nX: \xe9\r\n\r\nbody")
    assert (head.method, head.target, head.minor) == (b"POST", b"/a?b=%2F", 1)
    assert head.fields == [(b"host", b"h"), (b"x", b"y"), (b"x", b"\xe9")]
    assert head.end == len(b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX:y \t\r\nX: \xe9\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (PLAIN.replace(b"1.1", b"1.0"), (b"GET", b"/a", 0)),
        (PLAIN.replace(b"/a", b"http://h/a"), (b"GET", b"http://h/a", 1)),
        (PLAIN.replace(b"/a", b'/{a}|<b>\\^`"#?#'), (b"GET", b'/{a}|<b>\\^`"#?#', 1)),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", (b"OPTIONS", b"*", 1)),
        (b"CONNECT h:1 HTTP/1.1\r\n\r\n", (b"CONNECT", b"h:1", 1)),
        (b"\r\n" + PLAIN, (b"GET", b"/a", 1)),
        (PLAIN[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n", (b"GET", b"/a", 1)),
    ],
)
def test_unusual_request_is_read(data: bytes, found: tuple[bytes, bytes, int]) -> None:
    """Each form of a target, HTTP/1.0, one empty line in front and an Upgrade are read."""
    head = request_head(data + PLAIN)
    assert head[:3] == found
    assert head.end == len(data)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"h\r\n", b"h\n"),
        PLAIN.replace(b"h\r\n", b"h\r"),
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"GET", b"BREW"),
        PLAIN.replace(b"GET", b"G\0T"),
        PLAIN.replace(b" /a ", b"  /a "),
        PLAIN.replace(b" /a ", b" /a\t"),
        PLAIN.replace(b" /a ", b" /a  "),
        PLAIN.replace(b"/a", b"/\xe9"),
        PLAIN.replace(b"/a", b"/\0"),
        PLAIN.replace(b"/a", b"a"),
        PLAIN.replace(b"/a", b"*"),
        PLAIN.replace(b"/a", b"*a"),
        PLAIN.replace(b"1.1", b"0.9"),
        PLAIN.replace(b"1.1", b"1.2"),
        PLAIN.replace(b"1.1", b"2.0"),
        PLAIN.replace(b"1.1", b"1.1 "),
        PLAIN.replace(b"Host:", b"Host :"),
        PLAIN.replace(b"Host:", b" Host:"),
        PLAIN.replace(b"Host: h", b"Host: h\r\n folded"),
        PLAIN.replace(b"Host: h", b"Host: h\r\nno colon"),
        PLAIN.replace(b"Host: h", b"Host: h\r\n: no name"),
        PLAIN.replace(b"Host: h", b"Host: h\0"),
        PLAIN.replace(b"Host: h", b"Host: h\x7f"),
        PLAIN.replace(b"Host: h", b"Content-Length: 1\r\nContent-Length: 1"),
        PLAIN.replace(b"Host: h", b"Content-Length: 1\r\nTransfer-Encoding: chunked"),
        b"\r\n\r\n" + PLAIN,
        b"\n" + PLAIN,
        b" " + PLAIN,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_request_that_is_not_strict_is_refused(data: bytes) -> None:
    """What another server could read in another way is refused, also if llhttp accepts it."""
    with pytest.raises(BadHead):
        request_head(data)


_PIECES = st.sampled_from(
    (
        *(b"GET", b"POST", b" ", b"/", b"/a%2F?b", b"*", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n"),
        *(b"\r", b"\t", b"\0", b"\xe9", b":", b"Host: a\r\n", b"Content-Length: 3\r\n", b"_", b","),
        *(b"Content-Length: 03\r\n", b"Transfer-Encoding: chunked\r\n", b" z\r\n", b"X-Y: z\r\n"),
        *(b"Connection: upgrade\r\nUpgrade: a\r\n", b"\r\n\r\n", b"3\r\nabc\r\n0", b"a"),
    )
)


@given(
    st.sampled_from((b"", b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nHost: a\r\n")),
    st.lists(_PIECES, max_size=10).map(b"".join),
)
def test_request_is_read_as_it_was_written(first: bytes, rest: bytes) -> None:
    """A head written from what was read is the same, except for spaces and case."""
    data = first + rest + b"\r\n\r\n"
    try:
        head = request_head(data)
    except BadHead:
        return
    lines = b"".join(b"%b:%b\r\n" % field for field in head.fields)
    anew = b"%b %b HTTP/1.%d\r\n%b\r\n" % (head.method, head.target, head.minor, lines)
    squeezed = (each.replace(b" ", b"").replace(b"\t", b"").lower() for each in (anew, data))
    found, given_ = squeezed
    assert given_.removeprefix(b"\r\n").startswith(found)
    assert data[: head.end].endswith(b"\r\n\r\n")


# --- whether a head is complete -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "is_over"),
    [
        (PLAIN, True),
        (PLAIN[:-1], False),
        (b"GET / HTTP/1.1\n", True),
        (b"GET / HTTP/1.1\r", False),
        (b"x" * (MOST_HEAD_BYTES + 1), True),
        (b"x" * MOST_HEAD_BYTES, False),
        (b"", False),
    ],
)
def test_head_is_awaited_while_it_may_be_completed(data: bytes, is_over: bool) -> None:
    """A complete head, a bare line feed or too many bytes end the wait."""
    assert is_head_over(data) is is_over


@given(st.integers(0, len(PLAIN) - 1))
def test_end_of_a_head_is_found_in_any_pieces(cut: int) -> None:
    """Bytes that were searched are not searched again, and no end is missed."""
    assert not is_head_over(PLAIN[:cut])
    assert is_head_over(PLAIN, cut)


@pytest.mark.parametrize("excess", [0, 1, 65536])
def test_head_is_too_long_in_any_pieces(excess: int) -> None:
    """The limit counts also if the end of the head arrives with the bytes above the limit."""
    head = PLAIN[:-4] + b"y" * (MOST_HEAD_BYTES - len(PLAIN) + excess) + b"\r\n\r\n"
    assert is_head_over(head)
    assert is_too_long(head) is is_too_long(head + PLAIN) is (excess > 0)


# --- responses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", (1, 200, b"OK", [])),
        (b"HTTP/1.1 404 \r\n\r\n", (1, 404, b"", [])),
        (b"HTTP/1.1 404\r\n\r\n", (1, 404, b"", [])),
        (b"HTTP/1.0 206 Some Of It\r\nX: y\r\n\r\nz", (0, 206, b"Some Of It", [(b"X", b"y")])),
        (
            b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nY: c\r\n\r\n",
            (1, 200, b"OK", [(b"X", b"a b"), (b"Y", b"c")]),
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: a \t\r\n \r\n\t b  c\r\n\r\n",
            (1, 200, b"OK", [(b"X", b"a b  c")]),
        ),
    ],
)
def test_response_is_read(
    data: bytes, found: tuple[int, int, bytes, list[tuple[bytes, bytes]]]
) -> None:
    """Version, status, reason and fields are read; folded lines are joined."""
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
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MOST_HEAD_BYTES + b"\r\n\r\n",
    ],
)
def test_invalid_response_is_refused(data: bytes) -> None:
    """A response that violates the grammar is refused as soon as this is certain."""
    with pytest.raises(BadHead):
        response_head(data)


@given(st.integers(0, 50))
def test_incomplete_response_is_awaited(cut: int) -> None:
    """An incomplete head is not read yet."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n b\r\n\r\n"
    assert response_head(whole[: min(cut, len(whole) - 1)]) is None
    assert response_head(whole) is not None
