"""The queue of events, from the threads and signal handlers to the loop.

Guarantee: ``put`` never blocks, even in a signal handler. No event is lost, and their order is
kept.
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
    """The queue of events; only the loop takes from it."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Report an event; safe in any thread and in a signal handler."""
        self._queue.put(event)

    def listen_to_signals(self) -> None:
        """Install handlers that report each signal of ``SIGNALS`` as an event."""

        def report(number: int, _initial_state: FrameType | None) -> None:
            self.put(SignalReceived(number))

        for number in SIGNALS:
            signal.signal(number, report)

    def ignore_signals(self) -> None:
        """Ignore all further signals of ``SIGNALS``: the exit status is decided.

        At its exit, Python restores the default action of each signal that has a handler. A late
        signal would then kill the process, and replace its exit status.
        """
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def wait(self, timeout_s: float) -> Event | None:
        """Wait for the next event and return it; None if none arrives within ``timeout_s``."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def waiting(self) -> Event | None:
        """Return the next event without waiting, None if the queue is empty."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None
