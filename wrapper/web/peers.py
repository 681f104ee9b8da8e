"""The other replicas, and what they say of themselves: asked over their APIs, all at once.

The guarantee: nobody waits for longer than twice ``LIMIT_S`` (for names, then for answers), however
many there are and whatever they do, and no more than ``MOST`` are asked. What they answer is
untrusted: it is checked for its form, bounded, and escaped by whoever shows it. Where it ends:
replicas that DNS does not name are not known, and one that cannot be reached is said to be so, not
to be dead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import UnionType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gevent
from gevent.lock import BoundedSemaphore

from wrapper.access.http_config import ClientTls, HttpConfig
from wrapper.access.prometheus_access import Access
from wrapper.access.request_errors import AskedServer, trouble
from wrapper.base import clock
from wrapper.election.step_down_rules import STATUS_FORM
from wrapper.proxy.resolver import Names

LIMIT_S = 1.0
MOST = 20
LARGEST = 256 << 10  # bytes of an answer
LONGEST = 1000  # characters of a text in it that is shown
FRESH_S = 0.5  # an answer is passed on to all who ask in this time
PATH = "/_elector/status"
Some = TypeVar("Some")
_TRUST = "SSL_CERT_FILE names the CAs that are trusted here"


class PeerUnusable(Exception):
    """A peer cannot be asked, or its answer is none; the text says why."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a replica answers, and the name that its certificate has to be for."""

    url: str
    name: str

    @property
    def is_tls(self) -> bool:
        """Whether it is asked over TLS."""
        return self.url.startswith("https:")

    def __str__(self) -> str:
        """Return its URL."""
        return self.url


@dataclass(frozen=True, slots=True)
class Peer:
    """A replica's own word, or why there is none."""

    url: str
    status: dict[str, Any] | None
    problem: str = ""


class Peers:
    """Asks all replicas; ``entries`` are URLs, and names that stand for all their addresses."""

    def __init__(self, entries: tuple[str, ...], port: int, *, is_tls: bool) -> None:
        """Take where to ask; ``port`` and ``is_tls`` are this replica's own API's."""
        self._entries = entries
        self._port = port
        self._is_tls = is_tls
        self._names = Names(len(entries))
        self._turn = BoundedSemaphore()
        self._answers: list[Peer] = []
        self._asked_for: str | None = None
        self._asked_at = float("-inf")

    def ask(self, identity: str, authorization: str | None) -> list[Peer]:
        """Return what all but ``identity`` say, asked with the credentials of who wants to know."""
        with self._turn:
            is_fresh = clock.now() < self._asked_at + FRESH_S
            if not is_fresh or self._asked_for != authorization:
                self._answers = self._ask_all(authorization)
                self._asked_for, self._asked_at = authorization, clock.now()
        return [each for each in self._answers if not _is_of(each, identity)]

    def _ask_all(self, authorization: str | None) -> list[Peer]:
        """Look the names up, then ask; each has its share of the time."""
        found = _all_at_once(self._places, self._entries)
        places: list[PeerAddress] = []
        unknown: list[Peer] = []
        for entry, outcome in zip(self._entries, found, strict=True):
            if isinstance(outcome, str):
                unknown.append(Peer(entry, None, outcome))
            else:
                places += outcome
        places = list(dict.fromkeys(places))[:MOST]
        told = _all_at_once(lambda place: self._ask(place, authorization), places)
        answers = [
            Peer(place.url, None, said) if isinstance(said, str) else Peer(place.url, said)
            for place, said in zip(places, told, strict=True)
        ]
        return [*answers, *unknown]

    def _ask(self, place: PeerAddress, authorization: str | None) -> dict[str, Any]:
        """Ask one; what came to us over TLS is passed on over nothing else."""
        is_as_safe = place.is_tls or not self._is_tls
        return _status_at(place, authorization if is_as_safe else None)

    def _places(self, entry: str) -> list[PeerAddress]:
        """Return where an entry's replicas answer."""
        if "://" in entry:
            return [PeerAddress(entry, urlsplit(entry).hostname or "")]
        name, _, given = entry.partition(":")
        port = int(given or self._port)
        try:
            addresses = sorted(self._names.addresses(name, port))
        except UnicodeError as error:
            raise PeerUnusable("the name is none that DNS can hold") from error
        scheme = "https" if self._is_tls else "http"
        return [PeerAddress(f"{scheme}://{_bracketed(each)}:{port}", name) for each in addresses]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_of(peer: Peer, identity: str) -> bool:
    return peer.status is not None and peer.status["identity"] == identity


def _all_at_once(ask: Callable[[Some], Any], whom: Sequence[Some]) -> list[Any]:
    """Return what each tells; why it does not, as text, where it raised or took too long."""
    greenlets = [gevent.spawn(_bounded, ask, each) for each in whom]
    gevent.joinall(greenlets)
    return [each.value for each in greenlets]


def _bounded(ask: Callable[[Some], Any], each: Some) -> Any:
    server = AskedServer(str(each), "prometheus-elector", _TRUST)
    try:
        with gevent.Timeout(LIMIT_S):
            return ask(each)
    except gevent.Timeout:
        return trouble(TimeoutError(), server, LIMIT_S).text
    except PeerUnusable as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - no answer of one may take those of all
        return trouble(error, server, LIMIT_S).text


def _status_at(place: PeerAddress, authorization: str | None) -> dict[str, Any]:
    """Return a replica's status; raise Unusable, or what comes instead of an answer."""
    from wrapper.access.http_client import Connection  # noqa: PLC0415 - 2 MiB, and not all ask

    access = Access(HttpConfig(tls=ClientTls(server_name=place.name)))
    connection = Connection(urlsplit(place.url), access)
    fields = [] if authorization is None else [("Authorization", authorization)]
    try:
        answer = connection.ask("GET", PATH, LIMIT_S, fields)
        return _read(answer.status, answer.read(LARGEST + 1))
    finally:
        connection.end()


def _read(code: int, body: bytes) -> dict[str, Any]:
    """Return a status that has the form of one; raise Unusable."""
    if len(body) > LARGEST:
        raise PeerUnusable("its answer is too large")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PeerUnusable(f"HTTP {code}, and no status") from error
    if not isinstance(told, dict):
        raise PeerUnusable(f"HTTP {code}, and no status")
    if code != HTTPStatus.OK:
        raise PeerUnusable(f"HTTP {code}: {str(told.get('error', ''))[:200]}")
    wanted = STATUS_FORM.items()
    if not all(name in told and _is_in_form(told[name], kind) for name, kind in wanted):
        raise PeerUnusable("its answer is no status")
    return told


def _is_in_form(value: object, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and (not isinstance(value, str) or len(value) <= LONGEST)
