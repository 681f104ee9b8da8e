"""Connections to Prometheus: made, kept for the next request, checked, closed.

A connection is taken by one exchange at a time and given back only when its answer has ended in
order. One that was kept may have been closed meanwhile; a check tells as well as anyone can.
Where it ends: what is sent and received; a peer that vanishes without a word is found by TCP's
keep-alive, within 40 s.
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
from wrapper.base import clock
from wrapper.proxy.resolver import Names

_MOST_KEPT = 128
_MOST_NAMES = 8  # of leaders, one after the other, while DNS hangs
_KEPT_FOR_S = 60.0  # shorter than Prometheus keeps them: --web.read-timeout, 5m
_SETTLED_S = 0.05
_UNSENT_MS = 20_000
_PORTS = {"http": 80, "https": 443}
KEEP_ALIVE = (  # a peer that vanishes is found out within 40 s
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
    """No connection could be made; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Target:
    """The leader's Prometheus: scheme and authority, and whether it is this replica's own."""

    url: str
    is_local: bool

    @property
    def label(self) -> str:
        """What it is called in the figures."""
        return "local" if self.is_local else "remote"


class Endpoint(NamedTuple):
    """A target's URL in parts; ``authority`` is what Host says."""

    is_tls: bool
    host: str
    port: int
    authority: bytes


@lru_cache(maxsize=64)
def endpoint(url: str) -> Endpoint:
    """Return a URL's parts; raise Unreachable for what is none."""
    try:
        parts = urlsplit(url)
        authority = parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Unreachable(f"{url} is no address") from error
    if not parts.hostname or "@" in parts.netloc or not parts.netloc.isprintable():
        raise Unreachable(f"{url} is no address")
    return Endpoint(parts.scheme == "https", parts.hostname, port, authority)


class UpstreamConnection:
    """One connection to a target; ``answers`` have ended on it in order, the last one ``at``."""

    __slots__ = ("_poll", "answers", "at", "sock", "url")

    def __init__(self, url: str, sock: socket.socket) -> None:
        self.url = url
        self.sock = sock
        self.answers = 0
        self.at = 0.0
        self._poll = monkey.get_original("select", "poll")()
        self._poll.register(sock.fileno(), select.POLLIN)

    def has_settled(self, now: float) -> bool:
        """Tell whether its server does not close after an answer, without saying so."""
        return self.answers > 1 or now - self.at > _SETTLED_S

    def is_open(self) -> bool:
        """Tell whether nothing has come since its last answer: neither an end nor anything else."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not self._poll.poll(0)

    def close(self) -> None:
        """End it."""
        self.sock.close()


class Upstreams:
    """The connections of one worker, those kept for the next request the newest last.

    ``access`` is how to speak to a target with https; a change of it begins new connections.
    """

    def __init__(self, connect_timeout_s: float, access: PrometheusAccess) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._access = access
        self._kept_with = access.current()
        self._kept: list[UpstreamConnection] = []
        self._names = Names(_MOST_NAMES)

    def take(self, target: Target, *, goes_once: bool) -> UpstreamConnection:
        """Return a connection, a kept one just checked if there is; raise Unreachable.

        A request that ``goes_once`` gets one that has settled, on which it will hardly be lost.
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
        """Keep a connection whose answer has ended in order."""
        connection.answers += 1
        connection.at = clock.now()
        self._kept.append(connection)
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(0).close()

    def close_old(self, now: float) -> None:
        """Close those that have been kept for long; to be called now and then."""
        while self._kept and now - self._kept[0].at > _KEPT_FOR_S:
            self._kept.pop(0).close()

    def _connected(self, url: str) -> socket.socket:
        """Return a socket that is ready for a request; the limit is on all of it, names too."""
        where = endpoint(url)
        limit = gevent.Timeout(self._connect_timeout_s)  # no OSError, which each address may raise
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
        """Return a socket connected to the first of its addresses that can be; raise OSError."""
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
        """Return where to connect to; an address is not looked up, since DNS may hang."""
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
