"""What the gate tells the supervisor, and when: at once, soon, or now and then."""

from __future__ import annotations

from collections.abc import Iterator
from socket import socket

import pytest

from wrapper.gate import channel
from wrapper.gate.reporting import IDLE_PERIOD_S, PERIOD_S, Reporting
from wrapper.model.gate import EndpointReport, GateReport


class Told:
    """A reporting, and what has come of it to the other end."""

    def __init__(self, ours: socket, its: socket) -> None:
        self.reporting = Reporting(its)
        self._ours = ours
        ours.settimeout(0)

    def at(self, now: float, report: GateReport) -> tuple[bool, bool]:
        """Tell a report; return whether it counts as news, and whether it was sent."""
        is_news = self.reporting.report_if_due(report, now)
        came = channel.receive_report(self._ours)
        assert came in (None, report)
        return is_news, came is not None


@pytest.fixture
def told() -> Iterator[Told]:
    """Return a reporting that has told ``report()`` at 0."""
    ours, its = channel.pair()
    with ours, its:
        told = Told(ours, its)
        assert told.at(0.0, report()) == (True, True)
        yield told


def report(
    order: int = 1, held: int = 0, behind_s: float | None = None, *, is_open: bool = False
) -> GateReport:
    """Return a report of one endpoint."""
    endpoint = EndpointReport("receiver", held_batches=held, behind_s=behind_s)
    return GateReport(order=order, is_open=is_open, endpoints=(endpoint,))


def test_what_has_not_changed_is_not_told_again(told: Told) -> None:
    """Nothing is sent, and it is no news."""
    assert told.at(100.0, report()) == (False, False)


def test_what_the_supervisor_waits_for_is_told_at_once(told: Told) -> None:
    """An order that was obeyed; it is no news, since each renewal of the lease is one."""
    assert told.at(0.001, report(order=2)) == (False, True)


def test_what_an_open_gate_begins_to_hold_is_told_at_once(told: Told) -> None:
    """If it exits then, samples are lost; how much it holds can wait."""
    assert told.at(0.001, report(is_open=True)) == (True, True)
    assert told.at(0.002, report(held=1, is_open=True)) == (True, True)
    assert told.at(0.003, report(held=2, is_open=True)) == (True, False)
    assert told.at(0.004, report(held=0, is_open=True)) == (True, True)


def test_what_requests_change_is_told_within_a_period(told: Told) -> None:
    """It stays news until it is told."""
    assert told.at(PERIOD_S / 2, report(held=1)) == (True, False)
    assert told.at(PERIOD_S, report(held=1)) == (True, True)
    assert told.at(PERIOD_S * 2, report(held=1)) == (False, False)


def test_what_time_alone_changes_is_told_seldom_and_is_no_news(told: Told) -> None:
    """How far a receiver is behind grows all the time."""
    assert told.at(PERIOD_S, report(behind_s=1.0)) == (False, False)
    assert told.at(IDLE_PERIOD_S, report(behind_s=2.0)) == (False, True)
