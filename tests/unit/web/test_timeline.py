"""The timeline of leaders on the status page: in proportion, complete, within its bounds."""

from __future__ import annotations

import pytest

from wrapper.model.snapshot import HandOver
from wrapper.web.timeline import LEAST_WIDTH, MOST_ROWS, WIDTH, timeline


def entry(time: float, leader: str | None) -> HandOver:
    """Return an entry of the history."""
    return HandOver(time, leader, "", "")


def test_bars_are_proportional_to_time() -> None:
    """Bars are as long as the times, also without a leader and with an unknown one."""
    drawn = timeline((entry(0, "a"), entry(25, "b"), entry(75, ""), entry(88, None)), 100)
    assert drawn is not None
    assert drawn.rows == ("a", "b", "nobody", "not known")
    assert [(bar.x, bar.width, bar.row) for bar in drawn.bars] == [
        (0.0, 250.0, 0),
        (250.0, 500.0, 1),
        (750.0, 130.0, 2),
        (880.0, 120.0, 3),
    ]


def test_short_times_are_visible() -> None:
    """A short time has a bar of the least width, within the picture."""
    drawn = timeline((entry(0, "a"), entry(1e6, "b")), 1e6)
    assert drawn is not None
    assert drawn.bars[-1].width == LEAST_WIDTH
    assert drawn.bars[-1].x + LEAST_WIDTH <= WIDTH


def test_many_leaders_share_a_row() -> None:
    """The latest leaders have their own rows; the others share one."""
    drawn = timeline(tuple(entry(n, f"r{n:02}") for n in range(MOST_ROWS + 3)), 20)
    assert drawn is not None
    assert len(drawn.rows) == MOST_ROWS + 1
    assert drawn.rows[-1] == "others"
    assert [bar.row for bar in drawn.bars[:3]] == [MOST_ROWS] * 3


def test_clock_that_was_set_back_does_not_reverse_bars() -> None:
    """If wall times go back, no bar is narrower than the least width."""
    drawn = timeline((entry(100, "a"), entry(50, "b")), 10)
    assert drawn is not None
    assert all(bar.width >= LEAST_WIDTH for bar in drawn.bars)


def test_no_picture_without_history() -> None:
    """Without history there is no picture."""
    assert timeline((), 1.0) is None


def test_picture_moves_in_small_steps() -> None:
    """The picture moves at once while the history is short, and every few minutes after days."""

    def until(now: float) -> float:
        drawn = timeline((entry(0, "a"),), now)
        assert drawn is not None
        return drawn.until

    assert (until(30.0), until(31.0)) == (30.0, 31.0)
    assert until(172_800.0) == until(172_802.0)
    assert 172_800.0 - until(172_800.0) < 172_800.0 / 200


def test_old_entry_does_not_compress_newer_ones() -> None:
    """At most seven days are drawn; the start of an older entry is still given."""
    days = 86400.0
    drawn = timeline((entry(0, "a"), entry(99.5 * days, "b")), 100 * days)
    assert drawn is not None
    assert drawn.until - drawn.since == 7 * days
    first, last = drawn.bars
    assert (first.x, first.since) == (0.0, 0)
    assert last.width == pytest.approx(WIDTH * 0.5 / 7, abs=3)
    assert first.width + last.width == pytest.approx(WIDTH, abs=0.2)
