"""Decide where a request goes: to our own routes, to the leader's Prometheus, or nowhere.

Replicas that disagree about the leader do not forward in a circle: each of them counts the hops.

Guarantee: anyone who may write the Lease can name its holder. Whatever name it is, requests with
their credentials are only sent to a host below the Service's name.

Limitation: the leader is as current as the snapshot. With a stale snapshot, nothing is forwarded.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from wrapper.base.snapshot_channel import leader_of, why_stale
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions
from wrapper.proxy.forwarded_request import MOST_HOPS, Request
from wrapper.proxy.refusals import Refused
from wrapper.proxy.upstream import Target

ROOT = "/_elector"
_ADMIN_PATHS = re.compile(r"/-/(quit|reload)$|/api/v[0-9]+/admin(/|$)")
_DNS_LABELS = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_REMEMBERED_BYTES = 512


class NoLeader(Refused):
    """No leader is known at the moment; there may be one soon."""


def target_of(snapshot: Snapshot | None, options: WebOptions, now: float) -> Target:
    """Return the leader's Prometheus at ``now``; raise Refused if it is not known."""
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
        raise _unavailable(f"{holder} leads, but the URL of its Prometheus is unknown")
    if not _DNS_LABELS.fullmatch(holder):
        text = f"{holder} holds the lease and cannot be a host's name; see who may write the lease"
        raise Refused(502, "unavailable", text)
    authority = f"{holder}.{options.service_name}:{options.remote_port}"
    return Target(f"{_scheme(snapshot)}://{authority}", is_local=False)


def _scheme(snapshot: Snapshot) -> str:
    """Return the scheme of our own Prometheus; that of the other replicas is the same."""
    return "https" if snapshot.prometheus_url.startswith("https:") else "http"


@lru_cache(maxsize=64)
def _origin(url: str) -> str:
    """Return scheme and authority; the path, with a route prefix, comes from the client."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _unavailable(text: str) -> Refused:
    return Refused(503, "unavailable", text)


# --- paths -----------------------------------------------------------------------------------


def plain_path(path: bytes) -> str:
    """Return a path as Prometheus reads it: decoded, without dot segments and double slashes."""
    return posixpath.normpath("/" + unquote(path.decode("latin-1")).lstrip("/"))


def is_ours(target: bytes) -> bool:
    """Return whether a request target, in origin-form, is under /_elector/."""
    return _judged(target.partition(b"?")[0])[0]


def is_admin(target: bytes) -> bool:
    """Return whether it is an admin path of Prometheus (quit, reload, delete), in any spelling."""
    return _judged(target.partition(b"?")[0])[1]


def _judged(path: bytes) -> tuple[bool, bool]:
    return _remembered(path) if len(path) <= _REMEMBERED_BYTES else _judge(path)


def _judge(path: bytes) -> tuple[bool, bool]:
    plain = plain_path(path)
    is_own = plain == ROOT or plain.startswith(f"{ROOT}/")
    return is_own, _ADMIN_PATHS.search(plain) is not None


_remembered = lru_cache(maxsize=1024)(_judge)


# --- refusals --------------------------------------------------------------------------------


def check_admission(request: Request, options: WebOptions) -> None:
    """Raise Refused for a request that must not, or cannot, be forwarded."""
    if request.method == b"CONNECT":
        raise Refused(
            501, "bad_data", "CONNECT is not supported: this proxy forwards to Prometheus only"
        )
    if not options.proxy_admin and is_admin(request.target):
        text = "Prometheus' admin paths are not forwarded; set --api-proxy-admin to allow them"
        raise Refused(403, "forbidden", text)


def check_hops(hops: int, target: Target) -> None:
    """Raise Refused for a request that is forwarded in a circle."""
    if hops >= MOST_HOPS:
        text = "the proxy would forward to itself; check --api-proxy-prometheus-local-port"
        raise Refused(508, "unavailable", text)
    if hops and not target.is_local:
        raise _unavailable(
            "another replica forwarded this request here, but this replica does not lead; try again"
        )
