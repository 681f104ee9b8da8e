"""Helpers of all tests: waits with a deadline, and free ports."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

OFTEN_S, POLL_S, SELDOM_POLL_S = 1.0, 0.02, 0.05
PORTS = range(15_000, 32_000)
BLOCK = 50
_ours: list[int] = []
_marks: list[socket.socket] = []


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every start of a thread fail until the end of the test."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def wait_until(
    predicate: Callable[[], T], timeout_s: float, what: str, poll_s: float | None = None
) -> T:
    """Call `predicate` until it returns a true value, and return that.

    An OSError, such as a refused connection, counts as false; the errors of requests are OSErrors.
    Without `poll_s`, the calls become less frequent after a second: most predicates send a request,
    and other tests need the processors.
    After `timeout_s` seconds, raises AssertionError with `what` and the last answer.
    """
    deadline = time.monotonic() + timeout_s
    often_until = time.monotonic() + OFTEN_S
    while True:
        answer: T | OSError
        try:
            answer = predicate()
            if answer:
                return answer
        except OSError as error:
            answer = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain: {what}; last answer: {answer!r}")
        is_early = time.monotonic() < often_until
        time.sleep(poll_s if poll_s is not None else POLL_S if is_early else SELDOM_POLL_S)


def least(measure: Callable[[], float], promised_s: float, tries: int = 5) -> float:
    """Return the seconds that something takes; repeat while that is more than was promised.

    A busy machine can only increase a time; what is really late is late each time.
    """
    taken_s = measure()
    for _ in range(tries - 1):
        if taken_s < promised_s:
            break
        taken_s = min(taken_s, measure())
    return taken_s


def now() -> float:
    """Return the seconds since boot, by the program's clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def let_pass(seconds: float) -> None:
    """Wait for a time in which nothing may happen, which the test checks afterwards."""
    time.sleep(max(seconds, 0.0))


def free_port() -> int:
    """Return a free loopback port, never the same twice.

    It is below the kernel's range for outgoing connections, and in a block of this process, so that
    neither a connection nor another test can use it first.
    """
    while True:
        if not _ours:
            _ours.extend(_free_block())
        port = _ours.pop()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if _can_bind(probe, port):
                return port


def _free_block() -> list[int]:
    """Reserve a block of ports that no other test process on this machine has.

    An abstract socket reserves it: no other process can bind its name while this process lives.
    """
    while True:
        first = random.randrange(PORTS.start, PORTS.stop, BLOCK)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0prometheus-elector-test-ports-{first}")
        except OSError:
            mark.close()
            continue
        _marks.append(mark)
        return random.sample(range(first, first + BLOCK), BLOCK)


def _can_bind(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def has_gone(connection: socket.socket) -> bool:
    """Return whether the other side of a connection, which sends no more data, has closed it."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
