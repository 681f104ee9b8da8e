"""How the exchanges of a worker reach the leader's Prometheus: target, connections and retries.

Only GET and HEAD are retried, on the same or the new leader, and only before the first byte of an
answer. They are retried once, and once more after a kept connection, which may have been stale. All
other requests are sent once. Requests wait for the next leader for up to GAP_S after the last one
was lost.

Limitation: the leader is as current as the snapshot.
"""

from __future__ import annotations

import math

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock
from wrapper.base.snapshot_channel import SnapshotReader
from wrapper.options.web_options import WebOptions
from wrapper.proxy.forwarded_request import ForwardedFields, Request
from wrapper.proxy.header_overrides import configured_fields
from wrapper.proxy.route import target_of
from wrapper.proxy.upstream import Target, Upstreams, url_parts

PIECE_BYTES = 256 << 10  # of an answer, if few are in flight
LEAST_PIECE_BYTES = 16 << 10
PIECES_BYTES = 64 << 20  # limit for all of them together, because clients may not read
GAP_S = 2.0  # an ordered hand-over takes a tenth of it
_NEW_GAP_S = 60.0


class ConnectionLost(Exception):
    """The upstream's connection ended before the first byte of an answer.

    ``was_kept`` is whether it was used before, so that it may have ended long ago.
    """

    def __init__(self, *, was_kept: bool) -> None:
        super().__init__()
        self.was_kept = was_kept


class LeaderGap:
    """The time for which requests wait for a leader: GAP_S after the first request missed it."""

    def __init__(self) -> None:
        self._since: float | None = None

    def allows(self, now: float) -> bool:
        """Return whether to wait; the first call begins the gap."""
        if self._since is None or now > self._since + _NEW_GAP_S:
            self._since = now
        return now < self._since + GAP_S

    def end(self) -> None:
        """End the gap: a leader has answered."""
        self._since = None


class Attempts:
    """The attempts of one request, independent of other requests.

    The request itself may crash Prometheus. So if it is lost on a new connection, it is sent only
    once more.
    """

    def __init__(self) -> None:
        self.needs_fresh = False  # set after a failure: all kept connections may be stale
        self._is_last = False
        self._until = math.inf

    def is_in_time(self, now: float) -> bool:
        """Return whether to try again: for GAP_S after the first failure."""
        self._until = min(self._until, now + GAP_S)
        return now < self._until

    def allow_again(self, lost: ConnectionLost, now: float) -> bool:
        """Return whether to send the request again."""
        is_last, self._is_last = self._is_last, not lost.was_kept
        self.needs_fresh = True
        return self.is_in_time(now) and not is_last


class Leader:
    """The leader's Prometheus.

    With ``is_leaving``, each client's connection is closed after its next answer. ``is_tls`` is
    whether clients connect over TLS. Then their credentials leave this machine only over TLS.
    """

    def __init__(
        self,
        reader: SnapshotReader,
        options: WebOptions,
        access: PrometheusAccess,
        *,
        is_tls: bool = False,
    ) -> None:
        self._reader = reader
        self._options = options
        self._access = access
        self._is_tls = is_tls
        self.connections = Upstreams(options.connect_timeout_s, access)
        self.gap = LeaderGap()
        self.is_leaving = False
        self.exchanges = 0  # in flight

    @property
    def piece_bytes(self) -> int:
        """How much of an answer to hold at a time, in bytes: less if many are in flight."""
        return max(LEAST_PIECE_BYTES, min(PIECE_BYTES, PIECES_BYTES // (self.exchanges or 1)))

    def target(self) -> Target:
        """Return the current target; raise Refused if it is not known."""
        return target_of(self._reader.read(), self._options, clock.now())

    def head(self, request: Request, target: Target) -> bytes:
        """Return a request's head for a target."""
        where = url_parts(target.url)
        is_as_safe = where.is_tls or target.is_local or not self._is_tls
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (
            request.method,
            request.target,
            where.authority,
            self._lines(request.fields, passes_credentials=is_as_safe),
        )

    def _lines(self, fields: ForwardedFields, *, passes_credentials: bool) -> bytes:
        """Return the field lines for Prometheus; our own credentials replace the client's."""
        own = configured_fields(self._access.current().fields)
        lines = own.into(fields.lines)
        if passes_credentials and b"authorization" not in own.names | fields.options:
            lines += b"".join(b"Authorization: %b\r\n" % each for each in fields.authorization)
        return lines
