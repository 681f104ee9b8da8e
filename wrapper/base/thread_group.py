"""The group of threads of this process: starts them, watches them, and ends them at the end.

Guarantee: no thread ends unnoticed. If a thread raises, or returns without being told to end, that
is logged as an error and reported as an event, and the supervisor then stops.

Limitation: a thread that is stuck in a call cannot be ended. It remains until the process exits.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from wrapper.base import clock, threads
from wrapper.model.events import ThreadEnded

LOG = logging.getLogger(__name__)


class _Running(NamedTuple):
    thread: threading.Thread
    end: Callable[[], None]


class ThreadGroup:
    """The running threads. ``report`` gets an event if one ends unexpectedly."""

    def __init__(self, report: Callable[[ThreadEnded], None]) -> None:
        """Create an empty group."""
        self._report = report
        self._lock = threading.Lock()
        self._running: list[_Running] = []
        self._is_ending = False

    def start(
        self, name: str, run: Callable[[], object], end: Callable[[], None] | None = None
    ) -> None:
        """Start a thread that calls ``run``, which returns only after ``end`` has been called.

        Without an ``end``, it may return at any time. ``end`` is called in another thread, possibly
        before ``run``, and must not block. No thread is started after the group has been ended.
        Raises OSError if the system refuses another thread.
        """
        thread = threading.Thread(
            target=self._watch, args=(name, run, end is None), name=name, daemon=True
        )
        with self._lock:
            if self._is_ending:
                return
            self._running = [each for each in self._running if each.thread.is_alive()]
            threads.start(thread)
            self._running.append(_Running(thread, end or _nothing))

    def end(self, limit_s: float) -> None:
        """End all threads, the last one started first, and wait up to ``limit_s`` for them."""
        with self._lock:
            self._is_ending = True
            running = self._running[::-1]
        for each in running:
            each.end()
        until = clock.now() + limit_s
        for each in running:
            each.thread.join(max(until - clock.now(), 0.0))
        left = [each.thread.name for each in running if each.thread.is_alive()]
        if left:
            extra = {"threads": ", ".join(left), "limit_s": limit_s}
            LOG.warning("threads did not end in time", extra=extra)

    def excepthook(self, args: threading.ExceptHookArgs) -> None:
        """Report the error of a thread not started here; for ``threading.excepthook``."""
        name = args.thread.name if args.thread else "unknown"
        error = args.exc_value
        if error is not None and not isinstance(error, SystemExit):
            self._failed(name, error)

    def _watch(self, name: str, run: Callable[[], object], may_return: bool) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - every error has to be reported
            self._failed(name, error)
            return
        if not (may_return or self._is_ending):
            problem = "it returned without being asked to stop"
            LOG.error("thread %s ended unexpectedly", name, extra={"reason": problem})
            self._report(ThreadEnded(name, problem))

    def _failed(self, name: str, error: BaseException) -> None:
        problem = _in_short(error)
        LOG.error("thread %s ended unexpectedly", name, exc_info=error, extra={"reason": problem})
        self._report(ThreadEnded(name, problem))


def _nothing() -> None:
    """Do nothing: the ``end`` of a thread that needs none."""


def _in_short(error: BaseException) -> str:
    """Return an error's type and place, without its message, which may contain secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected error ({type(error).__name__}{where})"
