"""Answers of the proxy itself, in the form of Prometheus' API errors; pure."""

from __future__ import annotations

import json
from email.utils import formatdate

from werkzeug.http import HTTP_STATUS_CODES

RETRY_AFTER_S = 1
UNAUTHORIZED = 401
CHALLENGE = 'Basic realm="prometheus-elector", charset="UTF-8"'
_UNAVAILABLE = 503


class Refused(Exception):
    """A request is not forwarded, or not answered; ``kind`` is Prometheus' errorType."""

    def __init__(self, code: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.kind = kind


def too_large(most_bytes: int, *, is_ours: bool) -> Refused:
    """Return the refusal of a body above the limit."""
    cure = "send less" if is_ours else "--api-proxy-max-body sets that limit"
    text = f"the request's body is larger than {most_bytes} bytes"
    return Refused(413, "bad_data", f"{text}; {cure}")


def too_slow() -> Refused:
    """Return the refusal of a body that was not received in time."""
    return Refused(408, "timeout", "the rest of the request's body was not sent in time")


def rendered(
    refused: Refused, wall: float, *, has_body: bool, keeps_client: bool, own_lines: bytes = b""
) -> bytes:
    """Return the answer at the wall time ``wall``, head and body.

    ``own_lines`` are additional header fields.
    """
    content = {"status": "error", "errorType": refused.kind, "error": str(refused)}
    body = json.dumps(content).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {refused.code} {HTTP_STATUS_CODES[refused.code]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"Date: {formatdate(wall, usegmt=True)}",
    ]
    if refused.code == _UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_AFTER_S}")
    if refused.code == UNAUTHORIZED:
        lines.append(f"WWW-Authenticate: {CHALLENGE}")
    if not keeps_client:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, ""]).encode() + own_lines + b"\r\n"
    return head + (body if has_body else b"")
