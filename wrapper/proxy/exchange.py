"""One exchange: a client's request to an upstream, and the answer back, both as they come.

Memory is bounded whatever the size, nothing waits for what is not needed: an answer may begin, and
end, while the request is still being sent. An answer that breaks off upstream breaks off for the
client too. Where it ends: who is asked, and whether once more, is the proxy's to decide.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import struct
from typing import NoReturn

import gevent
from gevent import monkey

from wrapper import clock
from wrapper.proxy.exchange_watch import shut
from wrapper.proxy.forwarding import Asked, Forwarding, Request, forwarding
from wrapper.proxy.http_body import BadBody, ChunkedBody, LengthBody
from wrapper.proxy.http_head import BadHead, ResponseHead, response_head
from wrapper.proxy.own_fields import OwnFields
from wrapper.proxy.refusals import Refused, rendered, too_large, too_slow
from wrapper.proxy.upstream import Connection

LOG = logging.getLogger(__name__)

PIECE_BYTES = 256 << 10
FIRST_PIECE_BYTES = 64 << 10
SMALL_BODY_BYTES = 64 << 10  # what is read whole before anyone is asked
LINGER_BYTES = 16 << 20
_LAST_SEND_S = 1.0  # what is left to be done when the answer is there already
CLIENT_GONE = 499  # nginx's word
_RESET = struct.pack("ii", 1, 0)
_SWITCHING, _BAD_REQUEST = 101, 400


class ClientGone(Exception):
    """The client, or its patience, has come to an end: there is nobody to answer."""


class Broke(Exception):
    """The upstream's connection has ended before the first byte of an answer.

    ``was_kept`` tells whether it had been used before, so that it may have ended long ago.
    """

    def __init__(self, *, was_kept: bool) -> None:
        super().__init__()
        self.was_kept = was_kept


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

    def hang_up(self) -> None:
        """End the connection; whoever waits for it wakes up."""
        shut(self.sock)

    def linger(self) -> None:
        """Let the client read what it was told, while it may still be sending (RFC 9112, 9.6)."""
        self.is_new, self.since, self.data = True, clock.now(), b""
        left = LINGER_BYTES
        with contextlib.suppress(OSError):
            self._say_end()
            while left > 0 and (data := socket.socket.recv(self.sock, FIRST_PIECE_BYTES)):
                left -= len(data)

    def _say_end(self) -> None:
        """End our side, over TLS by its own word first: without it, an answer may have been cut."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0.0)
            with contextlib.suppress(OSError):  # the client's own word is not waited for
                self.sock.unwrap()
            self.sock.settimeout(None)
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


