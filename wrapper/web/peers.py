"""Query the status of all peers, over their APIs and concurrently.

Guarantee: this takes at most twice ``LIMIT_S`` (once for names, once for answers), whatever the
peers do, and at most ``MOST`` peers are queried. Answers are untrusted: their form and size are
checked here, and the page escapes them.

Limitations: a replica without a DNS name is not found. A replica that cannot be reached may still
be alive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import UnionType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gevent
from gevent.lock import BoundedSemaphore
from gevent.ssl import SSLContext

from wrapper.access.http_config import ClientTls, HttpConfig
from wrapper.access.prometheus_access import Access
from wrapper.access.request_errors import ServerDescription, explain
from wrapper.base import clock
from wrapper.election.step_down_rules import STATUS_FORM
from wrapper.proxy.resolver import Resolver

LIMIT_S = 1.0
MOST = 20
LARGEST = 256 << 10  # bytes of an answer
DEEPEST = 20  # levels of an answer: our own JSON encoder recurses
LONGEST = 1000  # characters of a text in an answer that is shown
FRESH_S = 0.5  # answers are reused for this time
PATH = "/_elector/status"
Some = TypeVar("Some")
_TRUST = "SSL_CERT_FILE names the CAs that are trusted here"


class PeerUnusable(Exception):
    """A peer cannot be queried, or its answer is not a status; the text says why."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """The URL of a replica's API, and the name that its certificate must have."""

    url: str
    name: str

    @property
    def is_tls(self) -> bool:
        """Whether the connection uses TLS."""
        return self.url.startswith("https:")

    def __str__(self) -> str:
        """Return the URL."""
        return self.url


@dataclass(frozen=True, slots=True)
class Peer:
    """A replica's status, or the problem why there is none.

    ``place`` is the address of its API; None if no address was found.
    """

    url: str
    status: dict[str, Any] | None
    problem: str = ""
    place: PeerAddress | None = None


class Peers:
    """Queries all replicas; ``entries`` are URLs, and DNS names that resolve to replicas."""

    def __init__(self, entries: tuple[str, ...], port: int, *, is_tls: bool) -> None:
        """Store the entries; ``port`` and ``is_tls`` are those of this replica's own API."""
        self._entries = entries
        self._port = port
        self._is_tls = is_tls
        self._resolver = Resolver(len(entries))
        self._turn = BoundedSemaphore()
        self._answers: list[Peer] = []
        self._asked_for: tuple[str | None, str | None] | None = None
        self._asked_at = float("-inf")

    def ask(self, identity: str, authorization: str | None, leader: str | None) -> list[Peer]:
        """Return the answers of all but ``identity``; ``authorization`` is sent to the peers.

        Answers from before ``leader`` led are not reused.
        """
        asked_for = authorization, leader
        with self._turn:
            is_fresh = clock.now() < self._asked_at + FRESH_S
            if not is_fresh or self._asked_for != asked_for:
                self._answers = self._ask_all(authorization)
                self._asked_for, self._asked_at = asked_for, clock.now()
        return [each for each in self._answers if not _is_of(each, identity)]

    def _ask_all(self, authorization: str | None) -> list[Peer]:
        """Look up the names, then query the addresses; each step is limited by LIMIT_S."""
        found = _all_at_once(self._places, self._entries)
        places: list[PeerAddress] = []
        unknown: list[Peer] = []
        for entry, outcome in zip(self._entries, found, strict=True):
            if isinstance(outcome, str):
                unknown.append(Peer(entry, None, outcome))
            else:
                places += outcome
        places = list(dict.fromkeys(places))[:MOST]
        outcomes = _all_at_once(lambda place: self._ask(place, authorization), places)
        answers = [
            Peer(place.url, None, got, place)
            if isinstance(got, str)
            else Peer(place.url, got, place=place)
            for place, got in zip(places, outcomes, strict=True)
        ]
        return [*answers, *unknown]

    def _ask(self, place: PeerAddress, authorization: str | None) -> dict[str, Any]:
        """Query one peer; credentials that came over TLS are sent only over TLS."""
        is_as_safe = place.is_tls or not self._is_tls
        return _status_at(place, authorization if is_as_safe else None)

    def _places(self, entry: str) -> list[PeerAddress]:
        """Return the addresses of an entry's replicas."""
        if "://" in entry:
            return [PeerAddress(entry, urlsplit(entry).hostname or "")]
        name, _, given = entry.partition(":")
        port = int(given or self._port)
        try:
            addresses = sorted(self._resolver.addresses(name, port))
        except UnicodeError as error:
            raise PeerUnusable("not a valid DNS name") from error
        scheme = "https" if self._is_tls else "http"
        return [PeerAddress(f"{scheme}://{_bracketed(each)}:{port}", name) for each in addresses]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_of(peer: Peer, identity: str) -> bool:
    return peer.status is not None and peer.status["identity"] == identity


