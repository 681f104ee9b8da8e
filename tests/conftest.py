"""Settings for all tests: the time limit of examples, coverage, and the order of files."""

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

# The time of an example depends more on the machine than on the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

HERE = Path(__file__).parent
# Files that take or wait longest run first, so that no worker ends alone with a long file; short
# files fill the end. Between files that wait, spread evenly, run some that never do.
FIRST = (("real", "simulation", "fuzz"), ("gate",), ("process",), ("web",), ("browser",))
# Coverage makes these two to three times as slow. The report shows code that only they reach as
# missed, unless the variable MEASURE is "all".
UNMEASURED = () if os.environ.get("MEASURE") == "all" else ("simulation", "real", "fuzz")


def pytest_configure() -> None:
    """Start the tests' programs with default signals, also after nohup or in the background.

    A program inherits an ignored signal, but not a handler. So a handler ignores the signal here.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without coverage, which would make it more than twice as slow.

    All modules are imported before, so that coverage measures the code that runs at their import.
    """
    if Coverage.current() is not None:
        for module in walk_packages([str(HERE.parent / "wrapper")], "wrapper."):
            import_module(module.name)
    with unmeasured():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files into the order in which they start."""
    tests_in = Counter(item.path for item in items)
    items.sort(key=lambda item: (-tests_in[item.path], item.path))
    turns = turns_of(items)
    items.sort(key=lambda item: turns[group_of(item)])
    for item in items:
        if folder_of(item) != "simulation":  # a worker gets complete files, or single histories
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


def turns_of(items: list[pytest.Item]) -> dict[str, tuple[int, float]]:
    """Return each group's rank, and its position in its folder, from 0 to 1."""
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
    """Run a test of an unmeasured folder without coverage, with its fixtures and programs."""
    with unmeasured() if folder_of(item) in UNMEASURED else nullcontext():
        return (yield)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Stop coverage for this process and the programs that it starts.

    In a worker, pytest-cov starts two measurements, and coverage itself a third: stopping one
    resumes the one below it.
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
    """Return the name of a unit of work for a worker: a file, or a history of a simulation."""
    return item.nodeid if folder_of(item) == "simulation" else "/".join(parts_of(item.path))


def folder_of(item: pytest.Item) -> str:
    """Return the folder of tests/ in which a test is."""
    return parts_of(item.path)[0]


@cache
def parts_of(path: Path) -> tuple[str, ...]:
    """Return the parts of a test file's path below tests/."""
    return path.relative_to(HERE).parts