class Exchange:
    """A request under way: what is known of it, and what can be done with it."""

    __slots__ = ("_awaits_client", "_connection", "_is_gone", "_is_whole", "_own_fields",
                 "_problem", "_uploader", "body", "client", "code", "first", "is_begun",
                 "keeps_client", "most_bytes", "received", "request", "seen_at", "seen_bytes",
                 "sent", "target")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, most_bytes: int, own_fields: OwnFields
    ) -> None:
        self.client = client
        self.request = request
        self.most_bytes = most_bytes
        self._own_fields = own_fields
        self.code = CLIENT_GONE
        self.target = "none"
        self.received = self.sent = 0
        self.keeps_client = False
        self.is_begun = False
        self.first = b""
        crossing = request.crossing
        self.body: LengthBody | ChunkedBody = (
            ChunkedBody() if crossing.is_chunked else LengthBody(crossing.length or 0)
        )
        self._connection: Connection | None = None
        self._uploader: gevent.Greenlet[[socket.socket], None] | None = None
        self._problem: Refused | None = None
        self._is_gone = self._is_whole = self._awaits_client = False
        self.seen_bytes, self.seen_at = 0, 0.0

    # --- what the watch asks and tells ---

    def fileno(self) -> int:
        """Return the client's descriptor."""
        return self.client.sock.fileno()

    @property
    def moved_bytes(self) -> int:
        """The bytes that have passed so far, both ways."""
        return self.received + self.sent

    @property
    def is_exchanging(self) -> bool:
        """Whether Prometheus has been asked, or the client is being answered."""
        return self._connection is not None or self.code != CLIENT_GONE

    def client_has_gone(self) -> None:
        """Give up: nobody waits for the answer."""
        self._is_gone = True
        self._wake()

    def is_silent(self) -> None:
        """Give up: nothing has passed for too long."""
        self._problem = self._problem or self._silence()
        self._wake()

    def _silence(self) -> Refused:
        """Return who was silent."""
        if self.is_begun:
            return Refused(504, "timeout", "nothing has passed for too long")
        has_leave = self.sent > 0 or not self.request.crossing.expects
        if self._awaits_client and has_leave:
            return too_slow()
        return Refused(504, "timeout", "Prometheus did not answer in time")

    def _wake(self) -> None:
        """Wake whoever waits, but do not end in order what is cut: only a full client is shut."""
        if self._connection is not None:
            shut(self._connection.sock)
        if not _takes_more(self.client.sock):
            shut(self.client.sock)

    # --- the request ---

    @property
    def is_repeatable(self) -> bool:
        """Whether asking twice does no harm."""
        crossing = self.request.crossing
        has_body = crossing.is_chunked or crossing.length
        return self.request.method in (b"GET", b"HEAD") and not has_body

    def read_small_body(self, within_s: float) -> None:
        """Read a small body whole, so that it can go with the head; the beginning of a large one.

        A client that waits for leave to send (Expect) is not waited for here.
        """
        self._take_body(self.client.data)
        crossing = self.request.crossing
        is_small = not crossing.is_chunked and (crossing.length or 0) <= SMALL_BODY_BYTES
        if self.body.is_complete or crossing.expects or not is_small:
            return
        with gevent.Timeout(within_s, too_slow()):
            while not self.body.is_complete:
                self._take_body(self._from_client())

    def _take_body(self, data: bytes) -> None:
        try:
            self.first += self.body.take(data)
        except BadBody as error:
            raise Refused(400, "bad_data", f"the request's body is malformed: {error}") from error
        self.received += len(data)
        if self.body.is_complete:
            self.client.data = self.body.rest
            self.received -= len(self.body.rest)
        self._check_size()

    def _check_size(self) -> None:
        body = self.body
        if not self.most_bytes or not isinstance(body, ChunkedBody):
            return
        if body.payload_bytes > self.most_bytes:
            raise too_large(self.most_bytes)

    def _from_client(self) -> bytes:
        self._awaits_client = True
        try:
            data = self.client.sock.recv(FIRST_PIECE_BYTES)
        except OSError as error:
            raise ClientGone from error
        self._awaits_client = False
        if not data:
            raise ClientGone
        return data

    def ask(self, connection: Connection, head: bytes) -> bytes:
        """Send the request and return the answer's first bytes; raise Broke, Refused, ClientGone.

        What is left of the body is sent meanwhile.
        """
        self._connection = connection
        data = b""
        self.received += len(head)
        with contextlib.suppress(OSError):  # it may have answered before it closed
            send(connection.sock, head + self.first if self.first else head)
            if not self.body.is_complete:
                self._uploader = gevent.spawn(self._upload, connection.sock)
        with contextlib.suppress(OSError):
            data = connection.sock.recv(FIRST_PIECE_BYTES)
        if not data:
            self.check()
            raise Broke(was_kept=connection.answers > 0)
        return data

    def check(self) -> None:
        """Raise what has come between: the client has gone, or its request cannot go on."""
        if self._is_gone:
            raise ClientGone
        if self._problem is not None:
            raise self._problem

    def _upload(self, upstream: socket.socket) -> None:
        """Send what is left of the body as it comes; an upstream may want no more of it."""
        try:
            while not self.body.is_complete:
                self.first = b""
                self._take_body(self._from_client())
                upstream.sendall(self.first)
        except ClientGone:
            self.client_has_gone()
        except Refused as refused:
            self._problem = refused
            shut(upstream)
        except OSError:
            return

    # --- the answer ---

    def relay(self, connection: Connection, data: bytes) -> bool:
        """Pass the answer on, of which ``data`` are the first bytes.

        Tell whether the upstream's connection can be used again. Raises Refused while nothing has
        been passed on, ClientGone where the client's connection is broken off.
        """
        answer, first = self._begin(connection, data)
        try:
            self._to_client(first)
            while not answer.body.is_complete:
                data = connection.sock.recv(PIECE_BYTES)
                if not data:
                    self.check()  # it may be we who have ended it
                passed = answer.body.take(data) if data else answer.body.end()
                if passed:
                    self._to_client(passed)
        except (OSError, BadBody, Refused) as error:
            self._break_off(connection, error)
        self._is_whole = True
        self.keeps_client = answer.keeps_client and self._is_uploaded()
        return answer.keeps_upstream and self._is_uploaded() and not answer.body.rest

    def _begin(self, connection: Connection, data: bytes) -> tuple[Forwarding, bytes]:
        """Return how the answer goes on to the client, and its first bytes there."""
        request = self.request
        try:
            head, data = self._head(connection, data)
            keeps_client = self.keeps_client and self.body.is_complete
            asked = Asked(request.method, request.minor, keeps_client)
            lines = self._own_fields.into(head.lines)
            answer = forwarding(head._replace(lines=lines), asked, clock.wall())
            first = answer.head + answer.body.take(data[head.end :])
        except (BadHead, BadBody) as error:
            raise self._bad_answer(connection, "cannot be understood") from error
        self.code = answer.code
        self.is_begun = True
        return answer, first

    def _head(self, connection: Connection, data: bytes) -> tuple[ResponseHead, bytes]:
        """Return the final answer's head, and the bytes that it begins; pass on interim ones."""
        while True:
            head = response_head(data)
            if head is None:
                data += self._more(connection)
            elif head.code >= 200:  # noqa: PLR2004 - a final one
                return head, data
            elif head.code == _SWITCHING:
                raise self._bad_answer(connection, "wants to switch protocols")
            else:
                self._pass_interim(data[: head.end])
                data = data[head.end :] or self._more(connection)

    def _pass_interim(self, head: bytes) -> None:
        if self.request.minor > 0:
            self._to_client(head)

    def _more(self, connection: Connection) -> bytes:
        data = b""
        with contextlib.suppress(OSError):
            data = connection.sock.recv(FIRST_PIECE_BYTES)
        if not data:
            self.check()
            raise self._bad_answer(connection, "broke off")
        return data

    def _bad_answer(self, connection: Connection, what: str) -> Refused:
        return Refused(502, "unavailable", f"the answer of {connection.url} {what}")

    def _to_client(self, data: bytes) -> None:
        try:
            send(self.client.sock, data)
        except OSError as error:
            raise ClientGone from error
        self.sent += len(data)

    def _break_off(self, connection: Connection, error: Exception) -> NoReturn:
        """Give up an answer that has begun."""
        if not self._is_gone:
            reason = str(self._problem or error)
            LOG.warning("an answer broke off", extra={"target": connection.url, "reason": reason})
        raise ClientGone from error

    def refuse(self, refused: Refused) -> None:
        """Answer by ourselves; nothing has been passed on yet."""
        self.code = refused.code
        is_clear = self.body.is_complete and refused.code != _BAD_REQUEST
        self.keeps_client = self.keeps_client and is_clear
        has_body = self.request.method != b"HEAD"
        self._to_client(
            rendered(
                refused,
                has_body=has_body,
                keeps_client=self.keeps_client,
                own_lines=self._own_fields.lines,
            )
        )

    # --- the end ---

    def _is_uploaded(self) -> bool:
        """Tell whether the request has gone whole: then nothing of it is left to come."""
        if self.body.is_complete and self._uploader is not None:
            self._uploader.join(_LAST_SEND_S)
        return self.body.is_complete and (self._uploader is None or self._uploader.ready())

    def leave(self) -> None:
        """Have no more to do with the upstream; an answer that is cut must not look whole.

        To a client of HTTP/1.0 it would: there, the end of the connection is the answer's.
        """
        self._connection = None
        if self.is_begun and not self._is_whole and self.request.minor == 0:
            with contextlib.suppress(OSError):
                self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self._uploader is not None:
            self._uploader.kill()
            self._uploader = None


def _takes_more(sock: socket.socket) -> bool:
    """Tell whether nobody waits to send there."""
    poll = monkey.get_original("select", "poll")()
    poll.register(sock.fileno(), select.POLLOUT)
    return bool(poll.poll(0))


def send(sock: socket.socket, data: bytes) -> None:
    """Send all of it; most is small, and goes at once."""
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])
