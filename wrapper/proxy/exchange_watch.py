"""Watch connections: end exchanges whose client has disconnected, and connections that are idle.

One greenlet watches all of them, so that requests need no timers of their own. If a client closes
its connection during a request, this is noticed within LOOK_S. Idle times are accurate to a second.

Limitation: a peer that has vanished without closing is only found by TCP keep-alive.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent import monkey
from gevent.event import Event

from wrapper.base import clock
from wrapper.proxy.client_connection import Client
from wrapper.proxy.exchange import Exchange

LOOK_S = 0.1
HEAD_S = 10.0  # from the first byte of a head to its last, and from connecting to the first byte
IDLE_S = 120.0  # between two requests; Go's clients close idle connections earlier, after 90 s
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


class ExchangeWatch:
    """Watches the connections of one worker."""

    def __init__(self, idle_timeout_s: float) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._waiting: set[Client] = set()
        self._in_flight: set[Exchange] = set()
        self._seen: set[Exchange] = set()
        self._wake = Event()
        self._is_awake = False
        self._poll = monkey.get_original("select", "poll")

    @contextmanager
    def waited_for(self, client: Client) -> Iterator[None]:
        """Watch a connection while the server waits for its client, inside this context."""
        if not self._waiting:
            self._wake.set()
        self._waiting.add(client)
        try:
            yield
        finally:
            self._waiting.discard(client)

    def begin(self, exchange: Exchange) -> None:
        """Watch an exchange from now on."""
        self._in_flight.add(exchange)
        if not self._is_awake:
            self._is_awake = True
            self._wake.set()

    def end(self, exchange: Exchange) -> None:
        """Stop watching an exchange."""
        self._in_flight.discard(exchange)

    def abort_slowest(self) -> bool:
        """Abort the exchange that has waited longest for its client; return whether one existed."""
        slow = [each for each in self._in_flight & self._seen if each.awaits_client]
        if not slow:
            return False
        min(slow, key=lambda each: each.seen_at).abort()
        return True

    def hang_up_waiting(self) -> None:
        """Shut down all connections that have no request in flight."""
        for each in list(self._waiting):
            each.hang_up()

    def run(self) -> None:
        """Watch forever; while there is nothing to watch, wait for it."""
        next_at = 0.0
        while True:
            if self._wake.wait(1.0 if self._waiting else None):
                gevent.sleep(LOOK_S)
            if not self._in_flight:
                self._is_awake = False
                self._wake.clear()
            now = clock.now()
            self._look(now)
            if now >= next_at:
                self._end_overdue(now)
                next_at = now + 1.0

    def _look(self, now: float) -> None:
        """Check all exchanges.

        Whether the client is still connected is checked only for exchanges already seen in the last
        round.
        """
        lasting = self._in_flight & self._seen
        for exchange in _gone(lasting, self._poll()):
            exchange.client_has_gone()
        for exchange in self._in_flight:
            has_moved = exchange.moved_bytes != exchange.seen_bytes
            if has_moved or exchange not in lasting or not exchange.is_transferring:
                exchange.seen_bytes, exchange.seen_at = exchange.moved_bytes, now
            elif now - exchange.seen_at > self._idle_timeout_s:
                exchange.is_silent()
        self._seen = set(self._in_flight)

    def _end_overdue(self, now: float) -> None:
        for each in list(self._waiting):
            limit_s = HEAD_S if each.is_new or each.data else IDLE_S
            if now - each.since > limit_s:
                each.hang_up()


def _gone(exchanges: set[Exchange], poll: select.poll) -> Iterator[Exchange]:
    """Yield the exchanges whose client has closed its side, even after sending another request."""
    by_fd = {exchange.fileno(): exchange for exchange in exchanges}
    for fd in by_fd:
        poll.register(fd, select.POLLRDHUP)
    for fd, events in poll.poll(0):
        if events & _GONE:
            yield by_fd[fd]
