"""Small things that all tests share: waits with a deadline, and free ports."""

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
    """Have the system refuse every further thread, until the end of the test."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def wait_until(
    predicate: Callable[[], T], timeout_s: float, what: str, poll_s: float | None = None
) -> T:
    """Call `predicate` until it answers something true, and return that.

    An OSError (a refused connection, say; those of requests are OSErrors too) counts as not yet.
    Without `poll_s`, what takes longer than a second is asked for less often: most predicates send
    a request, and the tests that run beside this one need the processors.
    Raises AssertionError, naming `what` and the last answer, after `timeout_s` seconds.
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
    """Return how long something takes: measured again while it is more than was promised.

    A busy machine only ever adds to a time; what is really late is so each time.
    """
    taken_s = measure()
    for _ in range(tries - 1):
        if taken_s < promised_s:
            break
        taken_s = min(taken_s, measure())
    return taken_s


def now() -> float:
    """Return the seconds since boot, as the program has them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def let_pass(seconds: float) -> None:
    """Let a quiet time pass, where that is the claim: what happens in it is asked afterwards."""
    time.sleep(max(seconds, 0.0))


def free_port() -> int:
    """Return a loopback port that nobody listens on, never the same twice.

    It lies below the range that the kernel takes for outgoing connections, so that none of those
    can have it before its user does, and in a block that is this process' own, so that no test
    which runs beside can either.
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
    """Take the ports of a block that no other test process on this machine has taken.

    An abstract socket is the mark: nobody else can bind its name while this process lives.
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
    """Tell whether the other side, which sends nothing more now, has closed a connection."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether someone accepts connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
