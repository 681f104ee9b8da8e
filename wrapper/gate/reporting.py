"""Report the gate's state to the supervisor: at once what it waits for, the rest now and then."""

from __future__ import annotations

import socket

from wrapper.gate import channel
from wrapper.model.gate import GateReport

PERIOD_S = 0.25  # between reports of what changes all the time


class Reporting:
    """Remembers what was told last; what could not be sent is told at the next call."""

    def __init__(self, end: socket.socket) -> None:
        """Take the gate's end of the channel."""
        self._end = end
        self._last: GateReport | None = None
        self._at = float("-inf")

    def tell(self, report: GateReport, now: float) -> None:
        """Send a report if it is due."""
        if report == self._last:
            return
        is_urgent = self._last is None or _essence(report) != _essence(self._last)
        if (is_urgent or now >= self._at + PERIOD_S) and channel.send(self._end, report):
            self._last, self._at = report, now


def _essence(report: GateReport) -> tuple[int, bool, bool]:
    return report.order, report.is_open, report.has_handed_over
