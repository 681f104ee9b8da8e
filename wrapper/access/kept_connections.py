"""Connections to Prometheus that are kept between requests, and used again.

Prometheus takes 512 at once (``--web.max-connections``); clients that use them up keep new ones
waiting. What watches it and fences it has its own already, and goes on. One that the server has
closed meanwhile is replaced, and the request sent once more: what is asked of Prometheus may be
asked twice. Where it ends: Prometheus closes what is idle for 5 minutes; the health check keeps one
warm.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from wrapper.access.http_connection import connect, fields, host_and_target
from wrapper.access.prometheus_access import Access

if TYPE_CHECKING:
    from http.client import HTTPConnection

_MOST = 4  # as many threads as may ask at once


@dataclass(frozen=True, slots=True)
class Response:
    """What came, whole."""

    status: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    origin: tuple[str, str]
    access: Access
    connection: HTTPConnection


class KeptConnections:
    """Sends requests without a body, one at a time on each connection."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._idle: list[_Kept] = []  # the most recently used last

    def request(self, method: str, url: SplitResult, timeout_s: float, access: Access) -> Response:
        """Return the answer; raise what the connection raises.

        ``timeout_s`` bounds connecting and each wait for bytes. Nothing is followed elsewhere.
        """
        origin = (url.scheme, url.netloc)
        kept = self._take(origin, access)
        if kept is not None:
            try:
                return self._send(kept, method, url, timeout_s)
            except (ConnectionError, ssl.SSLError):
                pass  # closed by the server while it was idle
        return self._send(
            _Kept(origin, access, connect(url, timeout_s, access)), method, url, timeout_s
        )

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for kept in idle:
            kept.connection.close()

    def _send(self, kept: _Kept, method: str, url: SplitResult, timeout_s: float) -> Response:
        connection = kept.connection
        try:
            connection.sock.settimeout(timeout_s)
            host, target = host_and_target(url)
            connection.putrequest(method, target, skip_host=True)
            connection.putheader("Host", host)
            for name, value in fields(url, kept.access):
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            answer = Response(response.status, response.read())
        except BaseException:
            connection.close()
            raise
        self._keep(kept)
        return answer

    def _take(self, origin: tuple[str, str], access: Access) -> _Kept | None:
        """Return the one most recently used that leads there in this way."""
        with self._lock:
            for kept in reversed(self._idle):
                if kept.origin == origin and kept.access == access:
                    self._idle.remove(kept)
                    return kept
        return None

    def _keep(self, kept: _Kept) -> None:
        """Keep it for the next request, unless the server has said that it closes it."""
        if kept.connection.sock is None:
            return
        with self._lock:
            self._idle.append(kept)
            surplus = self._idle.pop(0) if len(self._idle) > _MOST else None
        if surplus is not None:
            surplus.connection.close()
