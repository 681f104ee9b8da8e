"""Connections to Prometheus: open them, keep them for later requests, check and close them.

Only one exchange at a time uses a connection. It gives the connection back only if the answer was
complete. A kept connection may have been closed by the server, so it is checked before it is used.
Sending and receiving is done by ``exchange``.

Limitation: a server that has vanished without closing is found by TCP keep-alive, within 40 s.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent
from gevent import monkey

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.proxy_environment import DEFAULT_PORTS
from wrapper.base import clock
from wrapper.proxy.resolver import Resolver

_MOST_KEPT = 128
_MOST_NAMES = 8  # lookups at a time: the names of several leaders in succession, while DNS hangs
_KEPT_FOR_S = 60.0  # shorter than Prometheus keeps them (--web.read-timeout, 5m)
_SETTLED_S = 0.05
_UNSENT_MS = 20_000
KEEP_ALIVE = (  # detects within 40 s that a peer has vanished
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
_LIVELINESS = (
    *KEEP_ALIVE,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS),
)


class Unreachable(OSError):
    """No connection could be opened; nothing was sent."""


class _TooSlow(Exception):
    """The time limit has passed. Not an OSError, because any address may raise one."""


@dataclass(frozen=True, slots=True)
class Target:
    """The leader's Prometheus: scheme and authority, and whether it is this replica's own."""

    url: str
    is_local: bool

    @property
    def label(self) -> str:
        """The label of its requests in the metrics."""
        return "local" if self.is_local else "remote"


class UrlParts(NamedTuple):
    """The parts of a target's URL; ``authority`` is the value of Host."""

    is_tls: bool
    host: str
    port: int
    authority: bytes


@lru_cache(maxsize=64)
def url_parts(url: str) -> UrlParts:
    """Return a URL's parts; raise Unreachable if it is invalid."""
    try:
        parts = urlsplit(url)
        authority = parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Unreachable(f"{url} is not a valid URL") from error
    if not parts.hostname or "@" in parts.netloc or not parts.netloc.isprintable():
        raise Unreachable(f"{url} is not a valid URL")
    return UrlParts(parts.scheme == "https", parts.hostname, port, authority)


class UpstreamConnection:
    """A connection to a target.

    ``answers`` is how many complete answers were received on it. ``at`` is when the last one ended
    (CLOCK_BOOTTIME, in seconds).
    """

    __slots__ = ("_poll", "answers", "at", "sock", "url")

    def __init__(self, url: str, sock: socket.socket) -> None:
        self.url = url
        self.sock = sock
        self.answers = 0
        self.at = 0.0
        self._poll = monkey.get_original("select", "poll")()
        self._poll.register(sock.fileno(), select.POLLIN)

    def has_settled(self, now: float) -> bool:
        """Return whether the server has shown that it keeps the connection open after an answer."""
        return self.answers > 1 or now - self.at > _SETTLED_S

    def is_open(self) -> bool:
        """Return whether nothing, not even the connection's end, came since the last answer."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


class Upstreams:
    """The connections of one worker.

    ``access`` has TLS and credentials for the targets. If it changes, the kept connections are
    closed.
    """

    def __init__(self, connect_timeout_s: float, access: PrometheusAccess) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._access = access
        self._kept_with = access.current()
        self._kept: list[UpstreamConnection] = []
        self._resolver = Resolver(_MOST_NAMES)

    def take(self, target: Target, *, is_repeatable: bool) -> UpstreamConnection:
        """Return a kept connection that is open, or a new one; raise Unreachable.

        A request that is not repeatable gets only a kept connection that has settled, on which it
        is unlikely to be lost.
        """
        return self._kept_one(target.url, is_repeatable=is_repeatable) or self.fresh(target)

    def fresh(self, target: Target) -> UpstreamConnection:
        """Return a new connection; raise Unreachable."""
        return UpstreamConnection(target.url, self._connected(target.url))

    def _kept_one(self, url: str, *, is_repeatable: bool) -> UpstreamConnection | None:
        if self._kept_with is not self._access.current():
            self._kept_with = self._access.current()
            self._close_kept()
        now = clock.now()
        for index in range(len(self._kept) - 1, -1, -1):
            connection = self._kept[index]
            if not is_repeatable and not connection.has_settled(now):
                continue
            del self._kept[index]
            if connection.url == url and connection.is_open():
                return connection
            connection.close()
        return None

    def _close_kept(self) -> None:
        while self._kept:
            self._kept.pop().close()

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection for later requests."""
        connection.answers += 1
        connection.at = clock.now()
        self._kept.append(connection)
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(0).close()

    def close_old(self, now: float) -> None:
        """Close connections that have been idle for too long; to be called regularly."""
        while self._kept and now - self._kept[0].at > _KEPT_FOR_S:
            self._kept.pop(0).close()

    def _connected(self, url: str) -> socket.socket:
        """Return a socket that is ready for a request; the time limit includes DNS and TLS."""
        where = url_parts(url)
        try:
            with gevent.Timeout(self._connect_timeout_s, _TooSlow()):
                return self._secured(self._opened(where), where)
        except _TooSlow:
            raise Unreachable(f"{url} cannot be reached: no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{url} cannot be reached: {error}") from error

    def _opened(self, where: UrlParts) -> socket.socket:
        """Return a socket to the first address that accepts a connection; raise OSError."""
        problem = "the name has no address"
        for address in self._addresses(where):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                sock.connect((address, where.port))
            except OSError as error:
                sock.close()
                problem = str(error)  # a reference to the error would be a cycle with this frame
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise OSError(problem)

    def _addresses(self, where: UrlParts) -> list[str]:
        """Return the addresses of a host; an IP address needs no DNS."""
        try:
            return [str(ipaddress.ip_address(where.host))]
        except ValueError:
            return self._resolver.addresses(where.host, where.port)

    def _secured(self, sock: socket.socket, where: UrlParts) -> socket.socket:
        try:
            for option in _LIVELINESS:
                sock.setsockopt(*option)
            if not where.is_tls:
                return sock
            access = self._access.current()
            return access.tls.wrap_socket(sock, server_hostname=access.server_name(where.host))
        except BaseException:
            sock.close()
            raise
