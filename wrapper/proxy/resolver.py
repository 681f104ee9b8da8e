"""Names looked up while others are served, however long DNS takes.

The guarantee: threads of its own, so that no other work of this process waits for them, and for
each name one lookup at a time: who asks meanwhile waits for that one. Where it ends: who waits sets
their own limit; a lookup cannot be broken off, and keeps its thread until it ends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from gevent.event import AsyncResult
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

Found = list[str] | Exception


def _look_up(name: str, port: int) -> Found:
    """Return what is found, or why not: what a thread raises would be printed."""
    try:
        found = get_original("socket", "getaddrinfo")(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Names:
    """Finds the addresses of up to ``most`` names."""

    def __init__(self, most: int, look_up: Callable[[str, int], Found] = _look_up) -> None:
        """Start no thread before there is something to look up."""
        self._look_up = look_up
        self._threads = ThreadPool(max(most, 1))
        self._running: dict[tuple[str, int], AsyncResult[Found]] = {}

    def addresses(self, name: str, port: int) -> list[str]:
        """Return them, the best first; raise OSError, or UnicodeError for what DNS cannot hold."""
        running = self._running.get((name, port))
        if running is None or running.ready():
            running = self._threads.spawn(self._look_up, name, port)
            self._running[name, port] = running
        found = running.get()
        if isinstance(found, Exception):
            raise found
        return found or []
