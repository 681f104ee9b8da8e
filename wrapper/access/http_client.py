"""The HTTP client for Prometheus, the API server and targets: connections by urllib3.

A connection is made from a URL, an ``Access`` (TLS, credentials) and an ``HttpProxy``.

Guarantees:

- A request is sent once, on a connection that the server has not closed.
- Redirects are not followed.
- ``end`` interrupts a thread that waits on the connection.

Limitation: ``timeout_s`` limits each wait for bytes. Only ``within`` limits the whole request.

Import this module after Prometheus has been started: the import of urllib3 takes about 20 ms.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import SplitResult

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.response import HTTPResponse
from urllib3.util.ssltransport import SSLTransport

from wrapper import __version__
from wrapper.access.prometheus_access import Access
from wrapper.access.proxy_environment import DEFAULT_PORTS, HttpProxy, basic
from wrapper.base.with_timeout import with_timeout

USER_AGENT = f"prometheus-elector/{__version__}"
_NO_EXCEPTIONS = (False, None, None)  # a proxy's certificate is verified like a server's
_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
_MOST_INTERIM = 5  # interim answers before one answer; servers send one or two
_MOST_KEPT = 4  # as many as threads that use them at the same time
T = TypeVar("T")


def target_of(url: SplitResult) -> str:
    """Return the request target of a URL: path and query."""
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


class Connection:
    """A connection to one server, for one request at a time. It connects at the first request.

    If the server has closed it, the next request connects again. ``end`` is thread-safe.
    """

    _inner: HTTPConnection | None = None
    _socket: socket.socket | None = None
    _response: HTTPResponse | None = None

    def __init__(
        self,
        url: SplitResult,
        access: Access,
        proxy: HttpProxy | None = None,
        *,
        is_reset_at_end: bool = False,
    ) -> None:
        """Take the server's URL, the access to it, and the proxy if there is one.

        With ``is_reset_at_end``, the kernel resets the connection when it ends for any reason, even
        because this process dies. The kernel then discards data that it has not sent yet.
        """
        self._url = url
        self.access = access
        self._proxy = proxy
        self._options = [*HTTPConnection.default_socket_options, *([_RESET] * is_reset_at_end)]
        self.wait_limit_s = 0.0  # the limit of each wait for bytes
        self.is_ended = False

    def ask(
        self,
        method: str,
        target: str,
        timeout_s: float,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> HTTPResponse:
        """Send a request and return the response, with its body not read yet.

        Raises the errors of socket, TLS and urllib3.
        """
        self.wait_limit_s = timeout_s
        inner = self._connected()
        header = self._header(fields)
        target = f"http://{header['Host']}{target}" if self._is_forwarded else target
        inner.request(method, target, body, header, preload_content=False)
        self._response = inner.getresponse()
        return self._response

    def within(self, limit_s: float, use: Callable[[], T]) -> T:
        """Return what ``use`` returns; end the connection if it raises or takes longer."""
        try:
            return with_timeout(use, limit_s)
        except BaseException:
            self.end()
            raise

    def set_read_timeout(self, limit_s: float) -> None:
        """Set the limit of each further wait for bytes."""
        self.wait_limit_s = limit_s
        if self._socket is not None:
            self._socket.settimeout(limit_s)

    def is_like(self, url: SplitResult, access: Access) -> bool:
        """Return whether it is a connection to this URL's server with this access."""
        is_there = (url.scheme, url.netloc) == (self._url.scheme, self._url.netloc)
        return is_there and access == self.access

    def end(self) -> None:
        """Close it permanently. A thread that waits on it gets an error."""
        self.is_ended = True
        for each in (self._socket, _socket_of(self._inner)):  # the second one while it connects
            if each is not None:
                # Not SSLSocket.shutdown: it drops the TLS state that the other thread reads with.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._close()

    def __del__(self) -> None:
        """Close it, if ``end`` was not called."""
        self._close()

    def _close(self) -> None:
        for each in (self._response, self._inner):
            if each is not None:
                # Another thread closes them too if it reads to the end at this moment. Neither
                # http.client nor urllib3 expects that: "I/O operation on closed file", or None.
                with contextlib.suppress(ValueError, AttributeError):
                    each.close()

    @property
    def _is_forwarded(self) -> bool:
        """Whether a proxy forwards the request, instead of opening a tunnel."""
        return self._proxy is not None and self._url.scheme == "http"

    def _header(self, fields: Iterable[tuple[str, str]]) -> HTTPHeaderDict:
        """Return the header fields; credentials in the URL take precedence over all others."""
        url = self._url
        header = HTTPHeaderDict(fields, Host=url.netloc.rpartition("@")[2])
        header.setdefault("User-Agent", USER_AGENT)
        for name, value in self.access.fields:
            header.add(name, value)
        if url.username is not None:
            header["Authorization"] = basic(url)
        if self._proxy is not None and self._is_forwarded:
            header.extend(self._proxy.fields)
        return header

    def _connected(self) -> HTTPConnection:
        inner = self._inner
        if inner is None or not inner.is_connected:
            self._close()
            inner = self._inner = self._made()
            inner.response_class = _FinalResponse
            inner.connect()
            self._socket = _socket_of(inner)
        if self.is_ended:
            self._close()
            raise TimeoutError  # the caller waits no longer: send nothing
        inner.timeout = self.wait_limit_s
        return inner

    def _made(self) -> HTTPConnection:
        """Return a new connection to the server, or to its proxy."""
        url, proxy = self._url, self._proxy
        host, port = url.hostname or "", url.port or DEFAULT_PORTS[url.scheme]
        to_host, to_port = (host, port) if proxy is None else (proxy.url.hostname or "", proxy.port)
        if "https" not in {url.scheme, proxy and proxy.url.scheme}:
            return HTTPConnection(
                to_host, to_port, timeout=self.wait_limit_s, socket_options=self._options
            )
        inner = HTTPSConnection(
            to_host,
            to_port,
            timeout=self.wait_limit_s,
            socket_options=self._options,
            ssl_context=self.access.tls,
            server_hostname=None if self._is_forwarded else self.access.server_name(host),
            proxy_config=ProxyConfig(self.access.tls, *_NO_EXCEPTIONS),
        )
        if proxy is not None and not self._is_forwarded:
            fields = HTTPHeaderDict(proxy.connect_fields)
            fields.update(proxy.fields)
            inner.set_tunnel(host, port, fields, proxy.url.scheme)
        return inner


