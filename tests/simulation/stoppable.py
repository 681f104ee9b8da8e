"""A process that is made of callbacks: it can be stopped for a while, and ended.

What should happen while it is stopped happens when it goes on, in order: so do sockets keep what
came. After its end nothing happens in it.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.hub import Hub


class Stoppable:
    """See the module."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.is_alive = True
        self.paused_until = 0.0

    def pause(self, until: float) -> None:
        """Stop it until a time, as SIGSTOP does."""
        self.paused_until = max(self.paused_until, until)

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Have something happen in it later."""
        self.hub.after(seconds, lambda: self.run(happen))

    def run(self, happen: Callable[[], None]) -> None:
        """Have something happen in it as soon as it runs."""
        if not self.is_alive:
            return
        if self.hub.now < self.paused_until:
            self.hub.at(self.paused_until, lambda: self.run(happen))
        else:
            happen()


class Line:
    """A way on which messages are late but stay in order, as a socket is one."""

    def __init__(self, hub: Hub, longest_s: float) -> None:
        self._hub = hub
        self._longest_s = longest_s
        self._last_at = 0.0

    def send(self, share: float, arrive: Callable[[], None]) -> None:
        """Have a message arrive after a share, from 0 to 1, of the longest delay."""
        self._last_at = max(self._last_at, self._hub.now + share * self._longest_s)
        self._hub.at(self._last_at, arrive)
