"""Lines of one kind: few are written, and none is left out without being counted."""

from __future__ import annotations

import logging

import pytest

from wrapper.base import clock
from wrapper.base.line_limit import FIRST, PERIOD_S, LineLimit
from wrapper.base.log import limited


def test_after_the_first_there_is_one_per_period_with_the_number_left_out() -> None:
    """However many there are."""
    limit = LineLimit()
    assert [limit.left_out_before("a", 100.0) for _ in range(FIRST)] == [0] * FIRST
    assert {limit.left_out_before("a", 100.0 + number / 10) for number in range(500)} == {None}
    assert limit.left_out_before("a", 100.0 + PERIOD_S) == 500
    assert limit.left_out_before("a", 100.0 + PERIOD_S) is None
    assert limit.left_out_before("a", 100.0 + 2 * PERIOD_S) == 1
    assert limit.left_out_before("a", 100.0 + 3 * PERIOD_S) == 0


def test_a_flood_is_bounded_in_all() -> None:
    """One a second for a day: the first, and one a minute."""
    limit = LineLimit()
    found = [limit.left_out_before("a", float(second)) for second in range(86_400)]
    written = [each for each in found if each is not None]
    assert len(written) == FIRST + 86_400 / PERIOD_S - 1
    assert len(written) + sum(written) + 59 == 86_400, "each is written, or counted but the newest"


def test_kinds_are_apart_and_a_quiet_time_is_made_good() -> None:
    """A flood of one kind hides no other; after a quiet time the first are written again."""
    limit = LineLimit()
    for _ in range(100):
        limit.left_out_before("a", 0.0)
    assert limit.left_out_before("b", 0.0) == 0
    later = FIRST * PERIOD_S
    found = [limit.left_out_before("a", later) for _ in range(FIRST + 1)]
    assert found == [100 - FIRST, *[0] * (FIRST - 1), None]


def test_a_logger_can_be_limited(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By message and status; the next line says how many were left out."""
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
