"""Send requests to the receiver of one endpoint, on connections that are kept open.

Guarantee: a request is sent once, and again only if the receiver redirects it. It ends within the
endpoint's time limit, or when it is aborted. Credentials are sent only to the endpoint's own host.

Limitations: this module does not decide whether a request may be sent, and never retries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

from gevent.ssl import SSLContext
from urllib3.response import BaseHTTPResponse

from wrapper.access.http_client import Connection, target_of
from wrapper.access.http_config import HttpConfig
from wrapper.access.prometheus_access import Access, read_access
from wrapper.access.proxy_environment import BadProxy, HttpProxy
from wrapper.access.reloading_file import Reading, ReloadingFile
from wrapper.access.remote_write_client import RemoteWriteClient
from wrapper.access.request_errors import ServerDescription, explain
from wrapper.base import clock
from wrapper.documents.problems import ConfigurationError
from wrapper.gate.in_flight import Aborted, InFlight, TookTooLong
from wrapper.gate.reply import Fields, Reply
from wrapper.model.gate import Endpoint

LARGEST_ANSWER = 64 << 10  # bytes of a body that are returned; Prometheus logs 1 KiB
MOST_REDIRECTS = 10  # as in Go's client
KEPT_FOR_S = 55.0  # load balancers often close after 60 s
_REDIRECTS = (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
_AS_GET = (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER)
_CREDENTIALS = frozenset(("authorization", "cookie", "proxy-authorization"))
_TRUST = (
    "set ca_file, and server_name if the certificate has another name, in tls_config of this "
    "remote_write"
)


class NoAnswer(Exception):
    """The receiver gave no answer, so it is unknown whether it accepted the request.

    The text contains the reason, without secrets. ``status`` is what a proxy would answer: 502 or
    504.
    """

    def __init__(self, text: str, status: int = HTTPStatus.BAD_GATEWAY) -> None:
        super().__init__(text)
        self.status = status


class Receiver:
    """The connections to the receiver of one endpoint."""

    def __init__(self, endpoint: Endpoint, in_flight: InFlight) -> None:
        """Take the endpoint: where the receiver is, and how to connect to it."""
        self._endpoint = endpoint
        self._client = RemoteWriteClient.of(endpoint.client)
        self._access = _Tls(endpoint.name, self._client)
        self._in_flight = in_flight
        self._url = urlsplit(endpoint.url)
        self._idle = IdleConnections()

    def send(self, body: bytes, fields: Fields) -> Reply:
        """Send one request, and return the answer; raise ``NoAnswer``."""
        limit_s = self._endpoint.timeout_s
        asked = _Hop(self._url, None)
        try:
            with self._in_flight.limited(limit_s):
                return self._followed(asked, body, fields, limit_s)
        except Aborted:
            why = "aborted, because this replica may no longer write"
            raise NoAnswer(f"{_shown(asked.url)}: {why}") from None
        except TookTooLong:
            raise _no_answer(TimeoutError(), asked, limit_s) from None
        except NoAnswer:  # raised from itself, it would be a cycle that keeps the body
            raise
        except Exception as error:  # any error means that Prometheus must retry
            raise _no_answer(error, asked, limit_s) from error

    def tidy(self, now: float) -> None:
        """Close connections that have been idle for more than ``KEPT_FOR_S``.

        The caller calls this regularly.
        """
        self._idle.close_before(now - KEPT_FOR_S)

    def close(self) -> None:
        """Close all idle connections."""
        self._idle.close_before(float("inf"))

    def _followed(self, hop: _Hop, body: bytes, fields: Fields, limit_s: float) -> Reply:
        """Send a request, follow redirects, and return the final answer."""
        for _ in range(1 + MOST_REDIRECTS):
            answer = self._asked(hop, body, fields, limit_s)
            place = answer.field("location")
            is_redirect = answer.status in (*_REDIRECTS, *_AS_GET)
            if not is_redirect or not self._client.follow_redirects or not place:
                return answer
            to = urlsplit(urljoin(hop.url.geturl(), place))
            if answer.status in _AS_GET:
                raise NoAnswer(_would_lose_the_samples(hop.url, answer.status, to))
            if to.scheme not in ("http", "https") or not to.hostname:
                raise NoAnswer(f"{_shown(hop.url)} redirects to an address that is not an HTTP URL")
            if not _is_same_host(self._url, to):
                fields = tuple(each for each in fields if each[0].lower() not in _CREDENTIALS)
            elif self._url.username is not None and to.username is None:
                to = to._replace(netloc=f"{self._url.netloc.rpartition('@')[0]}@{to.netloc}")
            hop.url = to
        raise NoAnswer(f"{_shown(self._url)} redirects more than {MOST_REDIRECTS} times")

    def _asked(self, hop: _Hop, body: bytes, fields: Fields, limit_s: float) -> Reply:
        """Return the answer of one server; keep the connection open if it is still usable."""
        connection = self._connection_to(hop)
        try:
            response = connection.ask("POST", target_of(hop.url), limit_s, fields, body)
            content = _content_of(response)
        except BaseException:
            connection.end()
            raise
        if response.status < HTTPStatus.OK:  # Prometheus would wait for the final answer
            connection.end()
            raise NoAnswer(f"{_shown(hop.url)} sent no final answer, only status {response.status}")
        if content is None or len(content) > LARGEST_ANSWER or not _stays_open(response):
            connection.end()
        else:
            self._idle.add(connection)
        beginning = (content or b"")[:LARGEST_ANSWER]
        return Reply(response.status, tuple(response.headers.items()), beginning)

    def _connection_to(self, hop: _Hop) -> Connection:
        access = self._access.current()
        if idle := self._idle.take(hop.url, access):
            return idle
        if (proxy := self._client.proxy(hop.url, os.environ)) is not None:
            hop.proxy = replace(proxy, connect_fields=self._client.connect_fields)
        return Connection(hop.url, access, hop.proxy, is_reset_at_end=True)


class _Tls:
    """The TLS settings of an endpoint; its files are read again when they change."""

    def __init__(self, name: str, client: RemoteWriteClient) -> None:
        self._name = name
        self._config = HttpConfig(tls=client.tls)
        self._file: ReloadingFile[Access] | None = None

    def current(self) -> Access:
        """Return the settings; raise ``ConfigurationError`` if the files have never been valid."""
        if self._file is None:
            name = f"tls_config of remote_write {self._name}"
            self._file = ReloadingFile(name, self._read)
        return self._file.current()

    def _read(self, reading: Reading) -> Access:
        return read_access(self._config, reading, SSLContext)


@dataclass(slots=True)
class _Hop:
    """The server that a request is being sent to: the receiver, or the target of a redirect."""

    url: SplitResult
    proxy: HttpProxy | None


class IdleConnections:
    """Idle connections; the most recently used one is reused first."""

    def __init__(self) -> None:
        """Start with none."""
        self._idle: list[tuple[float, Connection]] = []  # with the time of last use, oldest first

    def add(self, connection: Connection) -> None:
        """Keep a connection whose last answer has been read completely."""
        self._idle.append((clock.now(), connection))

    def take(self, url: SplitResult, access: Access) -> Connection | None:
        """Return an idle connection to this URL's server with this access, or None."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index][1].is_like(url, access):
                return self._idle.pop(index)[1]
        return None

    def close_before(self, at: float) -> None:
        """Close the connections that were last used before ``at``."""
        while self._idle and self._idle[0][0] < at:
            self._idle.pop(0)[1].end()


