"""What is done once for all who ask, also where it goes wrong as nobody foresaw."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from tests.support import wait_until
from wrapper.targets.background_task import BackgroundTask

LIMIT_S = 20.0


def asking(do: Callable[[], str]) -> Callable[[], str]:
    """Run an errand; return what has it done, and returns what was told."""
    errand = BackgroundTask(do)
    threading.Thread(target=errand.run, daemon=True).start()

    def ask() -> str:
        told = list[str]()
        errand.ask(told.append)
        wait_until(lambda: told, LIMIT_S, "it is told")
        return told[0]

    return ask


def test_those_who_ask_meanwhile_are_told_of_one_that_began_afterwards() -> None:
    """One for all of them."""
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


def test_what_nobody_foresaw_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks is told, and the next have it done; the log has the place, once in a row."""
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
