"""What holds for all tests: how long examples take, what is measured, and which run first."""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

HERE = Path(__file__).parent
# Those that take longest or wait longest first, so that no worker is left alone with a long file;
# the short ones fill the end. Between those that wait, spread evenly, run some that never do.
FIRST = (("real", "simulation", "fuzz"), ("gate",), ("process",), ("web",), ("browser",))
# Coverage makes them two to three times as slow. What only they reach, the report has as missed,
# unless the variable MEASURE is "all".
UNMEASURED = () if os.environ.get("MEASURE") == "all" else ("simulation", "real", "fuzz")


def pytest_configure() -> None:
    """Let programs that tests start have default signals, also after nohup or in the background.

    They would inherit that a signal is ignored, but not a handler, which ignores it here.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without coverage, with which it takes more than twice as long.

    Of the program it measures what a module runs when it is imported, so all are imported before.
    """
    if Coverage.current() is not None:
        for module in walk_packages([str(HERE.parent / "wrapper")], "wrapper."):
            import_module(module.name)
    with unmeasured():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files in the order in which they are begun."""
    tests_in = Counter(item.path for item in items)
    items.sort(key=lambda item: (-tests_in[item.path], item.path))
    turns = turns_of(items)
    items.sort(key=lambda item: turns[group_of(item)])
    for item in items:
        if folder_of(item) != "simulation":  # a worker takes whole files, and single histories
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


def turns_of(items: list[pytest.Item]) -> dict[str, tuple[int, float]]:
    """Return each group's rank, and which part of its folder comes before it, from 0 to 1."""
    groups: dict[str, dict[str, None]] = defaultdict(dict)  # by folder, in order
    for item in items:
        groups[folder_of(item)].setdefault(group_of(item))
    ranks = {folder: rank for rank, folders in enumerate(FIRST) for folder in folders}
    return {
        group: (ranks.get(folder, len(FIRST)), number / len(of_folder))
        for folder, of_folder in groups.items()
        for number, group in enumerate(of_folder)
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that coverage leaves out without it, its fixtures and programs too."""
    with unmeasured() if folder_of(item) in UNMEASURED else nullcontext():
        return (yield)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Have coverage measure neither this process nor the programs that it starts.

    In a worker pytest-cov starts two measurements, coverage itself a third: each that is stopped
    lets the one below it go on.
    """
    stopped = []
    while (measuring := Coverage.current()) is not None:
        measuring.stop()
        stopped.append(measuring)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        try:
            yield
        finally:
            for measuring in reversed(stopped):
                measuring.start()


def group_of(item: pytest.Item) -> str:
    """Return the name of what one worker runs in one go: a file, or a history of a simulation."""
    return item.nodeid if folder_of(item) == "simulation" else "/".join(parts_of(item.path))


def folder_of(item: pytest.Item) -> str:
    """Return the folder of tests/ in which a test is."""
    return parts_of(item.path)[0]


@cache
def parts_of(path: Path) -> tuple[str, ...]:
    """Return a test file's path below tests/, by parts."""
    return path.relative_to(HERE).parts