def _all_at_once(ask: Callable[[Some], Any], whom: Sequence[Some]) -> list[Any]:
    """Call ``ask`` for each concurrently; return the results, or a text for each failure."""
    greenlets = [gevent.spawn(_bounded, ask, each) for each in whom]
    gevent.joinall(greenlets)
    return [each.value for each in greenlets]


def _bounded(ask: Callable[[Some], Any], each: Some) -> Any:
    server = ServerDescription(str(each), "prometheus-elector", _TRUST)
    try:
        with gevent.Timeout(LIMIT_S):
            return ask(each)
    except gevent.Timeout:
        return explain(TimeoutError(), server, LIMIT_S).text
    except PeerUnusable as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one peer's error must not affect the others
        return explain(error, server, LIMIT_S).text


class PeerConnection:
    """A connection to a replica's API, for one query at a time."""

    def __init__(self, place: PeerAddress) -> None:
        """Store the address; the first query opens the connection."""
        from wrapper.access.http_client import Connection  # noqa: PLC0415 - 2 MiB, if needed

        access = Access(HttpConfig(tls=ClientTls(server_name=place.name)), kind=SSLContext)
        self._inner = Connection(urlsplit(place.url), access)

    def status(self, authorization: str | None = None) -> dict[str, Any]:
        """Return its status; raise PeerUnusable, or what the HTTP client raises."""
        fields = [] if authorization is None else [("Authorization", authorization)]
        answer = self._inner.ask("GET", PATH, LIMIT_S, fields)
        return _read(answer.status, answer.read(LARGEST + 1))

    def end(self) -> None:
        """Close the connection."""
        self._inner.end()


def _status_at(place: PeerAddress, authorization: str | None) -> dict[str, Any]:
    connection = PeerConnection(place)
    try:
        return connection.status(authorization)
    finally:
        connection.end()


def _read(code: int, body: bytes) -> dict[str, Any]:
    """Return the status in an answer; raise PeerUnusable if it is not a valid status."""
    if len(body) > LARGEST:
        raise PeerUnusable(f"its answer is larger than {LARGEST >> 10} KiB")
    try:
        status = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PeerUnusable(f"HTTP {code}, and no status") from error
    if not isinstance(status, dict):
        raise PeerUnusable(f"HTTP {code}, and no status")
    if code != HTTPStatus.OK:
        raise PeerUnusable(f"HTTP {code}: {str(status.get('error', ''))[:200]}")
    _check_values(status)
    wanted = STATUS_FORM.items()
    if not all(name in status and _is_in_form(status[name], kind) for name, kind in wanted):
        raise PeerUnusable(
            "its answer lacks fields of a status: it is another program, or another version"
        )
    return status


def _check_values(status: dict[str, Any]) -> None:
    """Raise PeerUnusable if the status cannot be passed on as JSON."""
    for level, value in _values(status):
        if level == DEEPEST and isinstance(value, dict | list):
            raise PeerUnusable("its answer is nested too deeply")
        if isinstance(value, float) and not math.isfinite(value):
            raise PeerUnusable("its answer has a number that JSON does not have")


def _values(value: object, level: int = 0) -> Iterator[tuple[int, object]]:
    """Yield all values in a JSON value, each with its level; none below DEEPEST."""
    yield level, value
    if isinstance(value, dict | list) and level < DEEPEST:
        for each in value.values() if isinstance(value, dict) else value:
            yield from _values(each, level + 1)


def _is_in_form(value: object, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and (not isinstance(value, str) or len(value) <= LONGEST)
