"""Where the body of an HTTP/1.1 message ends, and what of its bytes passes on (RFC 9112, 6); pure.

A body is fed with what comes and hands back what passes: of chunks all but extensions and trailers,
which belong to one connection or may be left out. What does not follow the grammar raises. Where it
ends: contents are never looked at.
"""

from __future__ import annotations

import re
from typing import Protocol

from wrapper.proxy.http_head import FIELD_LINES, TOKEN

MOST_LINE_BYTES = 4096
MOST_TRAILER_BYTES = 8 << 10

_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"(?:[ \t]*+;[ \t]*+" + TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"|" + _QUOTED
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(" + _EXTENSION + rb"))?+)*+)\r\n")
_TRAILER = re.compile(FIELD_LINES + rb"\r\n")


class BadBody(Exception):
    """The bytes do not follow the framing, or end before the body does."""


class Body(Protocol):
    """A body on its way."""

    is_complete: bool
    rest: bytes

    def take(self, data: bytes) -> bytes:
        """Return what passes of the next bytes; ``rest`` is what came after the body's end."""

    def end(self) -> bytes:
        """Return what passes when the connection has ended in order; raise BadBody if too soon."""


class LengthBody:
    """A body of known length; 0 for none."""

    __slots__ = ("is_complete", "missing", "rest")

    def __init__(self, length: int) -> None:
        self.missing = length
        self.is_complete = length == 0
        self.rest = b""

    def take(self, data: bytes) -> bytes:
        """Return what passes: everything up to the length."""
        if len(data) > self.missing:
            data, self.rest = data[: self.missing], data[self.missing :]
        self.missing -= len(data)
        self.is_complete = self.missing == 0
        return data

    def end(self) -> bytes:
        """Raise BadBody: a complete body is not ended by the connection."""
        raise BadBody(f"{self.missing} bytes are missing")


class ClosedBody:
    """A body that ends with its connection, passed on as it is or in chunks."""

    __slots__ = ("_in_chunks", "is_complete", "rest")

    def __init__(self, *, in_chunks: bool) -> None:
        self._in_chunks = in_chunks
        self.is_complete = False
        self.rest = b""

    def take(self, data: bytes) -> bytes:
        """Return all of it, in a chunk where chunks are wanted."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._in_chunks and data else data

    def end(self) -> bytes:
        """Return the last chunk where chunks are wanted."""
        self.is_complete = True
        return b"0\r\n\r\n" if self._in_chunks else b""


class ChunkedBody:
    """A body in chunks, passed on in the same chunks or, ``decoded``, without them.

    ``payload_bytes`` is the size of all chunks that have begun.
    """

    __slots__ = ("_due", "_held", "_is_decoded", "_is_last", "_missing", "is_complete",
                 "payload_bytes", "rest")  # fmt: skip

    def __init__(self, *, decoded: bool = False) -> None:
        self._is_decoded = decoded
        self._missing = 0  # of the chunk's data
        self._due = b""  # of the line end behind it
        self._held = b""
        self._is_last = False
        self.payload_bytes = 0
        self.is_complete = False
        self.rest = b""

    def take(self, data: bytes) -> bytes:
        """Return what passes; the beginning of a line is held until its end has come."""
        if self._held:
            data, self._held = self._held + data, b""
        passed: list[bytes] = []
        begin = at = 0
        while at < len(data) and not self.is_complete:
            if self._missing:
                step = min(self._missing, len(data) - at)
                self._missing -= step
                at += step
            elif self._due:
                at, begin = self._end_chunk(data, at, begin, passed)
            elif (match := (_TRAILER if self._is_last else _SIZE_LINE).match(data, at)) is None:
                self._hold(data[at:])
                break
            else:
                begin = self._pass_line(match, data, begin, passed)
                at = match.end()
        if begin == 0 and at == len(data):
            return data
        passed.append(data[begin:at])
        return b"".join(passed)

    def _end_chunk(self, data: bytes, at: int, begin: int, passed: list[bytes]) -> tuple[int, int]:
        """Go over the line end behind a chunk's data; return where, and from where data passes."""
        found = data[at : at + len(self._due)]
        if not self._due.startswith(found):
            raise BadBody("a chunk is longer than it says")
        self._due = self._due[len(found) :]
        if not self._is_decoded:
            return at + len(found), begin
        passed.append(data[begin:at])
        return at + len(found), at + len(found)

    def _pass_line(
        self, match: re.Match[bytes], data: bytes, begin: int, passed: list[bytes]
    ) -> int:
        """Enter the chunk, or the end, that a line begins; return from where data passes on."""
        if self._is_last:
            self.is_complete = True
            self.rest = data[match.end() :]
            cut_begin, cut_end = match.span(1)
        else:
            self._missing = int(match[1], 16)
            self._is_last = self._missing == 0
            self._due = b"" if self._is_last else b"\r\n"
            self.payload_bytes += self._missing
            cut_begin, cut_end = match.span(2)
        if self._is_decoded:
            passed.append(data[begin : match.start()])
            return match.end()
        if cut_begin == cut_end:
            return begin
        passed.append(data[begin:cut_begin])
        return cut_end

    def _hold(self, rest: bytes) -> None:
        """Keep what may become a line; raise BadBody where it cannot."""
        limit = MOST_TRAILER_BYTES if self._is_last else MOST_LINE_BYTES
        is_whole = (b"\r\n\r\n" if self._is_last else b"\n") in rest
        if is_whole or len(rest) > limit:
            raise BadBody("a chunk is malformed")
        self._held = rest

    def end(self) -> bytes:
        """Raise BadBody: a connection's end ends no chunks."""
        raise BadBody("the last chunk is missing")
