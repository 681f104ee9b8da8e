"""The channel between the supervisor and the gate: a socket pair that keeps message boundaries.

Each order replaces the previous one, and so does each report. Only the newest one counts. Sending
never blocks. When one process exits, the other reads the end of the channel.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import asdict
from typing import Any

from wrapper.model.gate import Endpoint, EndpointReport, GateOrder, GateReport

LARGEST = 1 << 20  # bytes of a message


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends: the supervisor's, and the gate's."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for each in (ours, its):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return ours, its


def send(end: socket.socket, message: GateOrder | GateReport) -> bool:
    """Send a message; return whether it was sent.

    It is not sent if the other process has exited, or if it hangs and the buffer is full.
    """
    with contextlib.suppress(OSError):
        end.send(json.dumps(asdict(message)).encode(), socket.MSG_DONTWAIT)
        return True
    return False


def receive_order(end: socket.socket) -> GateOrder | None:
    """Wait for an order; return None when the supervisor has exited."""
    values = _received(end)
    if values is None:
        return None
    endpoints = tuple(Endpoint(**each) for each in values.pop("endpoints"))
    return GateOrder(endpoints=endpoints, **values)


def receive_report(end: socket.socket) -> GateReport | None:
    """Wait for a report; return None when the gate has exited."""
    values = _received(end)
    if values is None:
        return None
    endpoints = tuple(EndpointReport(**each) for each in values.pop("endpoints"))
    return GateReport(endpoints=endpoints, **values)


def _received(end: socket.socket) -> dict[str, Any] | None:
    try:
        content = end.recv(LARGEST)
    except OSError:
        return None
    return json.loads(content) if content else None
