"""The queue between all that report and the one that decides.

Putting never blocks, also in a signal handler, and nothing that was put is lost; the order is that
in which it was put.
"""

from __future__ import annotations

import queue
import signal
from types import FrameType

from wrapper.model.events import Event, SignalReceived

SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Events:
    """The queue of what has been reported; signal handlers and threads only put."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Report a fact; safe in any thread and in a signal handler."""
        self._queue.put(event)

    def listen_to_signals(self) -> None:
        """Queue the signals that mean something to the supervisor, from now on."""

        def report(number: int, _frame: FrameType | None) -> None:
            self.put(SignalReceived(number))

        for number in SIGNALS:
            signal.signal(number, report)

    def wait(self, timeout_s: float) -> Event | None:
        """Return the next event, None when none has come in time."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def waiting(self) -> Event | None:
        """Return the next event if there is one."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None
