"""Sets a time limit for a call that has none, or that only limits its parts.

Guarantee: the caller continues after the limit, whatever the call does.

Limitation: the call cannot be stopped. Its thread runs until it returns. So the caller should close
what the call waits for (for example its connection), and must not rely on the call's later effects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from wrapper.base import threads

T = TypeVar("T")


def with_timeout(call: Callable[[], T], limit_s: float) -> T:
    """Return what ``call`` returns, or raise its error; raise TimeoutError after ``limit_s``.

    The call runs in a daemon thread of its own. Raise OSError if the system refuses a thread.
    """
    future: Future[T] = Future()
    threads.start(
        threading.Thread(target=_settle, args=(future, call), name="with_timeout", daemon=True)
    )
    try:
        return future.result(limit_s)
    finally:
        del future  # as below


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
        future.set_exception(error)
        # The future holds the error, its traceback this frame, and this frame the future. The cycle
        # would keep all that the call has read, MiBs perhaps, until the garbage collector runs.
        del future