def _content_of(response: BaseHTTPResponse) -> bytes | None:
    """Return the beginning of an answer's body; None if it ends early, or takes too long.

    The status says what became of the samples. Prometheus reads the body only for its log. To it,
    an error here would mean that the samples must be sent again.
    """
    try:
        return response.read(LARGEST_ANSWER + 1, decode_content=False)
    except (Exception, TookTooLong):
        if response.status in (*_REDIRECTS, *_AS_GET):
            raise  # to follow it would take longer than the limit
        return None


def _stays_open(response: BaseHTTPResponse) -> bool:
    return response.headers.get("connection", "").lower() != "close"


def _is_same_host(one: SplitResult, other: SplitResult) -> bool:
    """Return whether credentials for one URL may be sent to the other; not from https to http."""
    return one.hostname == other.hostname and (one.scheme, other.scheme) != ("https", "http")


def _shown(url: SplitResult) -> str:
    """Return a URL without the parts that may be secret."""
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _would_lose_the_samples(url: SplitResult, status: int, to: SplitResult) -> str:
    """Return why a redirect is not followed that Prometheus' client would follow with GET."""
    return (
        f"{_shown(url)} redirects to {_shown(to)} by {status}, which clients follow with GET, "
        "without the samples: write to the final URL, or let the server answer 307 or 308"
    )


def _no_answer(error: BaseException, hop: _Hop, limit_s: float) -> NoAnswer:
    if isinstance(error, (BadProxy, ConfigurationError)):
        return NoAnswer(f"{_shown(hop.url)}: {error}")
    server = ServerDescription(_shown(hop.url), "the receiver", _TRUST, hop.proxy)
    found = explain(error, server, limit_s)
    late = found.kind == "timeout"
    return NoAnswer(found.text, HTTPStatus.GATEWAY_TIMEOUT if late else HTTPStatus.BAD_GATEWAY)


def end_to_end_fields(fields: Iterable[tuple[str, str]]) -> Fields:
    """Return the fields of a request to forward to the receiver: all except hop-by-hop fields."""
    given = tuple(fields)
    named = {
        name.strip().lower()
        for field, value in given
        if field.lower() == "connection"
        for name in value.split(",")
    }
    left_out = _OF_ONE_HOP | named
    return tuple((name, value) for name, value in given if name.lower() not in left_out)


_OF_ONE_HOP = frozenset(
    (
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    )
)  # fmt: skip
