"""A time limit around a call that has none of its own, or one that does not bound the whole.

The guarantee: the caller goes on after the limit, whatever the call does. Where it ends: the call
itself cannot be stopped; its thread lives on until it returns, so the caller takes from it what it
waits for (its connection, say) and counts on nothing that it still does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def with_timeout(call: Callable[[], T], limit_s: float) -> T:
    """Return what ``call`` returns, or raise what it raises; after ``limit_s`` TimeoutError.

    The call runs in a daemon thread of its own.
    """
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, call), name="with_timeout", daemon=True).start()
    return future.result(limit_s)


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
        future.set_exception(error)
