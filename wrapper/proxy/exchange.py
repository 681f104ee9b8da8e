"""One exchange: forward a client's request to the leader's Prometheus, and return the answer.

Both are streamed: an answer may begin, and end, while the request is still being sent.

The stages follow each other. Only ASKING may go back to WAITING: until the first byte of an answer,
the request may be sent to another target. An answer that has begun is never started again. If it
breaks off upstream, the client's connection is closed too. ``Attempts`` decides what is sent twice,
and ``proxy`` who may send requests.
"""

from __future__ import annotations

import contextlib
import logging
from typing import NoReturn

import gevent

from wrapper.base import clock, log
from wrapper.proxy.client_connection import Client, ClientGone, send, shut
from wrapper.proxy.exchange_end import ExchangeEnd
from wrapper.proxy.exchange_stage import Stage
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.forwarded_response import Forwarding, forwarding
from wrapper.proxy.header_overrides import ConfiguredFields
from wrapper.proxy.http_body import BadBody
from wrapper.proxy.http_head import BadHead, ResponseHead, response_head
from wrapper.proxy.leader_attempts import Attempts, ConnectionLost, Leader
from wrapper.proxy.refusals import Refused, rendered, too_slow
from wrapper.proxy.route import NoLeader, check_hops
from wrapper.proxy.upload import Upload
from wrapper.proxy.upstream import Target, Unreachable, UpstreamConnection

LOG = log.limited(logging.getLogger(__name__))

FIRST_PIECE_BYTES = 64 << 10
CLIENT_GONE = 499  # the same as in nginx
SILENCE = "no data was transferred within --api-proxy-idle-timeout"
_LAST_SEND_S = 1.0  # time to send the end of the request's body after the answer is complete
_PAUSE_S = 0.02
_FINAL, _SWITCHING, _BAD_REQUEST = 200, 101, 400


