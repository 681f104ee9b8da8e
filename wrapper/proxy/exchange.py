"""One exchange: a client's request to the leader's Prometheus, and the answer back, as they come.

It goes from stage to stage, and back only from ASKING: until a byte of an answer has come, somebody
else may be asked. Nothing waits for what is not needed: an answer may begin, and end, while the
request is still being sent. An answer that has begun is never begun again; one that breaks off
upstream breaks off for the client too. Where it ends: what goes twice is for ``Tries`` to say, and
who may ask at all for the proxy.
"""

from __future__ import annotations

import contextlib
import logging
from enum import Enum, auto
from typing import NoReturn

import gevent

from wrapper.base import clock
from wrapper.proxy.client_connection import Client, ClientGone, Upload, send, shut
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.forwarded_response import Forwarding, forwarding
from wrapper.proxy.header_overrides import OwnFields
from wrapper.proxy.http_body import BadBody
from wrapper.proxy.http_head import BadHead, ResponseHead, response_head
from wrapper.proxy.leader_request import Broke, Leader, Tries
from wrapper.proxy.refusals import Refused, rendered, too_slow
from wrapper.proxy.route import NoLeader, check_hops
from wrapper.proxy.upstream import Target, Unreachable, UpstreamConnection

LOG = logging.getLogger(__name__)

PIECE_BYTES = 256 << 10
FIRST_PIECE_BYTES = 64 << 10
CLIENT_GONE = 499  # nginx's word
_LAST_SEND_S = 1.0  # what is left to be done when the answer is there already
_PAUSE_S = 0.02
_FINAL, _SWITCHING, _BAD_REQUEST = 200, 101, 400


class Stage(Enum):
    """How far an exchange is."""

    WAITING = auto()  # for its own body, or for somebody to ask
    ASKING = auto()  # nothing of an answer has passed on to the client
    ANSWERING = auto()
    WHOLE = auto()


