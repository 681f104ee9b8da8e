"""A proxy before a receiver: it can be slow, refuse requests, and records who writes."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support import has_gone, now

HANGS_UP_S = 0.3
HOP = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})


@dataclass(slots=True, eq=False)
class Passed:
    """One request: its replica, begin and end (CLOCK_BOOTTIME), and the receiver's status.

    ``status`` is 0 if the receiver gave no answer. ``is_abandoned`` if the client disconnected
    before the answer, or within HANGS_UP_S after it: a bad network delivers late.
    """

    replica: str
    since: float
    until: float
    status: int
    size: int
    header: Mapping[str, str] = field(repr=False)
    is_abandoned: bool = False


class Ingress:
    """Passes remote_write on to a receiver; it identifies replicas by the URL they write to.

    ``refusal`` (status and header) is the answer instead of the receiver's; ``delay_s`` delays each
    answer. If the receiver gives no answer, or while ``is_away``, the connection is closed without
    one. Requests whose client has disconnected are not passed on. ``took`` is called with each
    request that the receiver has accepted (2xx), and its body, before the client gets the answer.
    """

    def __init__(
        self,
        write_url: str,
        took: Callable[[Passed, bytes], None] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.delay_s = 0.0
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.is_away = False
        self.passed: list[Passed] = []
        self._took = took
        self._host = host
        self._to = urlsplit(write_url)
        self._is_closed = threading.Event()
        self._server = _Server((host, 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, replica: str) -> str:
        """Return the URL for this replica to write to."""
        return f"http://{self._host}:{self._server.server_port}/{replica}/write"

    def close(self) -> None:
        """Stop the server."""
        self._is_closed.set()
        self._server.shutdown()
        self._server.server_close()

    def turns(self) -> list[str]:
        """Return the replicas in the order of their requests; successive requests count once."""
        arrived = sorted(self.passed, key=lambda each: each.since)
        return [name for name, _ in itertools.groupby(each.replica for each in arrived)]

    def statuses(self, replica: str, since: float = 0.0) -> list[int]:
        """Return the statuses of the answers to a replica's requests."""
        return [w.status for w in self.passed if w.replica == replica and w.since >= since]

    def _handler(ingress) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the request's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            newest: Passed | None = None
            disable_nagle_algorithm = True  # else a body waits 40 ms for the ACK of its head

            def do_POST(self) -> None:
                since, replica = now(), self.path.split("/")[1]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                header = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                ingress._wait(self.connection)
                is_gone = has_gone(self.connection)
                answer = None if is_gone else ingress._answer(header, body)
                if answer is None:  # the sender may disconnect after its last request
                    is_gone = ingress._hangs_up(self.connection)
                status = answer[0] if answer else 0
                passed = Passed(replica, since, now(), status, len(body), header, is_gone)
                self.newest = passed
                ingress._note(passed, body)
                with contextlib.suppress(OSError):  # the sender may be killed at any time
                    if answer:
                        self._send(*answer)
                    else:
                        self.close_connection, self.newest = True, None

            def finish(self) -> None:
                if self.newest and now() - self.newest.until < HANGS_UP_S:
                    self.newest.is_abandoned = True
                with contextlib.suppress(OSError):
                    super().finish()

            def _send(self, status: int, header: Mapping[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in header.items():
                    self.send_header(name, value)
                if status != http.client.NO_CONTENT:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler

    def _wait(self, connection: socket.socket) -> None:
        """Wait for `delay_s`, as it is now, or until the client disconnects."""
        begin = now()
        while (left := begin + self.delay_s - now()) > 0 and not has_gone(connection):
            if self._is_closed.wait(min(left, 0.1)):
                return

    def _hangs_up(self, connection: socket.socket) -> bool:
        """Return whether the client disconnects within HANGS_UP_S."""
        until = now() + HANGS_UP_S
        while not (is_gone := has_gone(connection)) and now() < until:
            self._is_closed.wait(0.02)
        return is_gone

    def _note(self, passed: Passed, body: bytes) -> None:
        if self._took and passed.status // 100 == 2:
            self._took(passed, body)
        self.passed.append(passed)

    def _answer(
        self, header: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        if self.is_away:
            return None
        if self.refusal:
            return (*self.refusal, b"not now\n")
        connection = http.client.HTTPConnection(self._to.netloc, timeout=60)
        try:
            connection.request("POST", self._to.path, body, dict(header))
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP}
            return answer.status, kept, answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing: senders are killed here on purpose."""
