"""A time limit for a call: its result, its error, and what it leaves in memory."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.memory import Traced, collector_off
from tests.support import refuse_threads, wait_until
from wrapper.access.request_errors import ServerDescription, explain
from wrapper.base.with_timeout import with_timeout


def test_the_result_and_the_error_are_those_of_the_call() -> None:
    """They pass from one thread to the other."""
    assert with_timeout(lambda: 3, 10) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(lambda: 1 // 0, 10)


def test_a_request_without_a_thread_blames_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has not even been asked."""
    refuse_threads(monkeypatch)
    with pytest.raises(OSError, match="no thread") as refused:
        with_timeout(lambda: 3, 10)
    found = explain(refused.value, ServerDescription("http://a", "it", "trust it"), 10)
    assert found.kind == "connection"
    assert "raise the limit of processes" in found.text


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