class Exchange:
    """A request under way: what is known of it, and what can be done with it."""

    __slots__ = ("_client", "_connection", "_end", "_leader", "_own_fields", "_sender", "_stage",
                 "_upload", "code", "keeps_client", "request", "seen_at", "seen_bytes", "sent",
                 "sent_on", "target")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, upload: Upload, own_fields: OwnFields,
        leader: Leader,
    ) -> None:  # fmt: skip
        self._client = client
        self._upload = upload
        self._own_fields = own_fields
        self._leader = leader
        self._stage = Stage.WAITING
        self._end: ClientGone | Refused | None = None
        self._connection: UpstreamConnection | None = None
        self._sender: gevent.Greenlet[[UpstreamConnection], None] | None = None
        self.request = request
        self.code = CLIENT_GONE
        self.target = "none"
        self.sent_on = self.sent = 0
        self.keeps_client = False
        self.seen_bytes, self.seen_at = 0, 0.0

    # --- what the watch asks and tells ---

    def fileno(self) -> int:
        """Return the client's descriptor."""
        return self._client.sock.fileno()

    @property
    def received(self) -> int:
        """The bytes of the request: of its body as it came, of its head as it went on."""
        return self.sent_on + self._upload.received

    @property
    def moved_bytes(self) -> int:
        """The bytes that have passed so far, both ways."""
        return self.received + self.sent

    @property
    def is_exchanging(self) -> bool:
        """Whether Prometheus has been asked, or the client is being answered."""
        return self._stage is not Stage.WAITING

    def client_has_gone(self) -> None:
        """Give up: nobody waits for the answer."""
        self._end = ClientGone()
        self._wake()

    def is_silent(self) -> None:
        """Give up: nothing has passed for too long."""
        self._end = self._end or self._silence()
        self._wake()

    def _silence(self) -> Refused:
        """Return who was silent."""
        if self._stage is not Stage.ASKING:
            return Refused(504, "timeout", "nothing has passed for too long")
        has_leave = self.sent > 0 or not self.request.crossing.expects
        if self._upload.awaits_client and has_leave:
            return too_slow()
        return Refused(504, "timeout", "Prometheus did not answer in time")

    def _wake(self) -> None:
        """Wake whoever waits, but do not end in order what is cut: only a full client is shut."""
        if self._connection is not None:
            shut(self._connection.sock)
        if not self._client.takes_more:
            self._client.hang_up()

    def _check(self) -> None:
        """Raise what has come between: the client has gone, or its request cannot go on."""
        if self._end is not None:
            raise self._end

    # --- WAITING ---

    def forward(self) -> None:
        """Ask whoever leads until there is an answer, and pass it on; raise Refused, ClientGone."""
        tries = Tries()
        while True:
            target = self._target(tries)
            try:
                return self._exchange(self._connection_to(target, tries), target)
            except Unreachable as error:
                reason = str(error)
                goes_on = self._waits(tries)
            except Broke as broke:
                reason = f"{target.url} broke off before it answered"
                goes_on = self.request.is_repeatable and tries.allow_again(broke, clock.now())
                if goes_on and broke.was_kept:
                    continue
            if not goes_on:
                raise Refused(502, "unavailable", reason)
            self._pause()

    def _target(self, tries: Tries) -> Target:
        """Return where to ask; a gap between two leaders is waited for."""
        while True:
            try:
                target = self._leader.target()
                break
            except NoLeader:
                if not self._waits(tries):
                    raise
            self._pause()
        check_hops(self.request.crossing.hops, target)
        self.target = target.label
        return target

    def _waits(self, tries: Tries) -> bool:
        """Tell whether to wait for whom nothing could be sent to."""
        now = clock.now()
        return tries.is_in_time(now) and self._leader.patience.allows(now)

    def _pause(self) -> None:
        gevent.sleep(_PAUSE_S)
        self._check()

    def _connection_to(self, target: Target, tries: Tries) -> UpstreamConnection:
        connections = self._leader.connections
        if tries.needs_fresh:
            return connections.fresh(target)
        return connections.take(target, goes_once=not self.request.is_repeatable)

    # --- ASKING ---

    def _exchange(self, connection: UpstreamConnection, target: Target) -> None:
        """Ask on this connection and pass the answer on."""
        self._connection, self._stage = connection, Stage.ASKING
        keeps = False
        try:
            data = self._ask(connection, self._leader.head(self.request, target))
            self._leader.patience.end()
            keeps = self._relay(connection, data)
        finally:
            self._leave()
            if keeps:
                self._leader.connections.give_back(connection)
            else:
                connection.close()

    def _ask(self, connection: UpstreamConnection, head: bytes) -> bytes:
        """Send the request and return the answer's first bytes; raise Broke, Refused, ClientGone.

        What is left of the body is sent meanwhile.
        """
        self.sent_on += len(head)
        upload = self._upload
        with contextlib.suppress(OSError):  # it may have answered before it closed
            send(connection.sock, head + upload.first if upload.first else head)
            if not upload.is_complete:
                self._sender = gevent.spawn(self._send_rest, connection)
        data = self._received(connection)
        if not data:
            raise Broke(was_kept=connection.answers > 0)
        return data

    def _received(self, connection: UpstreamConnection) -> bytes:
        """Return what comes before an answer has begun, nothing where the connection has ended."""
        try:
            data = connection.sock.recv(FIRST_PIECE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._check()  # it may be we who have ended it
        return data

    def _send_rest(self, connection: UpstreamConnection) -> None:
        """Send what is left of the body; an upstream may want no more of it."""
        try:
            self._upload.send_rest(connection.sock)
        except ClientGone:
            self.client_has_gone()
        except Refused as refused:
            self._end = refused
            shut(connection.sock)
        except OSError:
            return

    def _head(self, connection: UpstreamConnection, data: bytes) -> tuple[ResponseHead, bytes]:
        """Return the final answer's head, and the bytes that it begins; pass on interim ones."""
        while True:
            head = response_head(data)
            if head is None:
                data += self._more(connection)
            elif head.code >= _FINAL:
                return head, data
            elif head.code == _SWITCHING:
                raise self._bad_answer(connection, "wants to switch protocols")
            else:
                if self.request.minor > 0:
                    self._to_client(data[: head.end])
                data = data[head.end :] or self._more(connection)

    def _more(self, connection: UpstreamConnection) -> bytes:
        data = self._received(connection)
        if not data:
            raise self._bad_answer(connection, "broke off")
        return data

    def _bad_answer(self, connection: UpstreamConnection, what: str) -> Refused:
        return Refused(502, "unavailable", f"the answer of {connection.url} {what}")

    # --- ANSWERING ---

    def _relay(self, connection: UpstreamConnection, data: bytes) -> bool:
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
                    self._check()  # it may be we who have ended it
                passed = answer.body.take(data) if data else answer.body.end()
                if passed:
                    self._to_client(passed)
        except (OSError, BadBody, Refused) as error:
            self._break_off(connection, error)
        self._stage = Stage.WHOLE
        is_sent = self._is_sent()
        self.keeps_client = answer.keeps_client and is_sent
        return answer.keeps_upstream and is_sent and not answer.body.rest

    def _begin(self, connection: UpstreamConnection, data: bytes) -> tuple[Forwarding, bytes]:
        """Return how the answer goes on to the client, and its first bytes there."""
        request = self.request
        try:
            head, data = self._head(connection, data)
            answer = forwarding(
                head, request, clock.wall(), self._own_fields, keeps_client=self._can_go_on
            )
            first = answer.head + answer.body.take(data[head.end :])
        except (BadHead, BadBody) as error:
            raise self._bad_answer(connection, "cannot be understood") from error
        self.code = answer.code
        self._stage = Stage.ANSWERING
        return answer, first

    def _to_client(self, data: bytes) -> None:
        self._client.send(data)
        self.sent += len(data)

    def _break_off(self, connection: UpstreamConnection, error: Exception) -> NoReturn:
        """Give up an answer that has begun."""
        if not isinstance(self._end, ClientGone):
            reason = str(self._end or error)
            LOG.warning("an answer broke off", extra={"target": connection.url, "reason": reason})
        raise ClientGone from error

    def refuse(self, refused: Refused) -> None:
        """Answer by ourselves; nothing has been passed on yet."""
        self.code = refused.code
        self._stage = Stage.ANSWERING
        self.keeps_client = self._can_go_on and refused.code != _BAD_REQUEST
        self._to_client(
            rendered(
                refused,
                has_body=self.request.method != b"HEAD",
                keeps_client=self.keeps_client,
                own_lines=self._own_fields.lines,
            )
        )

    # --- the end ---

    @property
    def _can_go_on(self) -> bool:
        """Whether the client's connection may go on after the answer that begins now."""
        return self.request.wants_more and self._upload.is_complete and not self._leader.is_leaving

    def _is_sent(self) -> bool:
        """Tell whether the request has gone whole: then nothing of it is left to come."""
        if self._sender is not None and self._upload.is_complete:
            self._sender.join(_LAST_SEND_S)
        return self._upload.is_complete and (self._sender is None or self._sender.ready())

    def _leave(self) -> None:
        """Have no more to do with the upstream; an answer that is cut must not look whole.

        To a client of HTTP/1.0 it would: there, the end of the connection is the answer's.
        """
        self._connection = None
        if self._stage is Stage.ASKING:
            self._stage = Stage.WAITING
        if self._stage is Stage.ANSWERING and self.request.minor == 0:
            self._client.will_be_reset()
        if self._sender is not None:
            self._sender.kill()
            self._sender = None
