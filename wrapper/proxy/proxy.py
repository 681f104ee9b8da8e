"""The proxy of each replica: it forwards requests to the leader's Prometheus.

The newest snapshot says which replica leads. ``exchange`` forwards a request and its answer.
"""

from __future__ import annotations

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock
from wrapper.base.snapshot_channel import SnapshotReader
from wrapper.options.web_options import WebOptions
from wrapper.proxy.authentication import Protection
from wrapper.proxy.client_connection import Client
from wrapper.proxy.exchange import Exchange
from wrapper.proxy.exchange_watch import ExchangeWatch
from wrapper.proxy.forwarded_request import Request
from wrapper.proxy.leader_attempts import Leader
from wrapper.proxy.proxy_counters import ProxyCounters
from wrapper.proxy.refusals import Refused
from wrapper.proxy.route import check_admission
from wrapper.proxy.upload import Upload


class Proxy:
    """Forwards each request to the leader's Prometheus, or answers why it cannot."""

    def __init__(
        self,
        reader: SnapshotReader,
        options: WebOptions,
        counters: ProxyCounters,
        protection: Protection,
        access: PrometheusAccess,
    ) -> None:
        self._options = options
        self._counters = counters
        self._protection = protection
        self._leader = Leader(reader, options, access, is_tls=protection.is_tls)

    def serve(self, client: Client, request: Request, watch: ExchangeWatch) -> bool:
        """Answer and count one request; return whether the client's connection stays open.

        Raise ClientGone if the client has disconnected, or if its answer was aborted.
        """
        begun_at = clock.now()
        upload = Upload(client, request, self._options.max_body_bytes)
        exchange = Exchange(
            client, request, upload, self._protection.configured_fields, self._leader
        )
        self._counters.begin()
        watch.begin(exchange)
        self._leader.exchanges += 1
        try:
            self._protection.check(request.target, request.fields.authorization, client.sock)
            check_admission(request, self._options)
            upload.begin(self._options.body_timeout_s)
            exchange.forward()
        except Refused as refused:
            exchange.refuse(refused)
        finally:
            watch.end(exchange)
            self._leader.exchanges -= 1
            self._count(exchange, clock.now() - begun_at)
        return exchange.keeps_client

    def leave(self) -> None:
        """Close each client's connection after its next answer."""
        self._leader.is_leaving = True

    def tidy(self) -> None:
        """Close connections to Prometheus that have been idle for too long; call this regularly."""
        self._leader.connections.close_old(clock.now())

    def _count(self, exchange: Exchange, seconds: float) -> None:
        self._counters.end(
            exchange.code,
            exchange.request.method,
            exchange.target,
            seconds,
            exchange.received,
            exchange.sent,
        )
