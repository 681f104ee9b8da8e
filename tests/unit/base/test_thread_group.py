"""A group of threads: what ends unasked is told, and at the end all are ended and waited for."""

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
Told = queue.SimpleQueue[ThreadEnded]


@pytest.fixture
def told() -> Told:
    """Give what a group reports."""
    return queue.SimpleQueue()


@pytest.fixture
def threads(told: Told) -> ThreadGroup:
    """Give a group of nobody."""
    return ThreadGroup(told.put)


def lasting(threads: ThreadGroup, name: str) -> threading.Event:
    """Start a thread that lasts until it is ended; return what says that it has been."""
    ended = threading.Event()
    threads.start(name, ended.wait, ended.set)
    return ended


def fail() -> None:
    """Raise what nobody foresaw."""
    raise ValueError("hunter2")


def test_a_group_of_nobody_ends_at_once(
    threads: ThreadGroup, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to wait for."""
    threads.end(LIMIT_S)
    assert told.empty()
    assert not caplog.records


def test_one_that_raises_is_told(
    threads: ThreadGroup, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """With its place, and not its words, which may be secret; the log has its traceback."""
    threads.start("first", fail, lambda: None)
    ended = told.get(timeout=LIMIT_S)
    assert ended.name == "first"
    assert "(ValueError in test_thread_group.py:" in ended.problem
    assert "hunter2" not in ended.problem
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


@pytest.mark.parametrize("error", [RecursionError, SystemExit, KeyboardInterrupt])
def test_whatever_ends_it_is_told(
    threads: ThreadGroup, told: Told, error: type[BaseException]
) -> None:
    """Also what Python takes for no error of a thread."""

    def leave() -> None:
        raise error

    threads.start("first", leave, lambda: None)
    assert error.__name__ in told.get(timeout=LIMIT_S).problem


def test_one_that_returns_unasked_is_told(
    threads: ThreadGroup, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """It was to last."""
    threads.start("first", lambda: None, lambda: None)
    assert told.get(timeout=LIMIT_S).name == "first"
    [record] = caplog.records
    assert record.levelno == logging.ERROR


def test_one_without_an_end_may_return(threads: ThreadGroup, told: Told) -> None:
    """And yet not fail."""
    done = threading.Event()
    threads.start("short", done.set)
    assert done.wait(LIMIT_S)
    threads.start("failing", fail)
    assert told.get(timeout=LIMIT_S).name == "failing"
    assert told.empty()


def test_many_are_ended_and_waited_for_the_last_first(
    threads: ThreadGroup, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """What builds on another is ended before it; nothing of that is told."""
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
    assert told.empty()
    assert not caplog.records


def test_one_of_many_that_fails_leaves_the_others_alone(threads: ThreadGroup, told: Told) -> None:
    """Who ends then is the supervisor's to say."""
    others = [lasting(threads, "before"), lasting(threads, "after")]
    threads.start("failing", fail, lambda: None)
    assert told.get(timeout=LIMIT_S).name == "failing"
    assert not any(other.is_set() for other in others)
    threads.end(LIMIT_S)
    assert all(other.is_set() for other in others)


def test_one_that_does_not_end_is_named_and_left(
    threads: ThreadGroup, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the process waits for nobody longer than that."""
    stuck = threading.Event()
    threads.start("stuck", lambda: stuck.wait(LIMIT_S), lambda: None)
    lasting(threads, "good")
    began_at = clock.now()
    threads.end(0.1)
    assert 0.1 <= clock.now() - began_at < LIMIT_S
    [record] = caplog.records
    assert vars(record)["threads"] == "stuck"
    stuck.set()


def test_nothing_is_started_at_the_end(threads: ThreadGroup) -> None:
    """It would not be ended."""
    threads.end(0.0)
    begun = threading.Event()
    threads.start("late", begun.set)
    assert not any(thread.name == "late" for thread in threading.enumerate())
    assert not begun.is_set()


def test_threads_that_others_start_are_told_too(
    threads: ThreadGroup, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hook of the process."""
    monkeypatch.setattr(threading, "excepthook", threads.excepthook)
    thread: Callable[..., threading.Thread] = threading.Thread
    thread(target=fail, name="foreign", daemon=True).start()
    assert told.get(timeout=LIMIT_S).name == "foreign"
