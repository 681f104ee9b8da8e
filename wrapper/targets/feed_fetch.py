"""Fetching a feed over HTTP: the whole of a good answer, or the reason why there is none.

The guarantee: within the limits of time and size the body is whole and unpacked, and its status was
200; nothing else is handed out, and no redirect followed, since where a login page sends one is no
answer. Time is bounded in all, size on the way and unpacked. Proxies are those of the environment
(``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``, as Go reads them). Where it ends: what the body
means.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

from wrapper import __version__
from wrapper.access.http_connection import (
    connect,
    fields,
    host_and_target,
    tls_in_short,
)
from wrapper.access.prometheus_access import Access, PrometheusAccess
from wrapper.access.proxies import BadProxy, Proxy, by_way_of, proxy_for, trouble
from wrapper.bounded import bounded
from wrapper.targets.feed import Feed, Kind
from wrapper.targets.feed_refused import redirect_refused, status_refused

_OK, _NOT_MODIFIED = 200, 304
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
_FLAG = "--targets-http-config"
TOO_LARGE = "too_large"  # why it failed: the server has answered, only not so that it fits


class FetchFailed(Exception):
    """No good answer came; ``reason`` is one short word for metrics."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of an answer from another, as the server has said it."""

    etag: str = ""
    last_modified: str = ""

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that ask for an answer only where it differs."""
        if self.etag:
            yield "If-None-Match", self.etag
        if self.last_modified:
            yield "If-Modified-Since", self.last_modified


NO_VALIDATORS = Validators()


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer; ``body`` None: as it was when the server said these validators."""

    body: bytes | None = field(repr=False)
    validators: Validators


class Fetcher:
    """Fetches feeds, each on a connection of its own."""

    def __init__(self, access: PrometheusAccess, limit_s: float, most_bytes: int) -> None:
        """Take how to ask, how long one fetch may take in all, and the largest body."""
        self._access = access
        self._limit_s = limit_s
        self._most_bytes = most_bytes

    def fetch(self, feed: Feed, known: Validators = NO_VALIDATORS) -> Fetched:
        """Return the answer; raise FetchFailed."""
        try:
            proxy = proxy_for(urlsplit(feed.url))
        except BadProxy as error:
            raise FetchFailed("unreachable", f"{feed.source}: {error}") from error
        exchange = _Exchange(feed, known, self._most_bytes, self._limit_s, proxy)
        try:
            return bounded(lambda: exchange.run(self._access.current()), self._limit_s)
        except FetchFailed:
            raise
        except Exception as error:
            raise _failure(error, feed, self._limit_s, proxy) from error
        finally:
            exchange.end()