class Exchange:
    """A request in flight."""

    __slots__ = ("_client", "_configured_fields", "_connection", "_end", "_leader", "_sender",
                 "_stage", "_upload", "code", "head_bytes", "keeps_client", "request", "seen_at",
                 "seen_bytes", "sent", "target")  # fmt: skip

    def __init__(
        self, client: Client, request: Request, upload: Upload, configured_fields: ConfiguredFields,
        leader: Leader,
    ) -> None:  # fmt: skip
        self._client = client
        self._upload = upload
        self._configured_fields = configured_fields
        self._leader = leader
        self._stage = Stage.WAITING
        self._end = ExchangeEnd()
        self._connection: UpstreamConnection | None = None
        self._sender: gevent.Greenlet[[UpstreamConnection], None] | None = None
        self.request = request
        self.code = CLIENT_GONE
        self.target = "none"
        self.head_bytes = self.sent = 0
        self.keeps_client = False
        self.seen_bytes, self.seen_at = 0, 0.0

    # --- for the watch ---

    def fileno(self) -> int:
        """Return the client's file descriptor."""
        return self._client.sock.fileno()

    @property
    def received(self) -> int:
        """The bytes of the request: its body as received, its head as forwarded."""
        return self.head_bytes + self._upload.received

    @property
    def moved_bytes(self) -> int:
        """The bytes transferred so far, in both directions."""
        return self.received + self.sent

    @property
    def is_transferring(self) -> bool:
        """Whether the request is being sent or answered."""
        return self._stage is not Stage.WAITING

    @property
    def awaits_client(self) -> bool:
        """Whether the server waits for the client to send its request, or to read its answer."""
        return self._upload.awaits_client or not self._client.is_writable

    def abort(self) -> None:
        """Abort the exchange, even if a part of the answer has been sent."""
        self.client_has_gone()
        self._client.hang_up()

    def client_has_gone(self) -> None:
        """Give up, because the client has closed its connection."""
        self._end.client_has_gone = True
        self._wake()

    def is_silent(self) -> None:
        """Give up, because no data was transferred within --api-proxy-idle-timeout."""
        self._end.refuse(self._silence())
        self._wake()

    def _silence(self) -> Refused:
        """Return the refusal, which depends on who was silent."""
        if self._stage is not Stage.ASKING:
            return Refused(504, "timeout", SILENCE)
        has_leave = self.sent > 0 or not self.request.fields.expects
        if self._upload.awaits_client and has_leave:
            return too_slow()
        return Refused(504, "timeout", "Prometheus did not answer in time")

    def _wake(self) -> None:
        """Wake the greenlets that wait."""
        if self._connection is not None:
            shut(self._connection.sock)
        # Only one that does not read: after a normal end, an aborted answer would look complete.
        if not self._client.is_writable:
            self._client.hang_up()

    # --- WAITING ---

    def forward(self) -> None:
        """Send the request until a leader answers; relay the answer; raise Refused, ClientGone."""
        attempts = Attempts()
        while True:
            target = self._target(attempts)
            try:
                return self._exchange(self._connection_to(target, attempts), target)
            except Unreachable as error:
                reason = str(error)
                goes_on = self._waits(attempts)
            except ConnectionLost as lost:
                reason = f"{target.url} closed the connection before it answered"
                goes_on = self.request.is_repeatable and attempts.allow_again(lost, clock.now())
                if goes_on and lost.was_kept:
                    continue
            if not goes_on:
                raise Refused(502, "unavailable", reason)
            self._pause()

    def _target(self, attempts: Attempts) -> Target:
        """Return the leader's target; wait for one in a gap between two leaders."""
        while True:
            try:
                target = self._leader.target()
                break
            except NoLeader:
                if not self._waits(attempts):
                    raise
            self._pause()
        check_hops(self.request.fields.hops, target)
        self.target = target.label
        return target

    def _waits(self, attempts: Attempts) -> bool:
        """Return whether to wait for a leader that can be reached."""
        now = clock.now()
        return attempts.is_in_time(now) and self._leader.gap.allows(now)

    def _pause(self) -> None:
        gevent.sleep(_PAUSE_S)
        self._end.check()

    def _connection_to(self, target: Target, attempts: Attempts) -> UpstreamConnection:
        connections = self._leader.connections
        if attempts.needs_fresh:
            return connections.fresh(target)
        return connections.take(target, is_repeatable=self.request.is_repeatable)

    # --- ASKING ---

    def _exchange(self, connection: UpstreamConnection, target: Target) -> None:
        """Send the request on this connection, and pass the answer on."""
        self._connection, self._stage = connection, Stage.ASKING
        keeps = False
        try:
            data = self._ask(connection, self._leader.head(self.request, target))
            self._leader.gap.end()
            keeps = self._relay(connection, data)
        finally:
            self._leave()
            if keeps:
                self._leader.connections.give_back(connection)
            else:
                connection.close()

    def _ask(self, connection: UpstreamConnection, head: bytes) -> bytes:
        """Send the request, and return the answer's first bytes.

        A greenlet sends the rest of the body in the meantime. Raise ConnectionLost, Refused or
        ClientGone.
        """
        self.head_bytes += len(head)
        upload = self._upload
        with contextlib.suppress(OSError):  # Prometheus may have answered before it closed
            send(connection.sock, head + upload.first if upload.first else head)
            if not upload.is_complete:
                self._sender = gevent.spawn(self._send_rest, connection)
        data = self._received(connection)
        if not data:
            raise ConnectionLost(was_kept=connection.answers > 0)
        return data

    def _received(self, connection: UpstreamConnection) -> bytes:
        """Return the next bytes before an answer has begun; b"" if the connection has ended."""
        try:
            data = connection.sock.recv(FIRST_PIECE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._end.check()  # it may be we who have ended it
        return data

    def _send_rest(self, connection: UpstreamConnection) -> None:
        """Send the rest of the body; Prometheus may not read all of it."""
        try:
            self._upload.send_rest(connection.sock)
        except ClientGone:
            self.client_has_gone()
        except Refused as refused:
            self._end.refuse(refused)
            shut(connection.sock)
        except OSError:
            return

    def _head(self, connection: UpstreamConnection, data: bytes) -> tuple[ResponseHead, bytes]:
        """Return the final answer's head and its bytes; pass on interim answers."""
        while True:
            head = response_head(data)
            if head is None:
                data += self._more(connection)
            elif head.code >= _FINAL:
                return head, data
            elif head.code == _SWITCHING:
                raise self._bad_answer(connection, "wants to switch protocols")
            else:
                if self.request.minor > 0 and head.minor > 0:  # HTTP/1.0 has none
                    self._to_client(data[: head.end])
                data = data[head.end :] or self._more(connection)

    def _more(self, connection: UpstreamConnection) -> bytes:
        data = self._received(connection)
        if not data:
            raise self._bad_answer(connection, "ended too early")
        return data

    def _bad_answer(self, connection: UpstreamConnection, what: str) -> Refused:
        return Refused(502, "unavailable", f"the answer of {connection.url} {what}")

    # --- ANSWERING ---

    def _relay(self, connection: UpstreamConnection, data: bytes) -> bool:
        """Pass on the answer that begins with ``data``; return whether to keep the connection.

        Raise Refused if nothing has been passed on, ClientGone if the client's connection is to be
        closed.
        """
        answer, first = self._begin(connection, data)
        try:
            self._to_client(first)
            while not answer.body.is_complete:
                data = connection.sock.recv(self._leader.piece_bytes)
                if not data:
                    self._end.check()  # it may be we who have ended it
                passed = answer.body.take(data) if data else answer.body.end()
                if passed:
                    self._to_client(passed)
        except (OSError, BadBody, Refused) as error:
            self._break_off(connection, error)
        self._stage = Stage.COMPLETE
        is_sent = self._is_sent()
        self.keeps_client = answer.keeps_client and is_sent
        return answer.keeps_upstream and is_sent and not answer.body.rest

    def _begin(self, connection: UpstreamConnection, data: bytes) -> tuple[Forwarding, bytes]:
        """Return how the answer is passed on, and its first bytes for the client."""
        request = self.request
        try:
            head, data = self._head(connection, data)
            answer = forwarding(
                head, request, clock.wall(), self._configured_fields, keeps_client=self._can_go_on
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
        if not self._end.client_has_gone:
            reason = self._end.reason or str(error)
            LOG.warning("answer aborted", extra={"target": connection.url, "reason": reason})
        raise ClientGone from error

    def refuse(self, refused: Refused) -> None:
        """Send the refusal as the answer; nothing must have been passed on before."""
        self.code = refused.code
        self._stage = Stage.ANSWERING
        self.keeps_client = self._can_go_on and refused.code != _BAD_REQUEST
        self._to_client(
            rendered(
                refused,
                clock.wall(),
                has_body=self.request.method != b"HEAD",
                keeps_client=self.keeps_client,
                own_lines=self._configured_fields.lines,
            )
        )

    @property
    def _can_go_on(self) -> bool:
        """Whether the client's connection stays open after the answer that begins now."""
        return self.request.wants_more and self._upload.is_complete and not self._leader.is_leaving

    def _is_sent(self) -> bool:
        """Return whether the whole request has been received and sent."""
        if self._sender is not None and self._upload.is_complete:
            self._sender.join(_LAST_SEND_S)
        return self._upload.is_complete and (self._sender is None or self._sender.ready())

    def _leave(self) -> None:
        """Leave the upstream connection; an incomplete answer over HTTP/1.0 ends with a reset.

        There, the end of the connection is the end of the answer: a normal end would make it look
        complete.
        """
        self._connection = None
        if self._stage is Stage.ASKING:
            self._stage = Stage.WAITING
        if self._stage is Stage.ANSWERING and self.request.minor == 0:
            self._client.reset_on_close()
        if self._sender is not None:
            self._sender.kill()
            self._sender = None
