"""Requests with a header that is too long, or that is ambiguous: they are refused."""

from __future__ import annotations

import pytest

from tests.log_lines import read_log
from tests.web.conftest import Web, answers, leading
from tests.web.upstreams import Call, drain, persistent
from wrapper.base.line_limit import FIRST

_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_SMUGGLED = b"GET /-/quit HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 60_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    ],
    ids=["target", "all", "one field", "many fields"],
)
def test_a_header_over_the_limit_is_refused(web: Web, head: bytes) -> None:
    """A header that is too large is refused, and nothing reaches Prometheus."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        assert web.raw(head).split(b" ", 2)[1] in (b"414", b"431")
        assert upstream.calls == []


@pytest.mark.parametrize(
    "request_",
    [
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        _POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
        _POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        _POST + b"Content-Length: 5, 5\r\n\r\nhello",
        _POST + b"Content-Length: +5\r\n\r\nhello",
        _POST + b"Content-Length: 0x5\r\n\r\nhello",
        _POST + b"Content-Length: 5 5\r\n\r\nhello",
        _POST + b"Content-Length: -5\r\n\r\nhello",
        _POST + b"Content-Length: \xb2\r\n\r\nhello",
        _POST + b"Content-Length : 5\r\n\r\nhello",
        _POST + b" Content-Length: 5\r\n\r\nhello",
        _POST + b"X: y\r\n Content-Length: 5\r\n\r\nhello",
        _POST + b"X: y\r\n\tfolded\r\nContent-Length: 5\r\n\r\nhello",
        _POST + b"X: y\nContent-Length: 5\r\n\r\nhello",
        _POST + b"X: y\rContent-Length: 5\r\n\r\nhello",
        _POST + b"X: y\0\r\nContent-Length: 5\r\n\r\nhello",
        _POST + b"X\0: y\r\n\r\n",
        _POST + b"X y\r\n\r\n",
        _POST + b": y\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        _POST + b"Transfer-Encoding: \r\nContent-Length: 5\r\n\r\nhello",
        _POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Host: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /_elector/healthz HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET /\nHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n",
    ],
)
def test_ambiguous_requests_are_refused(web: Web, request_: bytes) -> None:
    """An ambiguous request is refused, and the bytes after it do not count as a request."""
    with persistent(Call.say) as upstream:
        web.tell(leading(upstream.url))
        answered = web.raw(request_ + _SMUGGLED)
        assert answered.split(b" ", 2)[1] in (b"400", b"501"), answered
        assert answers(answered) == 1
        assert upstream.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5;\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello",
        b"0\r\nX: y\n\r\n\r\n",
    ],
)
def test_malformed_chunks_are_refused(web: Web, body: bytes) -> None:
    """A malformed chunked body is refused, and ends both connections."""
    with persistent(drain) as upstream:
        web.tell(leading(upstream.url))
        answered = web.raw(_POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + _SMUGGLED)
        assert answered.split(b" ", 2)[1] == b"400", answered
        assert answers(answered) == 1
        assert all(b"quit" not in call.head for call in upstream.calls)


def test_refused_requests_are_logged_only_a_few_times() -> None:
    """Every refused request is answered, but only the first few per status are logged."""
    web = Web()
    try:
        for _ in range(3 * FIRST):
            assert web.raw(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
        too_many = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n"
        assert web.raw(too_many).startswith(b"HTTP/1.1 431")
    finally:
        text = web.stop()
    refused = [each for each in read_log(text) if each.message == "request refused"]
    assert [each.fields["status"] for each in refused] == [*["400"] * FIRST, "431"]
