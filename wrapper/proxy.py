"""The proxy: whichever replica is asked, the leader's Prometheus answers.

Where a request goes, what may not pass, and the WSGI application that forwards or says why not.
Replicas that disagree on the leader never forward in a circle: each counts the hops. Where it ends:
who leads is as fresh as the snapshot; one that is stale forwards nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from wrapper import clock
from wrapper.model import Snapshot
from wrapper.snapshot import SnapshotReader, leader_of, why_stale
from wrapper.upstream import (
    HOP_FIELD,
    Answer,
    Environ,
    Fields,
    Refused,
    Target,
    forward,
    origin_form,
    refusal,
)
from wrapper.web_options import WebOptions

_MOST_HOPS = 2  # from a client to another replica's proxy, and from that to its own Prometheus
_ABORTED = 499  # nginx's word for a request whose client has gone
_REFUSED_PATHS = re.compile(r"/-/(quit|reload)$|/api/v[0-9]+/admin(/|$)")


class Figures(Protocol):
    """Who counts the requests."""

    def begin(self) -> None:
        """Count a request as under way."""

    def end(self, code: int, method: str, target: str) -> None:
        """Count it as answered."""


# --- where a request goes --------------------------------------------------------------------


def target_of(snapshot: Snapshot | None, options: WebOptions, now: float) -> Target:
    """Return where the leader's Prometheus is at ``now``; raise Refused where nobody knows."""
    stale = why_stale(snapshot, now)
    if snapshot is None or stale:
        raise _unavailable(stale)
    if snapshot.leads(now):
        owned_url = snapshot.prometheus_url if snapshot.child_pid is not None else ""
        return Target(_origin(owned_url) or f"http://127.0.0.1:{options.local_port}", is_local=True)
    holder = leader_of(snapshot, now)
    if not holder:
        raise _unavailable("no replica leads at the moment")
    if snapshot.holder_url:
        return Target(_origin(snapshot.holder_url), is_local=False)
    if not options.service_name:
        raise _unavailable(f"{holder} leads, but nothing says where its Prometheus answers")
    return Target(f"http://{holder}.{options.service_name}:{options.remote_port}", is_local=False)


def _origin(url: str) -> str:
    """Return scheme and authority: the path is the client's, a route prefix included."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _unavailable(text: str) -> Refused:
    return Refused(503, "unavailable", text)


def plain_path(environ: Environ) -> str:
    """Return the path as Prometheus would read it: decoded, without dots or double slashes."""
    path = unquote(origin_form(environ["RAW_URI"]).partition("?")[0])
    return posixpath.normpath("/" + path.lstrip("/"))


def check_admission(environ: Environ) -> None:
    """Refuse what may not pass, or cannot pass unchanged."""
    if environ["REQUEST_METHOD"] == "CONNECT":
        raise Refused(405, "bad_data", "this is a proxy for Prometheus only")
    if _REFUSED_PATHS.search(plain_path(environ)):
        raise Refused(403, "forbidden", "Prometheus' admin paths are not open through this proxy")
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
        raise Refused(501, "bad_data", "of the transfer codings, only chunked is understood")


def check_hops(hops: int, target: Target) -> None:
    """Refuse what goes in a circle."""
    if hops >= _MOST_HOPS:
        raise Refused(508, "unavailable", "the proxy would forward to itself; check its ports")
    if hops and not target.is_local:
        raise _unavailable("another replica took this one for the leader")


# --- the WSGI application --------------------------------------------------------------------


class Proxy:
    """Forwards each request to the leader's Prometheus, or says why not."""

    def __init__(self, reader: SnapshotReader, options: WebOptions, figures: Figures) -> None:
        self._reader = reader
        self._options = options
        self._figures = figures

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        counted = _Counted(self._figures, environ["REQUEST_METHOD"])
        try:
            counted.answer = self._answer(environ, counted)
            start_response(f"{counted.answer.code} {counted.answer.reason}", counted.answer.fields)
        except BaseException:
            counted.close()
            raise
        return counted

    def _answer(self, environ: Environ, counted: _Counted) -> Answer:
        try:
            check_admission(environ)
            target = target_of(self._reader.read(), self._options, clock.now())
            hops = _hops(environ["wsgi.input"].fields)
            check_hops(hops, target)
            counted.target = "local" if target.is_local else "remote"
            return forward(environ, target, hops + 1, self._options)
        except Refused as refused:
            return refusal(refused, environ["REQUEST_METHOD"])


class _Counted:
    """The body of an answer, which is counted when it ends."""

    def __init__(self, figures: Figures, method: str) -> None:
        self._figures = figures
        self._method = method
        self.target = "none"
        self.answer: Answer | None = None
        figures.begin()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.answer.body if self.answer else ())

    def close(self) -> None:
        """End the upstream connection and count."""
        if self.answer:
            self.answer.close()
        self._figures.end(self.answer.code if self.answer else _ABORTED, self._method, self.target)


def _hops(fields: Fields) -> int:
    """Return how many of us a request has passed; a value that is not ours counts as too many."""
    values = [value for name, value in fields if name == HOP_FIELD.upper()]
    if not values:
        return 0
    return int(values[0]) if values in (["1"], ["2"]) else _MOST_HOPS
