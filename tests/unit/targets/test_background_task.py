"""A task that runs once for all who requested it, also after an unexpected error."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from tests.support import wait_until
from wrapper.targets.background_task import BackgroundTask

LIMIT_S = 20.0


def asking(do: Callable[[], str]) -> Callable[[], str]:
    """Run a task; return a function that requests it and returns its result."""
    errand = BackgroundTask(do)
    threading.Thread(target=errand.run, daemon=True).start()

    def ask() -> str:
        told = list[str]()
        errand.ask(told.append)
        wait_until(lambda: told, LIMIT_S, "it is told")
        return told[0]

    return ask


def test_requests_during_a_run_share_the_next_run() -> None:
    """Requests during a run share the next run, which starts after them."""
    gate, begun, told = threading.Event(), list[int](), list[str]()

    def do() -> str:
        begun.append(len(begun))
        gate.wait(LIMIT_S)
        return f"number {len(begun)}"

    errand = BackgroundTask(do)
    threading.Thread(target=errand.run, daemon=True).start()
    errand.ask(told.append)
    wait_until(lambda: begun, LIMIT_S, "the first has begun")
    for _ in range(9):
        errand.ask(told.append)
    gate.set()
    wait_until(lambda: len(told) == 10, LIMIT_S, "all are told")
    assert told == ["number 1"] + ["number 2"] * 9


def test_unexpected_error_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    """After an error, its requesters get a problem and later ones a new run.

    The log has the traceback once for consecutive errors.
    """
    turns: list[Exception | None] = [OSError("hunter2"), OSError(), None, OSError()]

    def do() -> str:
        error = turns.pop(0)
        if error is not None:
            raise error
        return ""

    ask = asking(do)
    problem = "unexpected error (OSError): please report it"
    with caplog.at_level(logging.WARNING):
        assert [ask(), ask()] == [problem, problem]
        [record] = caplog.records
        assert record.exc_info is not None
        assert vars(record)["reason"] == problem
        assert [ask(), ask()] == ["", problem]
        assert len(caplog.records) == 2
