"""Fetching a feed over HTTP: the whole of a good answer, or the reason why there is none.

The guarantee: within the limits of time and size the body is whole and unpacked, and its status was
200; nothing else is handed out, and no redirect followed, since where a login page sends one is no
answer. Time is bounded in all, size on the way and unpacked. Proxies are those of the environment
(``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``, as Go reads them). Where it ends: what the body
means.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from urllib3.response import HTTPResponse

from wrapper.access.http_client import Connection, target_of
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.proxies import BadProxy, proxy_for
from wrapper.access.request_errors import AskedServer, trouble, trust_by
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets.answer_errors import redirect_refused, status_refused

_OK, _NOT_MODIFIED = 200, 304
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
_TRUST = trust_by("--targets-http-config")
_REASONS = dict.fromkeys(("proxy", "dns", "refused", "connection"), "unreachable") | dict.fromkeys(
    ("broken", "unreadable"), "incomplete"
)
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
        url = urlsplit(feed.url)
        try:
            proxy = proxy_for(url)
        except BadProxy as error:
            raise FetchFailed("unreachable", f"{feed.source}: {error}") from error
        connection = Connection(url, self._access.current(), proxy)
        try:
            return connection.within(self._limit_s, lambda: self._ask(connection, feed, known))
        except FetchFailed:
            raise
        except zlib.error as error:
            text = "an answer whose gzip cannot be unpacked"
            raise FetchFailed("encoding", text) from error
        except Exception as error:
            found = trouble(error, AskedServer(feed.source, "it", _TRUST, proxy), self._limit_s)
            raise FetchFailed(_REASONS.get(found.kind, found.kind), found.text) from error
        finally:
            connection.end()

    def _ask(self, connection: Connection, feed: Feed, known: Validators) -> Fetched:
        fields = [("Accept-Encoding", "gzip"), *known.fields()]
        response = connection.ask("GET", target_of(urlsplit(feed.url)), self._limit_s, fields)
        header = response.headers
        validators = Validators(header.get("ETag", ""), header.get("Last-Modified", ""))
        if response.status == _NOT_MODIFIED and known != NO_VALIDATORS:
            return Fetched(None, known)
        _check_status(feed, response)
        return Fetched(self._body(feed, response), validators)

    def _body(self, feed: Feed, response: HTTPResponse) -> bytes:
        """Return the body, whole and unpacked."""
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in {"gzip", "x-gzip", "identity", ""}:
            raise FetchFailed("encoding", f"an answer in the encoding {coding}: none was asked for")
        is_packed = "gzip" in coding
        is_bounded = is_packed or response.chunked or response.length_remaining is not None
        if feed.kind is FileKind.RULES and not is_bounded:
            text = "no Content-Length: half of these rules could not be told from the whole"
            raise FetchFailed("incomplete", text)
        pieces = self._pieces(response)
        return b"".join(self._unpacked(pieces) if is_packed else pieces)

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """Yield what comes, as much as may."""
        size = 0
        while piece := response.read(_PIECE, decode_content=False):
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


def _check_status(feed: Feed, response: HTTPResponse) -> None:
    if response.status in _REDIRECTS:
        location = response.headers.get("Location", "")
        raise FetchFailed("redirect", redirect_refused(feed.url, location))
    if response.status != _OK:
        text = status_refused(feed.url, response.status, response.reason or "")
        raise FetchFailed("status", text)
