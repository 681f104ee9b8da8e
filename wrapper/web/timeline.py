"""Compute the chart of who led when, as bars of an SVG; pure.

Limitation: the chart begins with what this replica has observed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wrapper.model.snapshot import LONGEST_HISTORY_S, NOBODY, NOT_KNOWN, HandOver, named

WIDTH, ROW, BAR = 1000.0, 28.0, 18.0  # in units of the SVG
MOST_ROWS = 6
LEAST_WIDTH = 2.0  # of a bar, so that a short time is visible
_STEPS = 500.0
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Bar:
    """The time of one leader: the bar's position and size in the chart, and its values."""

    x: float
    y: float
    width: float
    row: int
    leader: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars in rows, one row for each leader; times are wall times."""

    rows: tuple[str, ...]
    bars: tuple[Bar, ...]
    since: float
    until: float

    @property
    def height(self) -> float:
        """The height of the chart."""
        return ROW * len(self.rows)


def timeline(history: Sequence[HandOver], now: float) -> Timeline | None:
    """Return the chart of these hand-overs until ``now``; None if there are none."""
    if not history:
        return None
    first = history[0].time
    until = max(_stepped(now, first), history[-1].time, first + 1.0)
    since = max(first, until - LONGEST_HISTORY_S)
    rows = _rows(history)
    bars = tuple(_bars(history, rows, since, until))
    return Timeline(rows, bars, since, until)


def _stepped(now: float, first: float) -> float:
    """Return ``now`` rounded down to a step that is too small to be visible in the chart.

    So most refreshes of the page do not change the chart.
    """
    shown_s = min(now - first, LONGEST_HISTORY_S)
    step_s = 2.0 ** math.ceil(math.log2(max(shown_s / _STEPS, 1.0)))
    return first + (now - first) // step_s * step_s


def _rows(history: Sequence[HandOver]) -> tuple[str, ...]:
    """Return the rows' names: the latest leaders, "others" for the rest, NOBODY and NOT_KNOWN."""
    latest = dict.fromkeys(each.leader for each in reversed(history) if each.leader)
    names = sorted(list(latest)[:MOST_ROWS])
    others = [OTHERS] if len(latest) > MOST_ROWS else []
    found = {named(each.leader) for each in history if not each.leader}
    return (*names, *others, *(name for name in (NOBODY, NOT_KNOWN) if name in found))


def _bars(
    history: Sequence[HandOver], rows: tuple[str, ...], since: float, until: float
) -> Iterator[Bar]:
    scale = WIDTH / (until - since)
    ends = [*(each.time for each in history[1:]), until]
    for each, end in zip(history, ends, strict=True):
        name = named(each.leader)
        row = rows.index(name if name in rows else OTHERS)
        begun = max(each.time, since)
        x = min((begun - since) * scale, WIDTH - LEAST_WIDTH)
        width = max((end - begun) * scale, LEAST_WIDTH)
        y = row * ROW + (ROW - BAR) / 2
        yield Bar(round(x, 1), y, round(width, 1), row, name, each.time, end)
