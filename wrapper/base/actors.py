"""The threads of this process: each is started here, watched while it runs, and ended at the end.

The guarantee: none ends unseen. One that raises, or returns without having been asked to, is
logged, an error with its traceback, and reported as an event; the supervisor leaves then. Where it
ends: a thread that is stuck in a call cannot be ended, and is left behind when the process exits.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from wrapper.base import clock
from wrapper.model.events import ActorEnded

LOG = logging.getLogger(__name__)


class _Actor(NamedTuple):
    thread: threading.Thread
    end: Callable[[], None]


class Actors:
    """The threads that were started and still run; ``report`` receives what should not happen."""

    def __init__(self, report: Callable[[ActorEnded], None]) -> None:
        """Start nothing."""
        self._report = report
        self._lock = threading.Lock()
        self._actors: list[_Actor] = []
        self._is_ending = False

    def start(
        self, name: str, run: Callable[[], object], end: Callable[[], None] | None = None
    ) -> None:
        """Start a thread that runs until ``end`` is called; without an ``end`` it may return.

        ``end`` is called in another thread, and must not block; it may come before ``run``. Nothing
        is started any more once all are being ended.
        """
        thread = threading.Thread(
            target=self._watch, args=(name, run, end is None), name=name, daemon=True
        )
        with self._lock:
            if self._is_ending:
                return
            self._actors = [each for each in self._actors if each.thread.is_alive()]
            thread.start()
            self._actors.append(_Actor(thread, end or _nothing))

    def end(self, limit_s: float) -> None:
        """End all, those started last first, and wait so long for them to return."""
        with self._lock:
            self._is_ending = True
            actors = self._actors[::-1]
        for actor in actors:
            actor.end()
        until = clock.now() + limit_s
        for actor in actors:
            actor.thread.join(max(until - clock.now(), 0.0))
        left = [actor.thread.name for actor in actors if actor.thread.is_alive()]
        if left:
            extra = {"threads": ", ".join(left), "limit_s": limit_s}
            LOG.warning("threads have not ended in time and are left behind", extra=extra)

    def caught(self, args: threading.ExceptHookArgs) -> None:
        """Take in the error of a thread that was not started here: a ``threading.excepthook``."""
        name = args.thread.name if args.thread else "unknown"
        error = args.exc_value
        if error is not None and not isinstance(error, SystemExit):
            self._failed(name, error)

    def _watch(self, name: str, run: Callable[[], object], may_return: bool) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - whatever ends a thread has to be known
            self._failed(name, error)
            return
        if not (may_return or self._is_ending):
            problem = "it returned without having been asked to"
            LOG.error("the thread %s has ended", name, extra={"reason": problem})
            self._report(ActorEnded(name, problem))

    def _failed(self, name: str, error: BaseException) -> None:
        problem = _in_short(error)
        LOG.error("the thread %s has ended", name, exc_info=error, extra={"reason": problem})
        self._report(ActorEnded(name, problem))


def _nothing() -> None:
    """End what ends by itself."""


def _in_short(error: BaseException) -> str:
    """Return an error's kind and place; its words may hold secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"an error that nobody foresaw ({type(error).__name__}{where})"