class _Exchange:
    """One request and its answer; ``end`` may come while it still runs, and ends it."""

    def __init__(
        self,
        feed: Feed,
        known: Validators,
        most_bytes: int,
        limit_s: float,
        proxy: Proxy | None,
    ) -> None:
        self._feed = feed
        self._url = urlsplit(feed.url)
        self._known = known
        self._most_bytes = most_bytes
        self._limit_s = limit_s
        self._proxy = proxy
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._response: HTTPResponse | None = None

    def run(self, access: Access) -> Fetched:
        """Ask, and read the answer."""
        connection = self._connection = connect(self._url, self._limit_s, access, self._proxy)
        self._socket = connection.sock
        self._send(connection, access, self._proxy)
        response = self._response = connection.getresponse()
        validators = Validators(
            response.getheader("ETag", ""), response.getheader("Last-Modified", "")
        )
        if response.status == _NOT_MODIFIED and self._known != NO_VALIDATORS:
            return Fetched(None, self._known)
        self._check_status(response)
        return Fetched(self._body(response), validators)

    def end(self) -> None:
        """Close the connection, also under the hands of who waits on it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()

    def _send(self, connection: HTTPConnection, access: Access, proxy: Proxy | None) -> None:
        url, is_forwarded = self._url, proxy is not None and self._url.scheme == "http"
        host, target = host_and_target(url)
        connection.putrequest(
            "GET",
            f"http://{host}{target}" if is_forwarded else target,
            skip_host=True,
            skip_accept_encoding=True,
        )
        sent = [
            ("Host", host),
            ("User-Agent", f"prometheus-elector/{__version__}"),
            ("Accept-Encoding", "gzip"),
            *fields(url, access),
            *(proxy.fields.items() if proxy is not None and is_forwarded else ()),
            *self._known.fields(),
        ]
        for name, value in sent:
            connection.putheader(name, value)
        connection.endheaders()

    def _check_status(self, response: HTTPResponse) -> None:
        if response.status in _REDIRECTS:
            location = response.getheader("Location", "")
            raise FetchFailed("redirect", redirect_refused(self._feed.url, location))
        if response.status != _OK:
            text = status_refused(self._feed.url, response.status, response.reason)
            raise FetchFailed("status", text)

    def _body(self, response: HTTPResponse) -> bytes:
        """Return the body, whole and unpacked."""
        coding = response.getheader("Content-Encoding", "identity").strip().lower()
        if coding not in {"gzip", "x-gzip", "identity", ""}:
            raise FetchFailed("encoding", f"an answer in the encoding {coding}: none was asked for")
        is_packed = "gzip" in coding
        is_bounded = is_packed or response.chunked or response.length is not None
        if self._feed.kind is Kind.RULES and not is_bounded:
            text = "no Content-Length: half of these rules could not be told from the whole"
            raise FetchFailed("incomplete", text)
        pieces = self._pieces(response)
        body = b"".join(self._unpacked(pieces) if is_packed else pieces)
        if response.length:
            raise FetchFailed("incomplete", f"{response.length} bytes of the answer are missing")
        return body

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """Yield what comes, as much as may."""
        size = 0
        while piece := response.read(_PIECE):
            size += len(piece)
            self._check_size(size)
            yield piece

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        unpacker, size = zlib.decompressobj(_GZIP), 0
        for piece in pieces:
            packed = piece
            while packed and not unpacker.eof:
                unpacked = unpacker.decompress(packed, _PIECE)
                packed = unpacker.unconsumed_tail
                size += len(unpacked)
                self._check_size(size)
                yield unpacked
            if packed or unpacker.unused_data:
                raise FetchFailed("encoding", "the answer's gzip goes on after its end")
        if not unpacker.eof:
            raise FetchFailed("incomplete", "the answer's gzip ends too early")

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            text = f"more than {self._most_bytes} bytes; --targets-max-size sets that limit"
            raise FetchFailed(TOO_LARGE, text)


def _failure(error: Exception, feed: Feed, limit_s: float, proxy: Proxy | None) -> FetchFailed:
    """Say in a few words why no answer came."""
    source = by_way_of(feed.source, proxy)
    of_proxy = trouble([error], proxy, feed.source) if proxy is not None else ""
    if of_proxy:
        return FetchFailed("unreachable", f"{feed.source}: {of_proxy}")
    if isinstance(error, TimeoutError):
        return FetchFailed("timeout", f"no whole answer from {source} within {limit_s:g} s")
    if isinstance(error, ssl.SSLError):
        return FetchFailed("tls", tls_in_short(error, source, _FLAG))
    if isinstance(error, zlib.error):
        return FetchFailed("encoding", "an answer whose gzip cannot be unpacked")
    if isinstance(error, HTTPException | ConnectionResetError):
        return FetchFailed("incomplete", f"{source}: the answer broke off ({type(error).__name__})")
    if isinstance(error, socket.gaierror):
        return FetchFailed("unreachable", f"{source}: its host's address is not known")
    if isinstance(error, OSError):
        return FetchFailed("unreachable", f"{source}: {error.strerror or error}")
    return FetchFailed("error", f"{source}: it cannot be asked ({type(error).__name__})")