class _FinalResponse(http.client.HTTPResponse):
    """The first answer that is no interim answer (RFC 9110, 15.2). http.client skips only 100.

    After ``_MOST_INTERIM`` interim answers, the next answer is taken as final.
    """

    def begin(self) -> None:
        super().begin()
        for _ in range(_MOST_INTERIM):
            if self.status >= HTTPStatus.OK or self.status == HTTPStatus.SWITCHING_PROTOCOLS:
                return
            self.headers = None  # type: ignore[assignment]  # so that begin() reads again
            super().begin()


def _socket_of(inner: HTTPConnection | None) -> socket.socket | None:
    """Return the plain socket, also of TLS inside TLS; None if not connected."""
    sock = None if inner is None else inner.sock
    # By its type: during the handshake of a gevent socket, any attribute raises OSError.
    return sock.socket if isinstance(sock, SSLTransport) else sock


class AnswerTooLarge(HTTPException):
    """An answer has more bytes than the limit."""


class KeptConnections:
    """Connections to Prometheus that are kept open and reused.

    Prometheus accepts 512 connections at once (``--web.max-connections``), and lets further ones
    wait. So health checks and fencing use connections that are already open.

    Limitation: Prometheus closes a connection that is idle for 5 minutes. The health check keeps
    one in use.
    """

    def __init__(self) -> None:
        """Start without connections."""
        self._lock = threading.Lock()
        self._idle: list[Connection] = []  # the most recently used one is the last

    def request(
        self, method: str, url: SplitResult, limit_s: float, access: Access, most_bytes: int
    ) -> tuple[int, bytes]:
        """Send a request; return the status and body of the answer.

        Raises AnswerTooLarge, and the errors of socket, TLS and urllib3.
        """
        connection = self._take(url, access)

        def exchange() -> tuple[int, bytes]:
            response = connection.ask(method, target_of(url), limit_s)
            body = response.read(most_bytes + 1)
            if len(body) > most_bytes:
                raise AnswerTooLarge
            return response.status, body

        answer = connection.within(limit_s, exchange)
        with self._lock:
            self._idle.append(connection)
        self._end_all_but(_MOST_KEPT)
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        self._end_all_but(0)

    def _take(self, url: SplitResult, access: Access) -> Connection:
        """Return the connection to this server with this access used last, or a new one."""
        with self._lock:
            for kept in reversed(self._idle):
                if kept.is_like(url, access):
                    self._idle.remove(kept)
                    return kept
        return Connection(url, access)

    def _end_all_but(self, most: int) -> None:
        with self._lock:
            surplus = self._idle[: max(len(self._idle) - most, 0)]
            del self._idle[: len(surplus)]
        for each in surplus:
            each.end()
