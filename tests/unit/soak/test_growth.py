"""The soak finds what grows, and takes no single peak for growth."""

from __future__ import annotations

import pytest

from tests.soak.check_growth import ENOUGH, TOLERANCE, grown
from tests.soak.facts import Figures

FEW = Figures(threads=5, descriptors=20, memory=30.0)


def found(*figures: Figures) -> list[str]:
    """Return what has grown."""
    return [each.text for each in grown("g", "the supervisor", 1.0, figures)]


def test_what_stays_has_not_grown() -> None:
    """Nor what comes down, nor a peak at any time, the last one too."""
    peak = Figures(50, 200, 300.0)
    for at in range(10):
        assert found(*[peak if n == at else FEW for n in range(10)]) == []


@pytest.mark.parametrize("name", Figures._fields)
def test_what_grows_is_found(name: str) -> None:
    """Each figure that is above what it was by more than the tolerance."""
    step = getattr(TOLERANCE, name)
    more = [FEW._replace(**{name: getattr(FEW, name) + step * n}) for n in range(10)]
    [text] = found(*more)
    assert name in text
    within = [FEW._replace(**{name: getattr(FEW, name) + step * n / 10}) for n in range(10)]
    assert found(*within) == []


def test_too_few_figures_say_nothing() -> None:
    """First and last ones must be others."""
    more = [FEW._replace(threads=5 + 10 * n) for n in range(2 * ENOUGH - 1)]
    assert found(*more) == []
