"""The soak finds growing resources, and ignores a single peak."""

from __future__ import annotations

import pytest

from tests.soak.check_growth import ENOUGH, TOLERANCE, grown
from tests.soak.facts import Figures

FEW = Figures(threads=5, descriptors=20, memory=30.0)


def found(*figures: Figures) -> list[str]:
    """Return the reported growth."""
    return [each.text for each in grown("g", "the supervisor", 1.0, figures)]


def test_steady_figures_and_peaks_are_ignored() -> None:
    """Steady figures are no growth, nor is a single peak at any time."""
    peak = Figures(50, 200, 300.0)
    for at in range(10):
        assert found(*[peak if n == at else FEW for n in range(10)]) == []


@pytest.mark.parametrize("name", Figures._fields)
def test_growth_is_found(name: str) -> None:
    """Growth of each figure beyond its tolerance is found."""
    step = getattr(TOLERANCE, name)
    more = [FEW._replace(**{name: getattr(FEW, name) + step * n}) for n in range(10)]
    [text] = found(*more)
    assert name in text
    within = [FEW._replace(**{name: getattr(FEW, name) + step * n / 10}) for n in range(10)]
    assert found(*within) == []


def test_too_few_figures_are_ignored() -> None:
    """Growth needs enough figures for separate first and last ones."""
    more = [FEW._replace(threads=5 + 10 * n) for n in range(2 * ENOUGH - 1)]
    assert found(*more) == []
