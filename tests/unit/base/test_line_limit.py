"""A limit for log lines of one kind: few are written, and the others are counted."""

from __future__ import annotations

import logging

import pytest

from wrapper.base import clock
from wrapper.base.line_limit import FIRST, PERIOD_S, LineLimit
from wrapper.base.log import limited


def test_after_the_first_lines_one_per_period_is_written() -> None:
    """After the first lines, one per period is written, with the number of those left out."""
    limit = LineLimit()
    assert [limit.left_out_before("a", 100.0) for _ in range(FIRST)] == [0] * FIRST
    assert {limit.left_out_before("a", 100.0 + number / 10) for number in range(500)} == {None}
    assert limit.left_out_before("a", 100.0 + PERIOD_S) == 500
    assert limit.left_out_before("a", 100.0 + PERIOD_S) is None
    assert limit.left_out_before("a", 100.0 + 2 * PERIOD_S) == 1
    assert limit.left_out_before("a", 100.0 + 3 * PERIOD_S) == 0


def test_number_of_lines_is_bounded() -> None:
    """Of one line per second for a day, the first ones and one per minute are written."""
    limit = LineLimit()
    found = [limit.left_out_before("a", float(second)) for second in range(86_400)]
    written = [each for each in found if each is not None]
    assert len(written) == FIRST + 86_400 / PERIOD_S - 1
    assert len(written) + sum(written) + 59 == 86_400, "each is written, or counted but the newest"


def test_kinds_are_limited_separately() -> None:
    """A flood of one kind does not limit another, and a quiet time resets the limit."""
    limit = LineLimit()
    for _ in range(100):
        limit.left_out_before("a", 0.0)
    assert limit.left_out_before("b", 0.0) == 0
    later = FIRST * PERIOD_S
    found = [limit.left_out_before("a", later) for _ in range(FIRST + 1)]
    assert found == [100 - FIRST, *[0] * (FIRST - 1), None]


def test_logger_can_be_limited(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A logger's lines are limited by message and status; the next one has the number left out."""
    now = 0.0
    monkeypatch.setattr(clock, "now", lambda: now)
    log = limited(logging.getLogger("tests.limited"))
    for number in range(10):
        log.warning("request refused", extra={"status": 400, "reason": number})
    log.warning("request refused", extra={"status": 413})
    log.warning("another")
    now += PERIOD_S
    log.warning("request refused", extra={"status": 400, "reason": "x"})
    lines = [(each.message, vars(each).get("lines_left_out")) for each in caplog.records]
    assert lines[FIRST:] == [("request refused", None), ("another", None), ("request refused", 5)]
