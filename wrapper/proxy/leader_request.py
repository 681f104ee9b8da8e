"""The leader's Prometheus, as all exchanges of a worker ask it: who, over what, how often.

Nothing goes twice that could do harm twice: GET and HEAD are asked again, of the same or the new
leader, where no byte of an answer has come: once, and once for a connection that was kept and may
have been stale. Anything else goes once. A gap between two leaders is waited for, but only while it
is new. Where it ends: who leads is as fresh as the snapshot.
"""

from __future__ import annotations

import math

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock
from wrapper.base.snapshot import SnapshotReader
from wrapper.options.web_options import WebOptions
from wrapper.proxy.forwarded_request import Crossing, Request
from wrapper.proxy.header_overrides import own_fields
from wrapper.proxy.route import target_of
from wrapper.proxy.upstream import Target, Upstreams, endpoint

GAP_S = 2.0  # an ordered hand-over takes a tenth of it
_NEW_GAP_S = 60.0


class Broke(Exception):
    """The upstream's connection has ended before the first byte of an answer.

    ``was_kept`` tells whether it had been used before, so that it may have ended long ago.
    """

    def __init__(self, *, was_kept: bool) -> None:
        super().__init__()
        self.was_kept = was_kept


class LeaderGap:
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


class Leader:
    """Whom to ask; ``is_leaving`` makes each connection's next answer its last."""

    def __init__(
        self, reader: SnapshotReader, options: WebOptions, access: PrometheusAccess
    ) -> None:
        self._reader = reader
        self._options = options
        self._access = access
        self.connections = Upstreams(options.connect_timeout_s, access)
        self.patience = LeaderGap()
        self.is_leaving = False

    def target(self) -> Target:
        """Return where it is now; raise Refused where nobody knows."""
        return target_of(self._reader.read(), self._options, clock.now())

    def head(self, request: Request, target: Target) -> bytes:
        """Return a request's head as it is sent to a target."""
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
