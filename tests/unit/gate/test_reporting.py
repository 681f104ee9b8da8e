"""What the gate reports to the supervisor, and when."""

from __future__ import annotations

from collections.abc import Iterator
from socket import socket

import pytest

from wrapper.gate import channel
from wrapper.gate.reporting import IDLE_PERIOD_S, PERIOD_S, Reporting
from wrapper.model.gate import EndpointReport, GateReport


class ReportingEnd:
    """A reporting, and the reports that arrive at the other end."""

    def __init__(self, ours: socket, its: socket) -> None:
        self.reporting = Reporting(its)
        self._ours = ours
        ours.settimeout(0)

    def at(self, now: float, report: GateReport) -> tuple[bool, bool]:
        """Report; return whether the report has news, and whether it was sent."""
        is_news = self.reporting.report_if_due(report, now)
        came = channel.receive_report(self._ours)
        assert came in (None, report)
        return is_news, came is not None


@pytest.fixture
def reporting_end() -> Iterator[ReportingEnd]:
    """Give a reporting that has sent ``report()`` at 0."""
    ours, its = channel.pair()
    with ours, its:
        reporting_end = ReportingEnd(ours, its)
        assert reporting_end.at(0.0, report()) == (True, True)
        yield reporting_end


def report(
    order: int = 1, held: int = 0, behind_s: float | None = None, *, is_open: bool = False
) -> GateReport:
    """Return a report of one endpoint."""
    endpoint = EndpointReport("receiver", held_batches=held, behind_s=behind_s)
    return GateReport(order=order, is_open=is_open, endpoints=(endpoint,))


def test_unchanged_report_is_not_sent(reporting_end: ReportingEnd) -> None:
    """An unchanged report is not sent, and has no news."""
    assert reporting_end.at(100.0, report()) == (False, False)


def test_report_on_an_order_is_sent_at_once(reporting_end: ReportingEnd) -> None:
    """The report on an order is sent at once, but is no news: each renewal causes one."""
    assert reporting_end.at(0.001, report(order=2)) == (False, True)


def test_open_gate_reports_at_once_when_it_begins_to_hold(reporting_end: ReportingEnd) -> None:
    """An open gate reports at once when it begins or ceases to hold; the amount can wait.

    If it exits while it holds samples, they are lost.
    """
    assert reporting_end.at(0.001, report(is_open=True)) == (True, True)
    assert reporting_end.at(0.002, report(held=1, is_open=True)) == (True, True)
    assert reporting_end.at(0.003, report(held=2, is_open=True)) == (True, False)
    assert reporting_end.at(0.004, report(held=0, is_open=True)) == (True, True)


def test_change_by_requests_is_reported_within_a_period(reporting_end: ReportingEnd) -> None:
    """A change by requests is sent within a period, and is news until then."""
    assert reporting_end.at(PERIOD_S / 2, report(held=1)) == (True, False)
    assert reporting_end.at(PERIOD_S, report(held=1)) == (True, True)
    assert reporting_end.at(PERIOD_S * 2, report(held=1)) == (False, False)


def test_change_by_time_alone_is_sent_seldom(reporting_end: ReportingEnd) -> None:
    """What changes by time alone, e.g. the delay of a receiver, is sent seldom and is no news."""
    assert reporting_end.at(PERIOD_S, report(behind_s=1.0)) == (False, False)
    assert reporting_end.at(IDLE_PERIOD_S, report(behind_s=2.0)) == (False, True)
