"""A client's connection: receive, send, and close it correctly."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct

from gevent import monkey

from wrapper.base import clock

PIECE_BYTES = 64 << 10
_LINGER_BYTES = 16 << 20
_RESET = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """The client's connection has ended, or must end: no answer can be sent."""


class Client:
    """A client's connection.

    - ``sock``, ``address``, ``scheme``: its socket, the client's IP address, and http or https.
    - ``data``: the bytes that were received, and are not used yet.
    - ``is_new``: whether the shorter time limit applies, because no request was answered on it yet,
      or because it is being closed.
    - ``since``: since when the server has been waiting for the client (CLOCK_BOOTTIME, in seconds).
    """

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
        """Send all bytes; raise ClientGone."""
        try:
            send(self.sock, data)
        except OSError as error:
            raise ClientGone from error

    @property
    def is_writable(self) -> bool:
        """Whether bytes can be sent without waiting for the client to read."""
        poll = monkey.get_original("select", "poll")()
        poll.register(self.sock.fileno(), select.POLLOUT)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """Shut the connection down; a greenlet that waits for it wakes up."""
        shut(self.sock)

    def reset_on_close(self) -> None:
        """Have the connection end with a TCP reset, so that the client sees an error."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def linger(self) -> None:
        """Let the client read the answer although it may still be sending (RFC 9112, 9.6)."""
        self.is_new, self.since, self.data = True, clock.now(), b""
        left = _LINGER_BYTES
        with contextlib.suppress(OSError):
            self._shut_down_sending()
            while left > 0 and (data := socket.socket.recv(self.sock, PIECE_BYTES)):
                left -= len(data)

    def _shut_down_sending(self) -> None:
        """End our side; over TLS, send close_notify first, to show that the answer is complete."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # do not wait for the client's close_notify
                self.sock.unwrap()
            self.sock.settimeout(None)
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


def send(sock: socket.socket, data: bytes) -> None:
    """Send all bytes; mostly they are few, and one call sends them."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


def shut(sock: socket.socket) -> None:
    """Shut a connection down, with TLS or without, and wake the greenlets that wait for it."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
