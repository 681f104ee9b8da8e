"""Writes and reads the gate's endpoints, a comment in the last line of a rendering; pure.

The URLs of such a rendering are the gate's. The comment has the receivers, so that they are still
known when a kept rendering is used at the next start. Prometheus neither reads nor shows the
comment. Like the rest of a rendering, it may contain secrets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from wrapper.model.gate import Endpoint

_START = b"# prometheus-elector gate: "


def with_endpoints(content: bytes, endpoints: Sequence[Endpoint]) -> bytes:
    """Return a rendering with its endpoints in an additional last line, if there are any."""
    if not endpoints:
        return content
    text = json.dumps([asdict(each) for each in endpoints], sort_keys=True)
    end = b"" if content.endswith(b"\n") else b"\n"
    return b"".join((content, end, _START, text.encode(), b"\n"))


def endpoints_in(content: bytes) -> tuple[Endpoint, ...]:
    """Return the endpoints of a rendering; none if the line is missing or cannot be read."""
    line = content.rstrip(b"\n").rpartition(b"\n")[2]
    if not line.startswith(_START):
        return ()
    try:
        return tuple(Endpoint(**each) for each in json.loads(line.removeprefix(_START)))
    except (ValueError, TypeError, RecursionError):
        return ()
