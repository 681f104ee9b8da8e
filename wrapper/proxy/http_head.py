"""The heads of HTTP/1.0 and 1.1 messages, parsed by llhttp (RFC 9110 and 9112); pure.

llhttp is the parser of Node.js. It is used through httptools, in its strict mode. A head that
llhttp accepts, but that two parsers could read differently, is refused here. So a request's first
line must follow the grammar exactly. Bodies, and the meaning of fields, are not handled here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

Fields = list[tuple[bytes, bytes]]

MOST_HEAD_BYTES = 256 << 10
END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"(?<![ \t])[ \t]*+(?:\r\n[ \t]++)++")
_BEGIN = b"HTTP/1."
_MINORS = {b"HTTP/1.0": 0, b"HTTP/1.1": 1}
_FIRST_CODE = 100
_LAST_CODE = 599
_MOST_DIGITS = 18

# Hop-by-hop fields, which are not forwarded (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)


class BadHead(Exception):
    """The bytes are not the head of a message, and more bytes cannot make them one.

    ``code`` is the status of the answer to such a request.
    """

    def __init__(self, text: str, code: int = 400) -> None:
        super().__init__(text)
        self.code = code


class RequestHead(NamedTuple):
    """The head of a request.

    - ``method``, ``target``, ``minor``: the request line; HTTP's version is 1.``minor``.
    - ``fields``: the fields, with names in lower case.
    - ``end``: the length of the head in bytes.
    - ``sent_fields``: the fields, with names as received.
    """

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    end: int
    sent_fields: Fields


class ResponseHead(NamedTuple):
    """The head of a response; ``fields`` have names as received, ``end`` is its length in bytes."""

    minor: int
    code: int
    reason: bytes
    fields: Fields
    end: int


class _Found:
    """Receives llhttp's callbacks; ``word`` is a request's target, or a response's reason."""

    __slots__ = ("fields", "word")

    def __init__(self) -> None:
        self.word = b""
        self.fields: Fields = []

    def on_url(self, target: bytes) -> None:
        self.word = target

    def on_status(self, reason: bytes) -> None:
        self.word = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(b" \t")))


def is_head_over(data: bytes, begin: int = 0) -> bool:
    """Return whether the head is complete, or invalid already: too long, or with a bare line feed.

    The bytes before ``begin`` have been checked before.
    """
    begin = max(begin - 3, 0)
    if data.find(END, begin) >= 0 or is_too_long(data):
        return True
    return _BARE_LINE_FEED.search(data, begin) is not None


def is_too_long(data: bytes) -> bool:
    """Return whether a head is longer than MOST_HEAD_BYTES, even if the rest has been received."""
    return len(data) > MOST_HEAD_BYTES and data.find(END, 0, MOST_HEAD_BYTES) < 0


def request_head(data: bytes) -> RequestHead:
    """Parse the head at the beginning of bytes for which ``is_head_over`` is true; raise BadHead.

    One empty line before it is skipped (RFC 9112, 2.2).
    """
    if is_too_long(data):
        raise BadHead(f"its head is longer than {MOST_HEAD_BYTES >> 10} KiB", 431)
    begin = 2 if data.startswith(b"\r\n") else 0
    end = data.find(END, begin) + len(END)
    found = _Found()
    parser = HttpRequestParser(found)
    _feed(parser, data[begin:end] if end >= len(END) else data[begin:])
    if end < len(END):
        raise BadHead("a line ends with LF instead of CR LF")
    method, target, line = parser.get_method(), found.word, data[begin : data.find(b"\r\n", begin)]
    minor = _MINORS.get(line[-8:])
    if minor is None or line != b"%b %b %b" % (method, target, line[-8:]):
        raise BadHead("the first line is not a request line of HTTP/1.0 or HTTP/1.1")
    if not _is_target(method, target):
        raise BadHead("the request target is not valid for its method")
    fields = [(name.lower(), value) for name, value in found.fields]
    return RequestHead(method, target, minor, fields, end, found.fields)


def _is_target(method: bytes, target: bytes) -> bool:
    """Return whether a target has one of the forms for its method (RFC 9112, 3.2)."""
    if target.startswith(b"/") or b"://" in target:
        return True
    return method == b"CONNECT" or (method == b"OPTIONS" and target == b"*")


def origin_form(raw: bytes) -> bytes:
    """Return the request target without scheme and authority, otherwise unchanged."""
    if raw.startswith(b"/") or raw == b"*":
        return raw
    rest = raw.partition(b"://")[2]
    start = min((rest.find(mark) for mark in b"/?" if mark in rest), default=len(rest))
    return rest[start:] if rest[start : start + 1] == b"/" else b"/" + rest[start:]


def response_head(data: bytes) -> ResponseHead | None:
    """Parse the head at the beginning of the bytes; None while it is incomplete; raise BadHead.

    A folded field becomes one line (RFC 9112, 5.2).
    """
    end = data.find(END) + len(END)
    if end < len(END) or is_too_long(data):
        if is_head_over(data) or not _BEGIN.startswith(data[: len(_BEGIN)]):
            raise BadHead("it is not a response of HTTP/1.0 or HTTP/1.1, or its head is too long")
        return None
    head, minor = data[:end], _MINORS.get(data[:8])
    if b"\r\n " in head or b"\r\n\t" in head:
        first, line_end, lines = head.partition(b"\r\n")
        head = first + line_end + _FOLD.sub(b" ", lines)
    found = _Found()
    parser = HttpResponseParser(found)
    _feed(parser, head)
    code = parser.get_status_code()
    if minor is None or not _FIRST_CODE <= code <= _LAST_CODE:
        raise BadHead("the first line is not a status line of HTTP/1.0 or HTTP/1.1")
    return ResponseHead(minor, code, found.word, found.fields, end)


def _feed(parser: HttpRequestParser | HttpResponseParser, head: bytes) -> None:
    """Have llhttp parse a head; the callers handle a request to switch protocols."""
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        return
    except HttpParserError as error:
        raise BadHead(str(error)) from error


# --- fields ----------------------------------------------------------------------------------


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of all fields with this name; names are in lower case."""
    return [value for each, value in fields if each == name]


def connection_options(fields: Fields) -> frozenset[bytes]:
    """Return the options of Connection, in lower case."""
    values = values_of(fields, b"connection")
    if not values:
        return frozenset()
    words = b",".join(values).lower().split(b",")
    return frozenset(filter(None, (word.strip() for word in words)))


def is_framed_once(lengths: list[bytes], codings: list[bytes]) -> bool:
    """Return whether a message has at most one length, and the length has at most 18 digits."""
    return len(lengths) + len(codings) <= 1 and all(len(each) <= _MOST_DIGITS for each in lengths)


def field_lines(fields: Fields) -> bytes:
    """Return fields as the lines of a head."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])
