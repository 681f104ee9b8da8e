"""Connections to Prometheus: open them, keep them for the next request, check and close them.

One exchange at a time uses a connection, and gives it back only if its answer has ended in order. A
kept connection may have been closed meanwhile: it is checked before it is used. Where it ends: the
exchange sends and receives; TCP's keep-alive finds a peer that has vanished, within 40 s.
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
from wrapper.proxy.resolver import Names

_MOST_KEPT = 128
_MOST_NAMES = 8  # of leaders, one after the other, while DNS hangs
_KEPT_FOR_S = 60.0  # shorter than Prometheus keeps them: --web.read-timeout, 5m
_SETTLED_S = 0.05
_UNSENT_MS = 20_000
KEEP_ALIVE = (  # finds a peer that has vanished within 40 s
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


@dataclass(frozen=True, slots=True)
class Target:
    """The leader's Prometheus: scheme and authority, and whether it is this replica's own."""

    url: str
    is_local: bool

    @property
    def label(self) -> str:
        """The label of its requests in the metrics."""
        return "local" if self.is_local else "remote"


class Endpoint(NamedTuple):
    """A target's URL in parts; ``authority`` is the value of Host."""

    is_tls: bool
    host: str
    port: int
    authority: bytes


@lru_cache(maxsize=64)
def endpoint(url: str) -> Endpoint:
    """Return a URL's parts; raise Unreachable if it is invalid."""
    try:
        parts = urlsplit(url)
        authority = parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Unreachable(f"{url} is no valid URL") from error
    if not parts.hostname or "@" in parts.netloc or not parts.netloc.isprintable():
        raise Unreachable(f"{url} is no valid URL")
    return Endpoint(parts.scheme == "https", parts.hostname, port, authority)


class UpstreamConnection:
    """A connection to a target; ``answers`` have ended on it in order, the last one ``at``."""

    __slots__ = ("_poll", "answers", "at", "sock", "url")

    def __init__(self, url: str, sock: socket.socket) -> None:
        self.url = url
        self.sock = sock
        self.answers = 0
        self.at = 0.0
        self._poll = monkey.get_original("select", "poll")()
        self._poll.register(sock.fileno(), select.POLLIN)

    def has_settled(self, now: float) -> bool:
        """Tell whether the server has kept it open after an answer."""
        return self.answers > 1 or now - self.at > _SETTLED_S

    def is_open(self) -> bool:
        """Tell whether nothing, not even its end, has come since the last answer."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """End it."""
        self.sock.close()


class Upstreams:
    """The connections of one worker.

    ``access`` has TLS and credentials for the targets; if it changes, kept ones are closed.
    """

    def __init__(self, connect_timeout_s: float, access: PrometheusAccess) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._access = access
        self._kept_with = access.current()
        self._kept: list[UpstreamConnection] = []
        self._names = Names(_MOST_NAMES)

    def take(self, target: Target, *, goes_once: bool) -> UpstreamConnection:
        """Return a kept connection that is open, or a new one; raise Unreachable.

        A request that ``goes_once`` gets one that has settled, on which it is hardly lost.
        """
        return self._kept_one(target.url, goes_once=goes_once) or self.fresh(target)

    def fresh(self, target: Target) -> UpstreamConnection:
        """Return a new connection; raise Unreachable."""
        return UpstreamConnection(target.url, self._connected(target.url))

    def _kept_one(self, url: str, *, goes_once: bool) -> UpstreamConnection | None:
        if self._kept_with is not self._access.current():
            self._kept_with = self._access.current()
            self._close_kept()
        now = clock.now()
        for index in range(len(self._kept) - 1, -1, -1):
            connection = self._kept[index]
            if goes_once and not connection.has_settled(now):
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
        """Keep a connection for the next request."""
        connection.answers += 1
        connection.at = clock.now()
        self._kept.append(connection)
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(0).close()

    def close_old(self, now: float) -> None:
        """Close those that have been kept for long; to be called regularly."""
        while self._kept and now - self._kept[0].at > _KEPT_FOR_S:
            self._kept.pop(0).close()

    def _connected(self, url: str) -> socket.socket:
        """Return a socket ready for a request; the time limit includes DNS and TLS."""
        where = endpoint(url)
        limit = gevent.Timeout(
            self._connect_timeout_s
        )  # not an OSError, which any address may raise
        try:
            with limit:
                return self._secured(self._opened(where), where)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            raise Unreachable(f"{url} cannot be reached: no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{url} cannot be reached: {error}") from error

    def _opened(self, where: Endpoint) -> socket.socket:
        """Return a socket to the first address that accepts a connection; raise OSError."""
        problem = OSError("the name has no address")
        for address in self._addresses(where):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            try:
                sock.connect((address, where.port))
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise problem

    def _addresses(self, where: Endpoint) -> list[str]:
        """Return the addresses; one that is an IP address already needs no DNS."""
        try:
            return [str(ipaddress.ip_address(where.host))]
        except ValueError:
            return self._names.addresses(where.host, where.port)

    def _secured(self, sock: socket.socket, where: Endpoint) -> socket.socket:
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
