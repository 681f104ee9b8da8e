"""The body of an HTTP/1.1 message: find its end, and return what to pass on (RFC 9112, 6); pure.

A body takes bytes as they are received, and returns the bytes to pass on. llhttp parses a chunked
body; its contents are passed on in new chunks. ``rest`` contains the bytes after the end. Bytes
that do not follow the grammar raise an error. The contents are never inspected.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpRequestParser

from wrapper.proxy.http_head import END

MOST_IDLE_BYTES = 8 << 10
_CHUNKED_HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class BadBody(Exception):
    """The bytes do not follow the framing, or end before the body does."""


class LengthBody:
    """A body of known length; 0 if there is none."""

    __slots__ = ("is_complete", "missing", "rest")

    def __init__(self, length: int) -> None:
        self.missing = length
        self.is_complete = length == 0
        self.rest = b""

    def take(self, data: bytes) -> bytes:
        """Return the bytes up to the length."""
        if len(data) > self.missing:
            data, self.rest = data[: self.missing], data[self.missing :]
        self.missing -= len(data)
        self.is_complete = self.missing == 0
        return data

    def end(self) -> bytes:
        """Raise BadBody: the connection has ended before the body."""
        raise BadBody(f"{self.missing} bytes are missing")


class ClosedBody:
    """A body that ends with its connection, passed on unchanged or in chunks."""

    __slots__ = ("_in_chunks", "is_complete", "rest")

    def __init__(self, *, in_chunks: bool) -> None:
        self._in_chunks = in_chunks
        self.is_complete = False
        self.rest = b""

    def take(self, data: bytes) -> bytes:
        """Return all bytes; as a chunk, if chunks are wanted."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._in_chunks and data else data

    def end(self) -> bytes:
        """Return the last chunk, if chunks are wanted."""
        self.is_complete = True
        return b"0\r\n\r\n" if self._in_chunks else b""


class ChunkedBody:
    """A chunked body, passed on in chunks or, if ``decoded``, without.

    ``payload_bytes`` is the size of the contents so far. ``rest`` is not empty if bytes followed
    the end, but does not contain these bytes.
    """

    __slots__ = ("_idle_bytes", "_is_decoded", "_parser", "_pieces", "is_complete",
                 "payload_bytes", "rest")  # fmt: skip

    def __init__(self, *, decoded: bool = False) -> None:
        self._is_decoded = decoded
        self._pieces: list[bytes] = []
        self._idle_bytes = 0  # since the last content
        self.payload_bytes = 0
        self.is_complete = False
        self.rest = b""
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)

    def on_body(self, piece: bytes) -> None:
        """Add contents of a chunk; called by llhttp."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Record the end of the body; called by llhttp."""
        self.is_complete = True

    def on_message_begin(self) -> None:
        """Record that a message begins: first this one, then another one after its end."""
        if self.is_complete:
            self.rest = b"?"

    def take(self, data: bytes) -> bytes:
        """Return the contents to pass on, without the lines between chunks."""
        self._pieces = []
        self._read(data)
        size = sum(map(len, self._pieces))
        self.payload_bytes += size
        self._idle_bytes = 0 if size else self._idle_bytes + len(data)
        if self._idle_bytes > MOST_IDLE_BYTES and not self.is_complete:
            raise BadBody("a line between chunks is too long")
        if self._is_decoded:
            return b"".join(self._pieces)
        last = b"0\r\n\r\n" if self.is_complete else b""
        return b"".join([b"%x\r\n" % size, *self._pieces, b"\r\n", last]) if size else last

    def _read(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.is_complete:
                raise BadBody(str(error)) from error
            self.rest = b"?"

    def end(self) -> bytes:
        """Raise BadBody: the connection has ended before the last chunk."""
        raise BadBody("the last chunk is missing")


class ChunkedUpload(ChunkedBody):
    """A request's chunked body; ``rest`` is the beginning of the next request."""

    __slots__ = ("_tail",)

    def __init__(self, *, decoded: bool = False) -> None:
        super().__init__(decoded=decoded)
        self._tail = b""  # up to 3 bytes that may be the first ones of END

    def _read(self, data: bytes) -> None:
        """Have llhttp parse up to each possible end: it does not report where the end was."""
        at = 0
        while at < len(data) and not self.is_complete:
            end = self._possible_end(data, at)
            super()._read(data[at:end])
            at = end
        self.rest = data[at:]

    def _possible_end(self, data: bytes, begin: int) -> int:
        """Return the index after the next empty line from ``begin`` on, or the data's length."""
        tail, self._tail = self._tail, b""
        found = (tail + data[begin : begin + 3]).find(END) if tail else -1
        if found >= 0:
            return begin + found + len(END) - len(tail)
        end = data.find(END, begin)
        if end < 0:
            self._tail = (tail + data[begin:])[-3:]
            return len(data)
        return end + len(END)


Body = LengthBody | ClosedBody | ChunkedBody
