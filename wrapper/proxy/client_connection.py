"""A client's connection, and a request's body on it: a small one whole, a large one in pieces.

Memory is bounded whatever the size. Where it ends: to whom a body goes, and when, is for others to
say.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct

import gevent
from gevent import monkey

from wrapper.base import clock
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.http_body import BadBody, ChunkedBody
from wrapper.proxy.refusals import Refused, too_large, too_slow

PIECE_BYTES = 64 << 10
SMALL_BODY_BYTES = 64 << 10  # what is read whole before anyone is asked
_LINGER_BYTES = 16 << 20
_RESET = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """The client, or its patience, has come to an end: there is nobody to answer."""


class Client:
    """A client's connection, and what has come on it and is not used yet."""

    __slots__ = ("address", "data", "is_new", "scheme", "since", "sock")

    def __init__(self, sock: socket.socket, address: str, scheme: str) -> None:
        self.sock = sock
        self.address = address
        self.scheme = scheme
        self.data = b""
        self.is_new = True
        self.since = clock.now()

    def receive(self) -> bytes:
        """Return what comes next; raise ClientGone."""
        try:
            data = self.sock.recv(PIECE_BYTES)
        except OSError as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        return data

    def send(self, data: bytes) -> None:
        """Send all of it; raise ClientGone."""
        try:
            send(self.sock, data)
        except OSError as error:
            raise ClientGone from error

    @property
    def takes_more(self) -> bool:
        """Whether nobody waits to send there."""
        poll = monkey.get_original("select", "poll")()
        poll.register(self.sock.fileno(), select.POLLOUT)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """End the connection; whoever waits for it wakes up."""
        shut(self.sock)

    def will_be_reset(self) -> None:
        """Have the end of the connection look like none in order."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def linger(self) -> None:
        """Let the client read what it was told, while it may still be sending (RFC 9112, 9.6)."""
        self.is_new, self.since, self.data = True, clock.now(), b""
        left = _LINGER_BYTES
        with contextlib.suppress(OSError):
            self._say_end()
            while left > 0 and (data := socket.socket.recv(self.sock, PIECE_BYTES)):
                left -= len(data)

    def _say_end(self) -> None:
        """End our side, over TLS by its own word first: without it, an answer may have been cut."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # the client's own word is not waited for
                self.sock.unwrap()
            self.sock.settimeout(None)
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


class Upload:
    """What comes of a body; ``first`` is what has come and has not been sent."""

    __slots__ = ("_body", "_client", "_crossing", "_is_ours", "_most_bytes", "awaits_client",
                 "first", "received")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, most_bytes: int, *, is_ours: bool = False
    ) -> None:
        """Take a body from its client, for ourselves or to be passed on; 0 for no limit."""
        self._client = client
        self._crossing = request.crossing
        self._is_ours = is_ours
        self._most_bytes = most_bytes
        self._body = request.body(decoded=is_ours)
        self.awaits_client = False
        self.first = b""
        self.received = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._body.is_complete

    def begin(self, within_s: float) -> None:
        """Read a small body whole, so that it can go with the head; the beginning of a large one.

        A client that waits for leave to send (Expect) is not waited for here. Raises Refused and
        ClientGone, as all that reads.
        """
        crossing = self._crossing
        self._check_size(crossing.length or 0)
        if self._body.is_complete:
            return
        data, self._client.data = self._client.data, b""
        self.first = self._taken(data)
        is_small = not crossing.is_chunked and (crossing.length or 0) <= SMALL_BODY_BYTES
        if is_small and not crossing.expects:
            self.finish(within_s)

    def finish(self, within_s: float) -> None:
        """Read what is left, all of it into memory."""
        with gevent.Timeout(within_s, too_slow()):
            while not self._body.is_complete:
                self.first += self.next()

    def next(self) -> bytes:
        """Return what passes of what comes next."""
        self.awaits_client = True
        data = self._client.receive()
        self.awaits_client = False
        return self._taken(data)

    def send_rest(self, upstream: socket.socket) -> None:
        """Send what is left as it comes; raise OSError too."""
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


def send(sock: socket.socket, data: bytes) -> None:
    """Send all of it; most is small, and goes at once."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


def shut(sock: socket.socket) -> None:
    """Wake whoever waits for this socket, and end its connection; TLS or not."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
