"""Report the gate's state to the supervisor.

A change that the supervisor waits for is reported immediately, any other change periodically.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from wrapper.gate import channel
from wrapper.model.gate import GateReport

PERIOD_S = 0.25  # between reports of changes that requests cause
IDLE_PERIOD_S = 1.0  # between reports if only the time has changed: how far the receiver is behind


class Reporting:
    """Sends reports, and remembers the last one.

    A report that cannot be sent is retried at the next call.
    """

    def __init__(self, end: socket.socket) -> None:
        """Take the gate's end of the channel."""
        self._end = end
        self._last: GateReport | None = None
        self._at = float("-inf")

    def report_if_due(self, report: GateReport, now: float) -> bool:
        """Send a report if it is due; return whether more is new than time and order."""
        last = self._last
        if report == last:
            return False
        is_urgent = last is None or _urgent_part(report) != _urgent_part(last)
        is_news = last is None or _without_lag(report) != _without_lag(last)
        period_s = PERIOD_S if is_news else IDLE_PERIOD_S
        if (is_urgent or now >= self._at + period_s) and channel.send(self._end, report):
            self._last, self._at = report, now
        return is_news


def _without_lag(report: GateReport) -> GateReport:
    """Return a report without what changes even if nothing happens: each renewal is an order."""
    endpoints = tuple(replace(each, behind_s=None) for each in report.endpoints)
    return replace(report, endpoints=endpoints, order=0)


def _urgent_part(report: GateReport) -> tuple[int, bool, bool, bool]:
    """Return what the supervisor waits for, and whether samples are lost if the gate exits now."""
    may_lose = report.is_open and any(each.held_batches for each in report.endpoints)
    return report.order, report.is_open, report.has_handed_over, may_lose
