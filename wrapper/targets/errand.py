"""Something that may take long, done by a thread of its own, once for all who ask meanwhile.

Whoever asks is told of one that began afterwards. Where it ends: what it is that is done.
"""

from __future__ import annotations

import queue
from collections.abc import Callable

from wrapper.targets.feed_requests import Done


class Errand:
    """One such thing; ``run`` is the thread's body."""

    def __init__(self, do: Callable[[], str]) -> None:
        """Take what does it, and returns why to ask again, "" for no reason."""
        self._do = do
        self._asking: queue.SimpleQueue[Done] = queue.SimpleQueue()

    def ask(self, done: Done) -> None:
        """Have it done soon; ``done`` is called from its thread."""
        self._asking.put(done)

    def run(self) -> None:
        """Do it whenever it is asked for, for ever."""
        while True:
            waiting = [self._asking.get()]
            while not self._asking.empty():
                waiting.append(self._asking.get())
            problem = self._do()
            for done in waiting:
                done(problem)
