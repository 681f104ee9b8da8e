"""Receive a request's body: a small one completely, a large one in pieces.

Memory is bounded for any size. The callers decide where a body is sent, and when.
"""

from __future__ import annotations

import socket

import gevent

from wrapper.proxy.client_connection import Client
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.http_body import BadBody, ChunkedBody
from wrapper.proxy.refusals import Refused, too_large, too_slow

SMALL_BODY_BYTES = 64 << 10  # up to this size, a body is read completely before it is forwarded


class Upload:
    """A request's body while it is received.

    - ``first``: bytes that were received, and are not sent yet.
    - ``received``: how many bytes were received.
    - ``awaits_client``: whether the server waits for the client to send more.
    - ``is_complete``: whether the whole body has been received.
    """

    __slots__ = ("_body", "_client", "_fields", "_is_ours", "_most_bytes", "awaits_client",
                 "first", "received")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, most_bytes: int, *, is_ours: bool = False
    ) -> None:
        """Receive a body of at most ``most_bytes`` (0: no limit).

        ``is_ours`` is whether it is for our own routes; else it is forwarded.
        """
        self._client = client
        self._fields = request.fields
        self._is_ours = is_ours
        self._most_bytes = most_bytes
        self._body = request.body(decoded=is_ours)
        self.awaits_client = False
        self.first = b""
        self.received = 0

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been received."""
        return self._body.is_complete

    def begin(self, within_s: float) -> None:
        """Read a small body completely; of a large one, take what was received.

        So a small body can be sent together with the head. If the client waits for 100 Continue,
        nothing more is read. Raise Refused and ClientGone, like all methods that read.
        """
        fields = self._fields
        self._check_size(fields.length or 0)
        if self._body.is_complete:
            return
        data, self._client.data = self._client.data, b""
        self.first = self._taken(data)
        is_small = not fields.is_chunked and (fields.length or 0) <= SMALL_BODY_BYTES
        if is_small and not fields.expects:
            self.finish(within_s)

    def finish(self, within_s: float) -> None:
        """Read the rest of the body into memory, within a time limit in seconds."""
        with gevent.Timeout(within_s, too_slow()):
            while not self._body.is_complete:
                self.first += self.next()

    def next(self) -> bytes:
        """Read the next bytes; return those to forward."""
        self.awaits_client = True
        data = self._client.receive()
        self.awaits_client = False
        return self._taken(data)

    def send_rest(self, upstream: socket.socket) -> None:
        """Send the rest of the body while it is received; also raise OSError."""
        while not self.is_complete:
            upstream.sendall(self.next())

    def _taken(self, data: bytes) -> bytes:
        body = self._body
        try:
            passed = body.take(data)
        except BadBody as error:
            raise Refused(400, "bad_data", f"the request's body is malformed: {error}") from error
        self.received += len(data)
        if body.is_complete:
            self._client.data = body.rest
            self.received -= len(body.rest)
        if isinstance(body, ChunkedBody):
            self._check_size(body.payload_bytes)
        return passed

    def _check_size(self, size: int) -> None:
        if 0 < self._most_bytes < size:
            raise too_large(self._most_bytes, is_ours=self._is_ours)
