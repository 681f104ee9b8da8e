"""An upstream that keeps and counts its connections, and answers as the test sets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

Answer = Callable[["Call"], bool | None]


class Call(NamedTuple):
    """A request: its connection, the connection's number, the header, and a part of its body."""

    sock: socket.socket
    number: int
    head: bytes
    rest: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n")[0].decode("latin-1")

    def say(self, body: bytes = b"hello", head: bytes = b"") -> None:
        """Answer with 200, a length and more header fields."""
        lines = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(body), head)
        self.sock.sendall(lines + body)


class Persistent:
    """Answers request after request on each connection, until an answer returns True to close it.

    It reads no bodies; an answer reads the rest of a body after ``rest``.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.ended = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """The number of connections that were made."""
        return len(self._sockets)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                number = len(self._sockets)
                threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, contextlib.suppress(OSError):
            for head, rest in _heads(sock):
                call = Call(sock, number, head, rest)
                self.calls.append(call)
                if self.answer(call):
                    break
        self.ended += 1

    def hang_up(self) -> None:
        """Close all connections, and accept new ones."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the listener and all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


def drain(call: Call) -> bool:
    """Read a chunked body to its end, then answer; close the connection if the body has no end."""
    data = call.rest
    while not data.endswith(b"0\r\n\r\n"):
        piece = call.sock.recv(65536)
        if not piece:
            return True
        data += piece
    call.say()
    return False


def _heads(sock: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        data = b""
        yield head, rest


@contextlib.contextmanager
def persistent(answer: Answer, port: int = 0) -> Iterator[Persistent]:
    """Run the upstream until the context ends."""
    server = Persistent(answer, port)
    try:
        yield server
    finally:
        server.close()
