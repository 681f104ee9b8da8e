"""Render the status page for people, ``/_elector/``; a small script in it refreshes it.

The page is complete without the script, and loads nothing from other sites: its content security
policy allows only its own style and script. All values are escaped, because names, reasons and the
answers of peers are untrusted.

Limitation: the page is as current as the snapshot.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template
from markupsafe import Markup

from wrapper.base.sizes import size
from wrapper.base.snapshot_channel import why_stale
from wrapper.configuration.config_view import ConfigView
from wrapper.model.snapshot import Snapshot, named
from wrapper.web.gate_summary import state_of
from wrapper.web.peers import Peer
from wrapper.web.status import status_of
from wrapper.web.timeline import timeline

_TEMPLATES = Path(__file__).parent / "templates"
_UNAVAILABLE = 503
POLICY = "Content-Security-Policy"


@dataclass(frozen=True, slots=True)
class PageValues:
    """All values that a page shows."""

    snapshot: Snapshot | None
    config_view: ConfigView | None
    peers: list[Peer]
    knows_peers: bool
    now: float
    wall: float


class Page:
    """Renders the page with the templates of one app."""

    def __init__(self, app: Flask) -> None:
        """Read the style and the script, which are part of each page."""
        self._style = (_TEMPLATES / "status.css").read_text(encoding="utf-8")
        self._script = (_TEMPLATES / "status.js").read_text(encoding="utf-8")
        self._policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src {_hash(self._script)}",
                f"style-src {_hash(self._style)}",
                "img-src data:",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )
        app.jinja_env.filters |= {
            "at": at,
            "named": named,
            "size": size,
            "state": state_of,
            "utc": utc,
        }

    def render(self, values: PageValues) -> Response:
        """Return the page; if the snapshot is stale, a 503 with only the reason."""
        stale = why_stale(values.snapshot, values.now)
        text = render_template(
            "status.html",
            style=Markup(self._style),  # noqa: S704 - our own file
            script=Markup(self._script),  # noqa: S704 - our own file
            stale=stale,
            wall=values.wall,
            **({} if values.snapshot is None or stale else _variables(values, values.snapshot)),
        )
        content = text.encode(errors="replace")  # a peer may send half a surrogate pair
        answer = Response(content, status=_UNAVAILABLE if stale else 200)
        answer.headers[POLICY] = self._policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer


def _variables(values: PageValues, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "own": status_of(snapshot, values.now),
        "history": snapshot.history[::-1],
        "timeline": timeline(snapshot.history, values.wall),
        "config_view": values.config_view,
        "peers": values.peers,
        "knows_peers": values.knows_peers,
    }


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# --- formats --------------------------------------------------------------------------------


def utc(iso: str) -> str:
    """Return an ISO 8601 time in the form ``2026-01-31 12:00:00 UTC``."""
    return iso.replace("T", " ").replace("+00:00", " UTC")


def at(wall: float) -> str:
    """Return a wall time to the second, in UTC."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S")
