"""Runs work that may take long, on request and in a thread of its own.

Guarantee: each request is answered with the result of a run that began after the request. Requests
that come during a run share the next run.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable

from wrapper.targets.fetch_requests import Done

LOG = logging.getLogger(__name__)


class BackgroundTask:
    """One kind of work. ``run`` is the thread's body."""

    def __init__(self, do: Callable[[], str]) -> None:
        """Take the work, a function that returns why it has to be repeated; "" if it has not."""
        self._do = do
        self._said = ""
        self._asking: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._is_ended = False

    def ask(self, done: Done) -> None:
        """Request a run. The thread calls ``done`` with its result."""
        self._asking.put(done)

    def end(self) -> None:
        """Stop the thread after the current run."""
        self._is_ended = True
        self.ask(lambda _problem: None)

    def run(self) -> None:
        """Do the work on request, until ``end``."""
        while True:
            waiting = [self._asking.get()]
            if self._is_ended:
                return
            while not self._asking.empty():
                waiting.append(self._asking.get())
            problem = self._problem()
            for done in waiting:
                done(problem)

    def _problem(self) -> str:
        """Do the work; return why to repeat it; log an unexpected error once until a success."""
        try:
            problem = self._do()
        except Exception as error:
            problem = f"unexpected error ({type(error).__name__}): please report it"
            if problem != self._said:
                LOG.exception("Promgen's task failed, retrying", extra={"reason": problem})
            self._said = problem
        else:
            self._said = ""
        return problem
