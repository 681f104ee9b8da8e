"""The proxy: whichever replica is asked, the leader's Prometheus answers.

Each request goes to whom the newest snapshot says. Nothing goes twice that could do harm twice: GET
and HEAD are asked again, of the same or the new leader, where no byte of an answer has come: once,
and once for a connection that was kept and may have been stale. Anything else goes once. A gap
between two leaders is waited for, but only while it is new. Where it ends: an answer that has begun
is never begun again.
"""

from __future__ import annotations

import math

import gevent

from wrapper import clock
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.protection import Protection
from wrapper.options.web_options import WebOptions
from wrapper.proxy.exchange import Broke, Client, Exchange
from wrapper.proxy.exchange_watch import ExchangeWatch
from wrapper.proxy.figures import ProxyFigures
from wrapper.proxy.forwarding import Crossing, Request
from wrapper.proxy.own_fields import own_fields
from wrapper.proxy.refusals import Refused
from wrapper.proxy.route import NoLeader, check_admission, check_hops, target_of
from wrapper.proxy.upstream import Connection, Target, Unreachable, Upstreams, endpoint
from wrapper.supervision.snapshot import SnapshotReader

GAP_S = 2.0  # an ordered hand-over takes a tenth of it
_NEW_GAP_S = 60.0
_PAUSE_S = 0.02


class Patience:
    """How long to wait for a leader that answers: for GAP_S from when the last one was missed."""

    def __init__(self) -> None:
        self._since: float | None = None

    def allows(self, now: float) -> bool:
        """Tell whether to wait; the first to ask begins the gap."""
        if self._since is None or now > self._since + _NEW_GAP_S:
            self._since = now
        return now < self._since + GAP_S

    def end(self) -> None:
        """Know that the gap is over."""
        self._since = None


class Tries:
    """What one request may still try: its own, whatever becomes of those beside it.

    It could be the request that ends whoever is asked: so after it has been lost on a new
    connection it goes once more, and no further.
    """

    def __init__(self) -> None:
        self.needs_fresh = False  # what was kept may all be as stale as the one just used
        self._is_last = False
        self._until = math.inf

    def is_in_time(self, now: float) -> bool:
        """Tell whether to go on; the first failure begins the time for it."""
        self._until = min(self._until, now + GAP_S)
        return now < self._until

    def allow_again(self, broke: Broke, now: float) -> bool:
        """Tell whether to send it again after this."""
        is_last, self._is_last = self._is_last, not broke.was_kept
        self.needs_fresh = True
        return self.is_in_time(now) and not is_last


class Proxy:
    """Forwards each request to the leader's Prometheus, or says why not."""

    def __init__(
        self,
        reader: SnapshotReader,
        options: WebOptions,
        figures: ProxyFigures,
        protection: Protection,
        access: PrometheusAccess,
    ) -> None:
        self._reader = reader
        self._options = options
        self._figures = figures
        self._protection = protection
        self._access = access
        self._upstreams = Upstreams(options.connect_timeout_s, access)
        self._patience = Patience()
        self._is_leaving = False

    def serve(self, client: Client, request: Request, watch: ExchangeWatch) -> bool:
        """Answer one request, count it, and tell whether the client's connection can go on.

        Raises ClientGone where there is nobody to answer, or no answer that could be whole.
        """
        begun_at = clock.now()
        own = self._protection.own_fields
        exchange = Exchange(client, request, self._options.max_body_bytes, own)
        self._figures.begin()
        watch.begin(exchange)
        try:
            self._answer(exchange)
        finally:
            watch.end(exchange)
            self._count(exchange, begun_at)
        return exchange.keeps_client

    def leave(self) -> None:
        """Make each connection's next answer its last."""
        self._is_leaving = True

    def tidy(self) -> None:
        """Give up what has been kept for long; to be called now and then."""
        self._upstreams.close_old(clock.now())

    def _count(self, exchange: Exchange, begun_at: float) -> None:
        self._figures.end(
            exchange.code,
            exchange.request.method,
            exchange.target,
            clock.now() - begun_at,
            exchange.received,
            exchange.sent,
        )

    def _answer(self, exchange: Exchange) -> None:
        try:
            request = exchange.request
            authorization = request.crossing.authorization
            self._protection.check(request.target, authorization, exchange.client.sock)
            check_admission(request, self._options)
            exchange.read_small_body(self._options.body_timeout_s)
            self._forward(exchange)
        except Refused as refused:
            self._settle(exchange)
            exchange.refuse(refused)

    def _forward(self, exchange: Exchange) -> None:
        """Ask whoever leads until there is an answer; raise Refused."""
        tries = Tries()
        while True:
            target = self._target(exchange, tries)
            try:
                return self._exchange(exchange, self._connection(exchange, target, tries), target)
            except Unreachable as error:
                reason = str(error)
                goes_on = self._waits(tries)
            except Broke as broke:
                reason = f"{target.url} broke off before it answered"
                goes_on = exchange.is_repeatable and tries.allow_again(broke, clock.now())
                if goes_on and broke.was_kept:
                    continue
            if not goes_on:
                raise Refused(502, "unavailable", reason)
            self._pause(exchange)

    def _waits(self, tries: Tries) -> bool:
        """Tell whether to wait for whom nothing could be sent to."""
        now = clock.now()
        return tries.is_in_time(now) and self._patience.allows(now)

    def _connection(self, exchange: Exchange, target: Target, tries: Tries) -> Connection:
        if tries.needs_fresh:
            return self._upstreams.fresh(target)
        return self._upstreams.take(target, goes_once=not exchange.is_repeatable)

    def _target(self, exchange: Exchange, tries: Tries) -> Target:
        """Return where to ask; a gap between two leaders is waited for."""
        while True:
            try:
                target = target_of(self._reader.read(), self._options, clock.now())
                break
            except NoLeader:
                if not self._waits(tries):
                    raise
            self._pause(exchange)
        check_hops(exchange.request.crossing.hops, target)
        exchange.target = target.label
        return target

    def _pause(self, exchange: Exchange) -> None:
        gevent.sleep(_PAUSE_S)
        exchange.check()

    def _exchange(self, exchange: Exchange, connection: Connection, target: Target) -> None:
        """Ask on this connection and pass the answer on."""
        keeps = False
        try:
            data = exchange.ask(connection, self._head(exchange.request, target))
            self._patience.end()
            self._settle(exchange)
            keeps = exchange.relay(connection, data)
        finally:
            exchange.leave()
            if keeps:
                self._upstreams.give_back(connection)
            else:
                connection.close()

    def _settle(self, exchange: Exchange) -> None:
        """Say whether the client's connection is to go on after the answer that begins now."""
        exchange.keeps_client = exchange.request.wants_more and not self._is_leaving

    def _head(self, request: Request, target: Target) -> bytes:
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (
            request.method,
            request.target,
            endpoint(target.url).authority,
            self._lines(request.crossing),
        )

    def _lines(self, crossing: Crossing) -> bytes:
        """Return the field lines for Prometheus; our own credentials replace the client's."""
        own = own_fields(self._access.current().fields)
        lines = own.into(crossing.lines)
        if crossing.authorization and not (own.names | crossing.options) & {b"authorization"}:
            lines += b"".join(b"Authorization: %b\r\n" % each for each in crossing.authorization)
        return lines
