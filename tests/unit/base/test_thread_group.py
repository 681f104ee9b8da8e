"""A group of threads: unexpected ends are reported, and finally all threads are ended."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import pytest

from wrapper.base import clock
from wrapper.base.thread_group import ThreadGroup
from wrapper.model.events import ThreadEnded

LIMIT_S = 20.0
Reports = queue.SimpleQueue[ThreadEnded]


@pytest.fixture
def reported() -> Reports:
    """Give the queue of a group's reports."""
    return queue.SimpleQueue()


@pytest.fixture
def threads(reported: Reports) -> ThreadGroup:
    """Give an empty group."""
    return ThreadGroup(reported.put)


def lasting(threads: ThreadGroup, name: str) -> threading.Event:
    """Start a thread that runs until it is ended; return the event of its end."""
    ended = threading.Event()
    threads.start(name, ended.wait, ended.set)
    return ended


def fail() -> None:
    """Raise an unexpected error."""
    raise ValueError("hunter2")


def test_empty_group_ends_at_once(
    threads: ThreadGroup, reported: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty group has nothing to wait for."""
    threads.end(LIMIT_S)
    assert reported.empty()
    assert not caplog.records


def test_thread_that_raises_is_reported(
    threads: ThreadGroup, reported: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """The report has the error's place, but not its message, which may be secret.

    The log has the traceback.
    """
    threads.start("first", fail, lambda: None)
    ended = reported.get(timeout=LIMIT_S)
    assert ended.name == "first"
    assert "(ValueError in test_thread_group.py:" in ended.problem
    assert "hunter2" not in ended.problem
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


@pytest.mark.parametrize("error", [RecursionError, SystemExit, KeyboardInterrupt])
def test_any_exception_is_reported(
    threads: ThreadGroup, reported: Reports, error: type[BaseException]
) -> None:
    """Also exceptions that Python does not report for a thread are reported."""

    def leave() -> None:
        raise error

    threads.start("first", leave, lambda: None)
    assert error.__name__ in reported.get(timeout=LIMIT_S).problem


def test_thread_that_returns_unexpectedly_is_reported(
    threads: ThreadGroup, reported: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread with an end function must not return before it is ended."""
    threads.start("first", lambda: None, lambda: None)
    assert reported.get(timeout=LIMIT_S).name == "first"
    [record] = caplog.records
    assert record.levelno == logging.ERROR


def test_thread_without_an_end_function_may_return(threads: ThreadGroup, reported: Reports) -> None:
    """A thread without an end function may return, but its failure is reported."""
    done = threading.Event()
    threads.start("short", done.set)
    assert done.wait(LIMIT_S)
    threads.start("failing", fail)
    assert reported.get(timeout=LIMIT_S).name == "failing"
    assert reported.empty()


def test_threads_are_ended_in_reverse_order(
    threads: ThreadGroup, reported: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """The last thread is ended first, and nothing is reported.

    A later thread may depend on an earlier one.
    """
    order: list[str] = []

    def start(name: str) -> None:
        ended = threading.Event()

        def end() -> None:
            order.append(name)
            ended.set()

        threads.start(name, ended.wait, end)

    names = [f"number {number}" for number in range(20)]
    for name in names:
        start(name)
    threads.end(LIMIT_S)
    assert order == names[::-1]
    assert not any(thread.name in names for thread in threading.enumerate())
    assert reported.empty()
    assert not caplog.records


def test_failing_thread_does_not_end_the_others(threads: ThreadGroup, reported: Reports) -> None:
    """If a thread fails, the others run on until the group is ended."""
    others = [lasting(threads, "before"), lasting(threads, "after")]
    threads.start("failing", fail, lambda: None)
    assert reported.get(timeout=LIMIT_S).name == "failing"
    assert not any(other.is_set() for other in others)
    threads.end(LIMIT_S)
    assert all(other.is_set() for other in others)


def test_thread_that_does_not_end_is_logged(
    threads: ThreadGroup, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the group waits for a limited time, then logs the threads that still run."""
    stuck = threading.Event()
    threads.start("stuck", lambda: stuck.wait(LIMIT_S), lambda: None)
    lasting(threads, "good")
    began_at = clock.now()
    threads.end(0.1)
    assert 0.1 <= clock.now() - began_at < LIMIT_S
    [record] = caplog.records
    assert vars(record)["threads"] == "stuck"
    stuck.set()


def test_no_thread_starts_after_the_end(threads: ThreadGroup) -> None:
    """After its end, the group starts no thread: nothing would end it."""
    threads.end(0.0)
    begun = threading.Event()
    threads.start("late", begun.set)
    assert not any(thread.name == "late" for thread in threading.enumerate())
    assert not begun.is_set()


def test_foreign_threads_are_reported(
    threads: ThreadGroup, reported: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``threading.excepthook``, the group reports failures of other threads."""
    monkeypatch.setattr(threading, "excepthook", threads.excepthook)
    thread: Callable[..., threading.Thread] = threading.Thread
    thread(target=fail, name="foreign", daemon=True).start()
    assert reported.get(timeout=LIMIT_S).name == "foreign"
