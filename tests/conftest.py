"""What holds for all tests: how long examples take, what is measured, and which run first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

HERE = Path(__file__).parent
# Those that take longest or wait longest first, so that no worker is left alone with a long file;
# the short ones fill the end.
FIRST = ("simulation", "real", "gate", "process", "web", "browser")
# Coverage makes them two to three times as slow. What only they reach, the report has as missed,
# unless the variable MEASURE is "all".
UNMEASURED = () if os.environ.get("MEASURE") == "all" else ("simulation", "real")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests coverage leaves out, and put files in the order in which they are begun."""
    tests_in = Counter(item.path for item in items)

    def turn(item: pytest.Item) -> tuple[int, int, Path]:
        folder = folder_of(item)
        rank = FIRST.index(folder) if folder in FIRST else len(FIRST)
        return rank, -tests_in[item.path], item.path

    items.sort(key=turn)
    for item in items:
        if folder_of(item) in UNMEASURED:
            item.add_marker("no_cover")
        if folder_of(item) != "simulation":  # a worker takes whole files, and single histories
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(HERE))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Start programs without coverage, which takes a quarter of their time, where it is left out.

    pytest-cov sets the variable again after each such test.
    """
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("no_cover"):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


def folder_of(item: pytest.Item) -> str:
    """Return the folder of tests/ in which a test is."""
    return item.path.relative_to(HERE).parts[0]
