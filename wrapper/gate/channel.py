"""The channel between the supervisor and the gate: a socket pair that keeps message boundaries.

Each order replaces the previous one, and so does each report. Only the newest one counts. Sending
never blocks. When one process exits, the other reads the end of the channel.

The content of a message is in a file in memory, whose descriptor is sent. The kernel limits the
size of a message itself (by default to 416 KiB), and an order can be larger: each endpoint may have
certificates in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from array import array
from dataclasses import asdict
from typing import Any

from wrapper.model.gate import Endpoint, EndpointReport, GateOrder, GateReport

_MARK = b"."  # what is sent with the descriptor


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends: the supervisor's, and the gate's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: GateOrder | GateReport) -> bool:
    """Send a message; return whether it was sent.

    It is not sent if the other process has exited, or if it hangs and the buffer is full.
    """
    content = json.dumps(asdict(message)).encode()
    with contextlib.suppress(OSError), open(os.memfd_create("message"), "wb") as file:  # noqa: PTH123 - no path
        file.write(content)
        file.flush()
        descriptors = array("i", [file.fileno()])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        end.sendmsg([_MARK], control, socket.MSG_DONTWAIT)  # socket.send_fds ignores its flags
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
    """Wait for a message; return None when the other process has exited."""
    descriptors: list[int] = []
    while not descriptors:  # without a free descriptor, a message is lost; a newer one replaces it
        try:
            mark, descriptors, *_ = socket.recv_fds(end, len(_MARK), 1)
        except OSError:
            return None
        if not mark:
            return None
    with open(descriptors[0], "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.seek(0)
        values: dict[str, Any] = json.load(file)
        return values
