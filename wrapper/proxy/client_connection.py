"""A client's connection, and a request's body on it: a small one is read whole, a large in pieces.

Memory is bounded whatever the size. Where it ends: others decide where a body is sent, and when.
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
SMALL_BODY_BYTES = 64 << 10  # up to this size, a body is read whole before it is forwarded
_LINGER_BYTES = 16 << 20
_RESET = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """The client's connection has ended, or has to: no answer can be sent."""


class Client:
    """A client's connection; ``data`` has come on it and is not used yet."""

    __slots__ = ("address", "data", "is_new", "scheme", "since", "sock")

    def __init__(self, sock: socket.socket, address: str, scheme: str) -> None:
        self.sock = sock
        self.address = address
        self.scheme = scheme
        self.data = b""
        self.is_new = True
        self.since = clock.now()

    def receive(self) -> bytes:
        """Return the next bytes; raise ClientGone."""
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
        """Whether bytes can be sent without waiting for the client to read."""
        poll = monkey.get_original("select", "poll")()
        poll.register(self.sock.fileno(), select.POLLOUT)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """Shut the connection down; a greenlet that waits for it wakes up."""
        shut(self.sock)

    def will_be_reset(self) -> None:
        """Have the connection end with a reset, so that the client sees an error."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def linger(self) -> None:
        """Let the client read the answer while it may still be sending (RFC 9112, 9.6)."""
        self.is_new, self.since, self.data = True, clock.now(), b""
        left = _LINGER_BYTES
        with contextlib.suppress(OSError):
            self._say_end()
            while left > 0 and (data := socket.socket.recv(self.sock, PIECE_BYTES)):
                left -= len(data)

    def _say_end(self) -> None:
        """End our side; over TLS with close_notify first, which shows that the answer is whole."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # the client's close_notify is not waited for
                self.sock.unwrap()
            self.sock.settimeout(None)
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


class Upload:
    """A request's body as it comes; ``first`` has come and is not sent yet."""

    __slots__ = ("_body", "_client", "_crossing", "_is_ours", "_most_bytes", "awaits_client",
                 "first", "received")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, most_bytes: int, *, is_ours: bool = False
    ) -> None:
        """Take a body of at most ``most_bytes`` (0: no limit), for ourselves or to be forwarded."""
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
        """Whether the whole body has come."""
        return self._body.is_complete

    def begin(self, within_s: float) -> None:
        """Read a small body whole, so that it can be sent with the head; else what has come.

        A client that waits for 100 Continue is not waited for. Raises Refused and ClientGone, as
        every method that reads.
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
        """Read the rest of the body into memory."""
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
        """Send the rest of the body as it comes; raise OSError too."""
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
    """Send all bytes; most are few, and go at once."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


def shut(sock: socket.socket) -> None:
    """Shut a connection down, TLS or not, and wake the greenlets that wait for it."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
