"""Requests and answers of HTTP/1, valid or nearly valid: strategies for bytes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.fuzz.choices import Choices

# The first value of each is the usual one.
# fmt: off
METHODS = (
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"get", b"G(T", b"",
    b"PRI", b"M-SEARCH", b"QUERY",
)
TARGETS = (
    b"/", b"/a?b=c", b"/_elector/status", b"/-/quit", b"/a/../-/quit", b"http://b/a", b"*",
    b"/%2e%2e/_elector/", b"b:80", b"//a", b"/a#b", b"/\xc3\xa9", b"/a\x00", b"", b"a", b"/a b",
    b"http://", b"http:///a", b"x://y@b/a?c#d", b"/%zz", b"/%", b"?a", b"/\x7f",
)
VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1",
    b"HTTP/01.1", b"HTTP/1.10", b"", b"HTTP/0.9",
)
ENDS = (
    b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\t", b"\x0b\r\n",
)
SPACES = (
    b" ", b"  ", b"\t", b"", b"\x0c",
)
COLONS = (
    b": ", b":", b" : ", b":\t ", b" ", b"", b":\x00", b"\t:", b":\r\n ", b"::",
)
LENGTHS = (
    b"5", b"0", b"3", b"05", b"+5", b"-1", b"5 ", b"5,5", b"5, 5", b"5, 3", b"5_0", b"0x5", b"",
    b"5.0", b"\xb2", b"99999999999999999999", b"1152921504606846976", b"5;", b"'5'",
)
CODINGS = (
    b"chunked", b"Chunked", b"chunked ", b"identity", b"gzip, chunked", b"chunked, gzip", b"",
    b"chunked, chunked", b"xchunked", b"chunked;a=b", b"\x0bchunked", b",chunked", b"chunked,",
    b'"chunked"', b"gzip", b"\tchunked",
)
CONNECTIONS = (
    b"close", b"keep-alive", b"Keep-Alive, close", b"upgrade", b"x-a", b"content-length",
    b"transfer-encoding", b"host", b"", b"close,", b",", b"Close", b"authorization",
)
HOSTS = (
    b"a", b"b:80", b"", b"a b", b"a, b", b"a/b", b"[::1]", b"a\x00", b"\xe9", b"a@b", b"a#",
)
OTHERS = (
    (b"Host", HOSTS), (b"Connection", CONNECTIONS),
    (b"Expect", (b"100-continue", b"100-Continue", b"200-ok", b"")),
    (b"Upgrade", (b"h2c", b"websocket", b"")),
    (b"X-A", (b"b", b"", b"\xe9", b"a\x00b", b"a\rb", b"a\tb", b"x" * 9000, b"\x7f", b"\x01")),
    (b"X_A", (b"b",)), (b"Content_Length", (b"3",)), (b"Content-Length ", (b"3",)), (b"", (b"b",)),
    (b"X A", (b"b",)), (b"X\xe9", (b"b",)), (b"\x00", (b"b",)),
    (b"Transfer_Encoding", (b"chunked",)), (b" Content-Length", (b"3",)), (b"X(", (b"b",)),
    (b"Content-Type", (b"a/b", b"")), (b"Trailer", (b"X-A", b"Content-Length")),
    (b"TE", (b"trailers",)), (b"Forwarded", (b"for=a", b"")), (b"Via", (b"1.1 a",)),
    (b"X-Forwarded-For", (b"a", b"")), (b"Prometheus-Elector-Hop", (b"1", b"2", b"x")),
    (b"HTTP2-Settings", (b"a",)), (b"Authorization", (b"Basic YTpi", b"x" * 9000)),
)
SIZES = (
    b"5", b"3", b"05", b"000000000000000005", b"+5", b"-5", b"0x5", b" 5", b"5 ", b"5\t", b"",
    b"g", b"5_", b"A", b"a", b"ffffffffffffffff", b"10000000000000000", b"7fffffffffffffff",
    b"5;a", b"5;a=b", b'5;a="b;c"', b"5;", b"5 ;a", b"5;\n", b'5;a="\r\n"', b"5;" + b"x" * 9000,
)
TRAILERS = (
    b"", b"X-A: b\r\n", b"X-A: b\n", b"Content-Length: 3\r\n", b"X A: b\r\n", b" : b\r\n",
    b"Host: b\r\n", b"X-A\r\n", b"X-A: b\r", b"\x00: b\r\n", b"X-A: b\r\n c\r\n",
)
PIECES = (
    b"hello", b"abc", b"", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n", b"\r\n",
    b"POST / HTTP/1.1\r\n", b"\n\n", b"HTTP/1.1 200 OK\r\n\r\n",
)
CODES = (
    b"200", b"204", b"304", b"206", b"404", b"500", b"599", b"100", b"103", b"101", b"199", b"999",
    b"600", b"20", b"2000", b"-1", b"+20", b"abc", b"", b"0200", b"2 0",
)
REASONS = (
    b"OK", b"", b"\xe9", b"a\x00", b"a b", b"\t", b"a\rb",
)
LENGTH_NAMES = (
    b"Content-Length", b"content-length", b"Content-Length ", b"Content-length",
)
LASTS = (
    b"0\r\n", b"0\n", b"00\r\n", b"0;a\r\n", b"-0\r\n", b"", b"0 \r\n", b'0;a="b"\r\n',
)
CHANGES = (
    b"", b"\r", b"\n", b"\x00", b" ", b":", b"0", b"\xff", b",", b"\r\n", b"\t",
)
# fmt: on


def _line(choices: Choices, name: bytes, value: bytes) -> bytes:
    """Return a field with a usual or unusual colon and line end."""
    return name + choices.mostly(COLONS, 95) + value + choices.mostly(ENDS, 95)


def _fields(choices: Choices, *first: bytes) -> bytes:
    """Return a header: these lines and others, in any order."""
    lines = list(first)
    for _ in range(choices.number(2)):
        name, values = choices.of(OTHERS)
        lines.insert(choices.number(len(lines)), _line(choices, name, choices.of(values)))
    return b"".join(lines)


def _framed(choices: Choices) -> tuple[bytes, bytes]:
    """Return the lines that frame a body, and the body, which usually fits."""
    kind = choices.number(7)
    if kind <= 1:
        return b"", b""
    if kind == 2:
        return _line(choices, b"Connection", choices.of(CONNECTIONS)), b""
    if kind <= 4:
        piece = choices.of(PIECES)
        return b"Content-Length: %d\r\n" % len(piece), piece
    if kind <= 6:
        return b"Transfer-Encoding: chunked\r\n", _chunks(choices)
    lines = b"".join(_framing(choices) for _ in range(1 + choices.number(1)))
    return lines, choices.of(PIECES) if choices.number(1) else _chunks(choices)


def _framing(choices: Choices) -> bytes:
    if choices.number(1):
        return _line(choices, choices.of(LENGTH_NAMES), choices.of(LENGTHS))
    return _line(choices, b"Transfer-Encoding", choices.of(CODINGS))


def _chunks(choices: Choices) -> bytes:
    chunks = []
    for _ in range(choices.number(2)):
        piece = choices.of(PIECES)
        size = choices.of(SIZES) if choices.number(9) == 9 else b"%x" % len(piece)
        chunks += [size, choices.mostly(ENDS, 95), piece, choices.mostly(ENDS, 95)]
    trailer = choices.mostly(TRAILERS, 70)
    return b"".join(chunks) + choices.mostly(LASTS) + trailer + choices.mostly(ENDS, 95)


def _request(choices: Choices) -> bytes:
    words = (choices.mostly(METHODS, 70), choices.mostly(TARGETS, 70), choices.mostly(VERSIONS))
    host = b"" if choices.number(19) == 19 else b"Host: a\r\n"
    return _message(choices, words, host)


def _answer(choices: Choices) -> bytes:
    words = (choices.mostly(VERSIONS), choices.mostly(CODES, 70), choices.mostly(REASONS, 70))
    return _message(choices, words, b"")


def _message(choices: Choices, words: tuple[bytes, bytes, bytes], first: bytes) -> bytes:
    one, two, end = (choices.mostly(each, 95) for each in (SPACES, SPACES, ENDS))
    framing, body = _framed(choices)
    header = _fields(choices, first, framing)
    line = words[0] + one + words[1] + two + words[2] + end
    return line + header + choices.mostly(ENDS, 95) + body


def _several(choices: Choices, message: Callable[[Choices], bytes]) -> bytes:
    """Return a few messages in a row; in some cases with changed bytes, or cut."""
    data = bytearray(b"".join(message(choices) for _ in range(1 + choices.number(2))))
    for _ in range(max(choices.number(7) - 5, 0)):
        at = _place(choices, data)
        data[at : at + choices.number(2)] = choices.of(CHANGES)
    if choices.number(9) == 9:
        del data[_place(choices, data) :]
    return bytes(data)


def _place(choices: Choices, data: bytearray) -> int:
    return (choices.number(255) << 8 | choices.number(255)) * (len(data) + 1) >> 16


_CHOICES = st.binary(min_size=60, max_size=200).map(Choices)
REQUESTS = _CHOICES.map(lambda choices: _several(choices, _request))
ANSWERS = _CHOICES.map(lambda choices: _several(choices, _answer))
