"""The heads of HTTP/1.0 and 1.1 messages, read from bytes by llhttp (RFC 9110 and 9112); pure.

llhttp is the parser of Node.js, here by httptools, with none of its leniencies. What it takes all
the same, but two readers could take for two different messages, is refused here: so a request's
line has to be to the letter. Where it ends: bodies, and what a field means.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

Fields = list[tuple[bytes, bytes]]

MOST_HEAD_BYTES = 256 << 10
END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_BEGIN = b"HTTP/1."
_MINORS = {b"HTTP/1.0": 0, b"HTTP/1.1": 1}
_LAST_CODE = 599
_MOST_DIGITS = 18

# They never cross (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade".split()
)


class BadHead(Exception):
    """These bytes are not, and will not become, the head of a message."""


class RequestHead(NamedTuple):
    """A request's head: names of ``fields`` are in lower case, ``end`` is where the head ends."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    end: int


class ResponseHead(NamedTuple):
    """A response's head: names of ``fields`` are as they came, ``end`` is where the head ends."""

    minor: int
    code: int
    reason: bytes
    fields: Fields
    end: int


class _Found:
    """Takes what llhttp finds in a head; ``word`` is the target, or the reason."""

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
    """Tell whether to wait for no more: the head is whole, too long, or has a bare line feed.

    Up to ``begin`` the bytes were asked about before.
    """
    begin = max(begin - 3, 0)
    if data.find(END, begin) >= 0 or is_too_long(data):
        return True
    return _BARE_LINE_FEED.search(data, begin) is not None


def is_too_long(data: bytes) -> bool:
    """Tell whether a head has not ended where it has to."""
    return len(data) > MOST_HEAD_BYTES and END not in data


def request_head(data: bytes) -> RequestHead:
    """Return the head that the bytes begin with, of which one ``is_head_over``; raise BadHead.

    One empty line before it is left out (RFC 9112, 2.2).
    """
    begin = 2 if data.startswith(b"\r\n") else 0
    end = data.find(END, begin) + len(END)
    found = _Found()
    parser = HttpRequestParser(found)
    _feed(parser, data[begin:end] if end >= len(END) else data[begin:])
    if end < len(END):
        raise BadHead("it has a line that does not end as lines do")
    method, target, line = parser.get_method(), found.word, data[begin : data.find(b"\r\n", begin)]
    minor = _MINORS.get(line[-8:])
    if minor is None or line != b"%b %b %b" % (method, target, line[-8:]):
        raise BadHead("its first line is none of HTTP/1.0 or HTTP/1.1")
    if not _is_target(method, target):
        raise BadHead("its target is none")
    fields = [(name.lower(), value) for name, value in found.fields]
    return RequestHead(method, target, minor, fields, end)


def _is_target(method: bytes, target: bytes) -> bool:
    """Tell whether a target has one of the forms for its method (RFC 9112, 3.2)."""
    if target.startswith(b"/") or b"://" in target:
        return True
    return method == b"CONNECT" or (method == b"OPTIONS" and target == b"*")


def response_head(data: bytes) -> ResponseHead | None:
    """Return the head that the bytes begin with, None while it is not whole; raise BadHead.

    A folded line becomes one (RFC 9112, 5.2).
    """
    end = data.find(END) + len(END)
    if end < len(END):
        if is_head_over(data) or not _BEGIN.startswith(data[: len(_BEGIN)]):
            raise BadHead("it is none of HTTP/1.0 or HTTP/1.1, or too long")
        return None
    head, minor = data[:end], _MINORS.get(data[:8])
    if b"\r\n " in head or b"\r\n\t" in head:
        first, line_end, lines = head.partition(b"\r\n")
        head = first + line_end + _FOLD.sub(b" ", lines)
    found = _Found()
    parser = HttpResponseParser(found)
    _feed(parser, head)
    code = parser.get_status_code()
    if minor is None or code > _LAST_CODE:
        raise BadHead("its first line is none of HTTP/1.0 or HTTP/1.1")
    return ResponseHead(minor, code, found.word, found.fields, end)


def _feed(parser: HttpRequestParser | HttpResponseParser, head: bytes) -> None:
    """Have llhttp read a head; what it asks for, another protocol too, is judged elsewhere."""
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        return
    except HttpParserError as error:
        raise BadHead(str(error)) from error


# --- fields ----------------------------------------------------------------------------------


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of all fields of this name; names are in lower case."""
    return [value for each, value in fields if each == name]


def connection_options(fields: Fields) -> frozenset[bytes]:
    """Return the words of Connection, in lower case."""
    values = values_of(fields, b"connection")
    if not values:
        return frozenset()
    words = b",".join(values).lower().split(b",")
    return frozenset(filter(None, (word.strip() for word in words)))


def is_framed_once(lengths: list[bytes], codings: list[bytes]) -> bool:
    """Tell whether a message says its length at most once; that it is a number, llhttp has seen."""
    return len(lengths) + len(codings) <= 1 and all(len(each) <= _MOST_DIGITS for each in lengths)


def field_lines(fields: Fields) -> bytes:
    """Return the lines of a head."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])
