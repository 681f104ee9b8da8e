"""A time limit for a call: its result, its error, and what stays in memory."""

from __future__ import annotations

import contextlib
import threading

import pytest

from tests.memory import Traced, collector_off
from tests.support import refuse_threads, wait_until
from wrapper.access.request_errors import ServerDescription, explain
from wrapper.base.with_timeout import with_timeout


def test_result_and_error_are_those_of_the_call() -> None:
    """The call's result or error is passed from its thread to the caller."""
    assert with_timeout(lambda: 3, 10) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(lambda: 1 // 0, 10)


def test_missing_thread_is_not_blamed_on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, the message names the local limit, not the server."""
    refuse_threads(monkeypatch)
    with pytest.raises(OSError, match="no thread") as refused:
        with_timeout(lambda: 3, 10)
    found = explain(refused.value, ServerDescription("http://a", "it", "trust it"), 10)
    assert found.kind == "connection"
    assert "raise the limit of processes" in found.text


def test_call_that_takes_too_long_is_abandoned() -> None:
    """A call that takes too long cannot be stopped: it is abandoned with a TimeoutError."""
    end = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            with_timeout(end.wait, 0.05)
    finally:
        end.set()


def test_error_keeps_no_data_of_the_call() -> None:
    """An error keeps no reference to the call's data.

    An answer that is too large would otherwise stay until the garbage collector runs.
    """
    are_gone = []

    def read() -> None:
        body = Traced(b"x")
        are_gone.append(body.trace())
        raise ValueError

    with collector_off():
        with contextlib.suppress(ValueError):
            with_timeout(read, 10)
        wait_until(are_gone[0], 10, "the body is freed")
