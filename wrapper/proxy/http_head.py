"""The heads of HTTP/1.1 messages, read from bytes (RFC 9110 and 9112); pure.

Nothing is mended: what does not follow the grammar to the letter is no head. Of requests only the
plain ones are read here, a subset of what gunicorn's parser reads and with the same meaning; all
others are left to that one. Where it ends: bodies, and what a field means.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Fields = list[tuple[bytes, bytes]]

MOST_HEAD_BYTES = 256 << 10
_MOST_FIELDS = 100  # of a plain request; both are gunicorn's own limits
_MOST_FIELD_BYTES = 8190

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_NAME_WITHOUT_UNDERSCORE = rb"[!#$%&'*+\-.^`|~0-9A-Za-z]++"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
FIELD_LINES = rb"((?:" + TOKEN + rb":" + _VALUE + rb"\r\n)*+)"

_PLAIN_REQUEST = re.compile(
    rb"([A-Z]{3,20}) (/[\x21-\x7e]*+) HTTP/1\.1\r\n"
    rb"((?:" + _NAME_WITHOUT_UNDERSCORE + rb":" + _VALUE + rb"\r\n)*+)\r\n"
)
_RESPONSE = re.compile(
    rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: (" + _VALUE + rb"))?\r\n" + FIELD_LINES + rb"\r\n"
)
_FIELD = re.compile(rb"([^:\r\n]++):[ \t]*+([^\r\n]*)\r\n")
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class BadHead(Exception):
    """These bytes are not, and will not become, the head of a message."""


class PlainRequest(NamedTuple):
    """A request in origin-form of HTTP/1.1; ``lines`` are its field lines, ``end`` the head's."""

    method: bytes
    target: bytes
    lines: bytes
    end: int


class ResponseHead(NamedTuple):
    """A response's head; ``lines`` are its field lines, ``end`` is where the head ends."""

    minor: int
    code: int
    reason: bytes
    lines: bytes
    end: int


def plain_request(data: bytes) -> PlainRequest | None:
    """Return the plain request that the bytes begin with, None where there is none (yet)."""
    match = _PLAIN_REQUEST.match(data)
    if match is None:
        return None
    return PlainRequest(match[1], match[2], match[3], match.end())


def is_head_over(data: bytes, begin: int = 0) -> bool:
    """Tell whether to wait for no more: the head is whole, too long, or has a bare line feed.

    Up to ``begin`` the bytes were asked about before.
    """
    begin = max(begin - 3, 0)
    if data.find(b"\r\n\r\n", begin) >= 0 or is_too_long(data):
        return True
    return _BARE_LINE_FEED.search(data, begin) is not None


def is_too_long(data: bytes) -> bool:
    """Tell whether a head has not ended where it has to."""
    return len(data) > MOST_HEAD_BYTES and b"\r\n\r\n" not in data


def fields_of(lines: bytes) -> Fields:
    """Return names and values of field lines that follow the grammar."""
    return [(name, value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]


def is_within_limits(fields: Fields) -> bool:
    """Tell whether gunicorn's limits hold for a request's fields."""
    return len(fields) <= _MOST_FIELDS and all(
        len(name) + len(value) + len(":\r\n") <= _MOST_FIELD_BYTES for name, value in fields
    )


def response_head(data: bytes) -> ResponseHead | None:
    """Return the head that the bytes begin with, None while it is not whole; raise BadHead.

    A folded line becomes one (RFC 9112, 5.2).
    """
    match = _RESPONSE.match(data)
    if match is not None:
        return ResponseHead(int(match[1]), int(match[2]), match[3] or b"", match[4], match.end())
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if is_head_over(data) or not b"HTTP/1.".startswith(data[:7]):
            raise BadHead
        return None
    first, line_end, lines = data[: end + 2].partition(b"\r\n")
    unfolded = _FOLD.sub(b" ", lines) + line_end
    match = _RESPONSE.fullmatch(first + line_end + unfolded)
    if match is None:
        raise BadHead
    return ResponseHead(int(match[1]), int(match[2]), match[3] or b"", match[4], end + 4)
