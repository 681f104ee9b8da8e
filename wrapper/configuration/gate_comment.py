"""The last line of a rendering whose remote_write goes to the gate: its endpoints; pure.

It is a comment, so that a rendering that is kept for the next start still knows its receivers.
Prometheus neither reads nor shows it. It may contain secrets, as the rest of a rendering.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from wrapper.model.gate import Endpoint

_START = b"# prometheus-elector gate: "


def with_endpoints(content: bytes, endpoints: Sequence[Endpoint]) -> bytes:
    """Return a rendering with its endpoints in a last line."""
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
