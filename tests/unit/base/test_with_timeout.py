"""A time limit for a call: its result, its error, and what it leaves in memory."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.memory import Traced, collector_off
from tests.support import wait_until
from wrapper.base.with_timeout import with_timeout


def test_the_result_and_the_error_are_those_of_the_call() -> None:
    """They pass from one thread to the other."""
    assert with_timeout(lambda: 3, 10) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(lambda: 1 // 0, 10)


def test_a_call_that_takes_longer_is_left() -> None:
    """It cannot be stopped."""
    end = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            with_timeout(end.wait, 0.05)
    finally:
        end.set()


def test_an_error_keeps_nothing_of_the_call() -> None:
    """An answer that is too large would stay until the garbage collector runs."""
    are_gone = []

    def read() -> None:
        body = Traced(b"x")
        are_gone.append(body.trace())
        raise ValueError

    with collector_off():
        with contextlib.suppress(ValueError):
            with_timeout(read, 10)
        wait_until(are_gone[0], 10, "the body is freed")
