"""A process that consists of callbacks: it can be stopped until a time, and ended.

Callbacks that are due while it is stopped run when it continues, in order, as sockets keep data.
After its end no callback runs.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.hub import Hub


class Stoppable:
    """A process that can be stopped and ended."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.is_alive = True
        self.paused_until = 0.0

    def pause(self, until: float) -> None:
        """Stop it until a time, as SIGSTOP does."""
        self.paused_until = max(self.paused_until, until)

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Schedule a callback in the process after some seconds."""
        self.hub.after(seconds, lambda: self.run(happen))

    def run(self, happen: Callable[[], None]) -> None:
        """Run a callback in the process as soon as it is not stopped."""
        if not self.is_alive:
            return
        if self.hub.now < self.paused_until:
            self.hub.at(self.paused_until, lambda: self.run(happen))
        else:
            happen()


class Line:
    """A connection on which messages are delayed but stay in order, like a socket."""

    def __init__(self, hub: Hub, longest_s: float) -> None:
        self._hub = hub
        self._longest_s = longest_s
        self._last_at = 0.0

    def send(self, share: float, arrive: Callable[[], None]) -> None:
        """Deliver a message after a share, from 0 to 1, of the longest delay."""
        self._last_at = max(self._last_at, self._hub.now + share * self._longest_s)
        self._hub.at(self._last_at, arrive)
