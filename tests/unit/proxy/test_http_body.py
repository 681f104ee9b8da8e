"""A body ends where its framing ends, whatever its pieces are; a malformed one is an error."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapper.proxy.http_body import (
    BadBody,
    Body,
    ChunkedBody,
    ChunkedUpload,
    ClosedBody,
    LengthBody,
)

CHUNKS = b'4\r\nab\r\n\r\n00a;x="\\"y";z\r\n\r\n\r\n456789\r\n0;q\r\nT: 1\r\nU: 2\r\n\r\n'
CONTENT = b"ab\r\n\r\n\r\n456789"
NEXT = b"GET / HTTP/1.1\r\n\r\n"


def fed(body: Body, data: bytes, cuts: list[int]) -> bytes:
    """Return what is passed of data that arrives in pieces, until the body is complete."""
    passed = b""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for begin, end in itertools.pairwise(places):
        if body.is_complete:
            body.rest += data[begin:end]
        else:
            passed += body.take(data[begin:end])
    return passed


def content_of(chunks: bytes) -> tuple[bytes, bool]:
    """Return the content of chunks as we write them, and whether the last chunk is among them."""
    content = b""
    while chunks:
        line, _, chunks = chunks.partition(b"\r\n")
        size = int(line, 16)
        content += chunks[:size]
        assert chunks[size : size + 2] == b"\r\n"
        chunks = chunks[size + 2 :]
        if size == 0:
            assert chunks == b""
            return content, True
    return content, False


@given(st.lists(st.integers(0, len(CHUNKS + NEXT)), max_size=8))
def test_chunks_pass_without_extensions_and_trailers(cuts: list[int]) -> None:
    """With any pieces, the same content passes in chunks, and the data behind it is left."""
    body = ChunkedUpload()
    assert content_of(fed(body, CHUNKS + NEXT, cuts)) == (CONTENT, True)
    assert (body.is_complete, body.rest, body.payload_bytes) == (True, NEXT, len(CONTENT))


@given(st.lists(st.integers(0, len(CHUNKS + NEXT)), max_size=8))
def test_chunks_can_be_decoded(cuts: list[int]) -> None:
    """A client without chunks gets their content."""
    body = ChunkedUpload(decoded=True)
    assert fed(body, CHUNKS + NEXT, cuts) == CONTENT
    assert (body.is_complete, body.rest) == (True, NEXT)


@given(
    st.lists(st.integers(0, len(CHUNKS)), max_size=8),
    st.sampled_from((b"", b"x", b"HTTP/1.1 200 OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n")),
)
def test_data_after_an_answer_is_noticed(cuts: list[int], more: bytes) -> None:
    """The same content passes, and data after the end of an upstream's answer is noticed."""
    body = ChunkedBody()
    assert content_of(fed(body, CHUNKS + more, cuts)) == (CONTENT, True)
    assert (body.is_complete, bool(body.rest)) == (True, bool(more))


@given(st.integers(0, len(CHUNKS) - 1))
def test_part_of_a_chunk_passes_at_once(cut: int) -> None:
    """The content of a chunk passes as it arrives; only the lines between chunks wait."""
    passed, is_whole = content_of(ChunkedBody().take(CHUNKS[:cut]))
    first, second = CHUNKS.index(b"ab"), CHUNKS.index(b"\r\n\r\n456")
    came = CHUNKS[first:cut][:4] + CHUNKS[second:cut][:10]
    assert (passed, is_whole) == (came, False)


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 \r\na\r\n",
        b" 1\r\na\r\n",
        b"1\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b"1\r\naXX0\r\n\r\n",
        b"1;\r\na\r\n",
        b'1;x="\r\n"\r\na\r\n',
        b"1;x=y z\r\na\r\n",
        b"12345678901234567\r\n",
        b"1" + b";x" * 5000,
        b"0\r\nX\r\n\r\n",
        b"0\r\nX: y\n\r\n\r\n",
        b"0\r\n folded: y\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 2_000,
    ],
)
def test_malformed_chunks_raise(data: bytes) -> None:
    """Data that another server could read in another way is refused, in one piece or in many."""
    for kind in (ChunkedBody, ChunkedUpload):
        with pytest.raises(BadBody):
            kind().take(data)
        with pytest.raises(BadBody):
            fed(kind(), data, list(range(len(data))))


def test_end_of_the_connection_does_not_end_chunks() -> None:
    """Chunks without the last one are incomplete."""
    body = ChunkedBody()
    body.take(b"1\r\na\r\n")
    with pytest.raises(BadBody):
        body.end()


@given(st.lists(st.integers(0, 12), max_size=5))
def test_body_ends_at_its_length(cuts: list[int]) -> None:
    """A body of known length ends there, whatever follows."""
    body = LengthBody(8)
    assert fed(body, b"01234567next", cuts) == b"01234567"
    assert (body.is_complete, body.rest) == (True, b"next")


def test_empty_body_is_complete() -> None:
    """A body of length 0 is complete at once."""
    assert LengthBody(0).is_complete


def test_body_shorter_than_its_length_is_an_error() -> None:
    """The end of the connection before the end of the body is an error."""
    body = LengthBody(8)
    body.take(b"0123")
    with pytest.raises(BadBody, match="4 bytes"):
        body.end()


@pytest.mark.parametrize(
    ("in_chunks", "passed"), [(False, b"abcd"), (True, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")]
)
def test_body_may_end_with_its_connection(in_chunks: bool, passed: bytes) -> None:
    """A body without framing ends with its connection; in chunks its end is marked."""
    body = ClosedBody(in_chunks=in_chunks)
    assert body.take(b"ab") + body.take(b"cd") + body.end() == passed
    assert body.is_complete
