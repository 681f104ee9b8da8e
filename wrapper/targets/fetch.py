"""Fetches a feed over HTTP: returns a body with status 200, or raises the reason of the failure.

Redirects are not followed, because they may lead to a login page. Proxies are those of the
environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``, as Go reads them).

Guarantee: the body is decompressed, and rules are complete. The total time is limited, and so is
the size, both compressed and decompressed.

Limitation: a body of targets without a known length may be cut short. ``answer_check`` then refuses
it, since it is not valid JSON.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from urllib3.response import HTTPResponse

from wrapper.access.http_client import Connection, target_of
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.access.proxy_environment import BadProxy, proxy_for
from wrapper.access.request_errors import ServerDescription, explain, trust_by
from wrapper.model.fetched_file import Feed, FileKind
from wrapper.targets.answer_check import FeedError
from wrapper.targets.answer_errors import redirect_refused, status_refused

_OK, _NOT_MODIFIED = 200, 304
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
_TRUST = trust_by("--targets-http-config")
_REASONS = dict.fromkeys(("proxy", "dns", "refused", "connection"), "unreachable") | dict.fromkeys(
    ("broken", "unreadable"), "incomplete"
)
TOO_LARGE = "too_large"  # reason of a failure: the server's answer is too large


class FetchFailed(FeedError):
    """A fetch has failed."""


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of a conditional request (RFC 9110), as the server sent them."""

    etag: str = ""
    last_modified: str = ""

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield the header fields of a request for the body only if it has changed."""
        if self.etag:
            yield "If-None-Match", self.etag
        if self.last_modified:
            yield "If-Modified-Since", self.last_modified


NO_VALIDATORS = Validators()


def last_modified_if_safe(last_modified: str, date: str) -> str:
    """Return the time of the last change, "" if the content may change again without a new time.

    The time is in whole seconds: in the second of the answer, another change would not show (RFC
    9110, 8.8.2.2).
    """
    try:
        is_over = parsedate_to_datetime(last_modified) < parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):  # one is missing, or is no time
        return ""
    return last_modified if is_over else ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. ``body`` is None if it is unchanged since the server sent these validators."""

    body: bytes | None = field(repr=False)
    validators: Validators


class Fetcher:
    """Fetches feeds, each on a connection of its own."""

    def __init__(self, access: PrometheusAccess, limit_s: float, most_bytes: int) -> None:
        """Take the credentials, the time limit of a fetch in seconds, and the largest body."""
        self._access = access
        self._limit_s = limit_s
        self._most_bytes = most_bytes

    def fetch(self, feed: Feed, known: Validators = NO_VALIDATORS) -> Fetched:
        """Return the answer; raise FetchFailed."""
        url = urlsplit(feed.url)
        try:
            proxy = proxy_for(url, os.environ)
        except BadProxy as error:
            raise FetchFailed("unreachable", f"{feed.source}: {error}") from error
        connection = Connection(url, self._access.current(), proxy)
        try:
            return connection.within(self._limit_s, lambda: self._ask(connection, feed, known))
        except FetchFailed:
            raise
        except zlib.error as error:
            raise FetchFailed("encoding", "the answer's gzip is corrupt") from error
        except Exception as error:
            found = explain(
                error, ServerDescription(feed.source, "it", _TRUST, proxy), self._limit_s
            )
            raise FetchFailed(_REASONS.get(found.kind, found.kind), found.text) from error
        finally:
            connection.end()

    def _ask(self, connection: Connection, feed: Feed, known: Validators) -> Fetched:
        fields = [("Accept-Encoding", "gzip"), *known.fields()]
        response = connection.ask("GET", target_of(urlsplit(feed.url)), self._limit_s, fields)
        header = response.headers
        validators = Validators(
            header.get("ETag", ""),
            last_modified_if_safe(header.get("Last-Modified", ""), header.get("Date", "")),
        )
        if response.status == _NOT_MODIFIED and known != NO_VALIDATORS:
            return Fetched(None, known)
        _check_status(feed, response)
        return Fetched(self._body(feed, response), validators)

    def _body(self, feed: Feed, response: HTTPResponse) -> bytes:
        """Return the body, decompressed; raise FetchFailed if it is incomplete, or rules may be."""
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in {"gzip", "x-gzip", "identity", ""}:
            text = f"the answer has Content-Encoding {coding}, but only gzip was offered"
            raise FetchFailed("encoding", text)
        is_packed = "gzip" in coding
        is_bounded = is_packed or response.chunked or response.length_remaining is not None
        if feed.kind is FileKind.RULES and not is_bounded:
            text = "no Content-Length: rules that are cut short could not be detected"
            raise FetchFailed("incomplete", text)
        pieces = self._pieces(response)
        return b"".join(self._unpacked(pieces) if is_packed else pieces)

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        """Yield the body as it arrives; raise FetchFailed if it exceeds the largest size."""
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
                raise FetchFailed("encoding", "there is data after the end of the answer's gzip")
        if not unpacker.eof:
            raise FetchFailed("incomplete", "the answer's gzip ends too early")

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            text = f"more than {self._most_bytes} bytes, the limit of --targets-max-size"
            raise FetchFailed(TOO_LARGE, text)


def _check_status(feed: Feed, response: HTTPResponse) -> None:
    if response.status in _REDIRECTS:
        location = response.headers.get("Location", "")
        raise FetchFailed("redirect", redirect_refused(feed.url, location))
    if response.status != _OK:
        text = status_refused(feed.url, response.status, response.reason or "")
        raise FetchFailed("status", text)
