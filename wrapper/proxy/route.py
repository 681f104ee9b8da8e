"""Where a request goes: to our own routes, to the leader's Prometheus, or nowhere.

Replicas that disagree on the leader never forward in a circle: each counts the hops. Where it ends:
who leads is as fresh as the snapshot; one that is stale forwards nothing.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from wrapper.base.snapshot import leader_of, why_stale
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions
from wrapper.proxy.forwarded_request import MOST_HOPS, Request
from wrapper.proxy.refusals import Refused
from wrapper.proxy.upstream import Target

ROOT = "/_elector"
_ADMIN_PATHS = re.compile(r"/-/(quit|reload)$|/api/v[0-9]+/admin(/|$)")
_REMEMBERED_BYTES = 512


class NoLeader(Refused):
    """Nobody is known to lead at the moment: that may pass."""


def target_of(snapshot: Snapshot | None, options: WebOptions, now: float) -> Target:
    """Return where the leader's Prometheus is at ``now``; raise Refused where nobody knows."""
    stale = why_stale(snapshot, now)
    if snapshot is None or stale:
        raise _unavailable(stale)
    if snapshot.leads(now):
        owned_url = snapshot.prometheus_url if snapshot.child_pid is not None else ""
        url = _origin(owned_url) or f"{_scheme(snapshot)}://127.0.0.1:{options.local_port}"
        return Target(url, is_local=True)
    holder = leader_of(snapshot, now)
    if not holder:
        raise NoLeader(503, "unavailable", "no replica is known to lead at the moment")
    if snapshot.holder_url:
        return Target(_origin(snapshot.holder_url), is_local=False)
    if not options.service_name:
        raise _unavailable(f"{holder} leads, but nothing says where its Prometheus answers")
    authority = f"{holder}.{options.service_name}:{options.remote_port}"
    return Target(f"{_scheme(snapshot)}://{authority}", is_local=False)


def _scheme(snapshot: Snapshot) -> str:
    """Return how replicas' Prometheus are asked: all alike, so as our own."""
    return "https" if snapshot.prometheus_url.startswith("https:") else "http"


@lru_cache(maxsize=64)
def _origin(url: str) -> str:
    """Return scheme and authority: the path is the client's, a route prefix included."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _unavailable(text: str) -> Refused:
    return Refused(503, "unavailable", text)


# --- paths -----------------------------------------------------------------------------------


def origin_form(raw: bytes) -> bytes:
    """Return the request target without scheme and authority, otherwise as it came."""
    if raw.startswith(b"/") or raw == b"*":
        return raw
    rest = raw.partition(b"://")[2]
    start = min((rest.find(mark) for mark in b"/?" if mark in rest), default=len(rest))
    return rest[start:] if rest[start : start + 1] == b"/" else b"/" + rest[start:]


def plain_path(path: bytes) -> str:
    """Return a path as Prometheus would read it: decoded, without dots or double slashes."""
    return posixpath.normpath("/" + unquote(path.decode("latin-1")).lstrip("/"))


def is_ours(target: bytes) -> bool:
    """Tell whether a request target, in origin-form, is one of our own routes."""
    return _judged(target.partition(b"?")[0])[0]


def is_admin(target: bytes) -> bool:
    """Tell whether it would end, reload or empty Prometheus, however it is written."""
    return _judged(target.partition(b"?")[0])[1]


def _judged(path: bytes) -> tuple[bool, bool]:
    return _remembered(path) if len(path) <= _REMEMBERED_BYTES else _judge(path)


def _judge(path: bytes) -> tuple[bool, bool]:
    plain = plain_path(path)
    is_own = plain == ROOT or plain.startswith(f"{ROOT}/")
    return is_own, _ADMIN_PATHS.search(plain) is not None


_remembered = lru_cache(maxsize=1024)(_judge)


# --- what may not pass -----------------------------------------------------------------------


def check_admission(request: Request, options: WebOptions) -> None:
    """Refuse what may not pass, or cannot pass unchanged."""
    crossing = request.crossing
    if request.method == b"CONNECT":
        raise Refused(405, "bad_data", "this is a proxy for Prometheus only")
    if request.minor > 0 and not crossing.has_host:
        raise Refused(400, "bad_data", "the request has no Host")
    if not options.proxy_admin and is_admin(request.target):
        text = "Prometheus' admin paths are closed here; --api-proxy-admin opens them"
        raise Refused(403, "forbidden", text)


def check_hops(hops: int, target: Target) -> None:
    """Refuse what goes in a circle."""
    if hops >= MOST_HOPS:
        raise Refused(508, "unavailable", "the proxy would forward to itself; check its ports")
    if hops and not target.is_local:
        raise _unavailable("another replica took this one for the leader")
