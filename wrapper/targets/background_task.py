"""Something that may take long, done by a thread of its own, once for all who ask meanwhile.

Whoever asks is told of one that began afterwards. The guarantee: whatever that ends with, they are
told, and the next who ask have it done again. Where it ends: what it is that is done.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable

from wrapper.targets.fetch_requests import Done

LOG = logging.getLogger(__name__)


class BackgroundTask:
    """One such thing; ``run`` is the thread's body."""

    def __init__(self, do: Callable[[], str]) -> None:
        """Take what does it, and returns why to ask again, "" for no reason."""
        self._do = do
        self._said = ""
        self._asking: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._is_ended = False

    def ask(self, done: Done) -> None:
        """Have it done soon; ``done`` is called from its thread."""
        self._asking.put(done)

    def end(self) -> None:
        """Do it no more."""
        self._is_ended = True
        self.ask(lambda _problem: None)

    def run(self) -> None:
        """Do it whenever it is asked for, until ``end``."""
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
        """Do it; return why to ask again. What nobody foresaw is logged once, until it is done."""
        try:
            problem = self._do()
        except Exception as error:
            problem = f"it could not be done ({type(error).__name__}): please report it"
            if problem != self._said:
                LOG.exception(
                    "a task of Promgen's failed; it is tried again", extra={"reason": problem}
                )
            self._said = problem
        else:
            self._said = ""
        return problem
