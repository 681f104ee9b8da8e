"""Look up DNS names in threads, so that other requests are served in the meantime.

Guarantees: the threads are not shared, so nothing else in this process waits for a lookup. Each
name has only one lookup at a time, for which all callers wait.

Limitations: there is no time limit here; callers set their own. A lookup cannot be cancelled, and
occupies its thread until it ends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from copy import copy

from gevent.event import AsyncResult
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

Found = list[str] | Exception


def _look_up(name: str, port: int) -> Found:
    """Return the addresses, or the error: gevent would print an error that a thread raises."""
    try:
        found = get_original("socket", "getaddrinfo")(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Resolver:
    """Looks up names, up to ``most`` at a time."""

    def __init__(self, most: int, look_up: Callable[[str, int], Found] = _look_up) -> None:
        """Prepare; threads are started with the first lookups."""
        self._look_up = look_up
        self._threads = ThreadPool(max(most, 1))
        self._running: dict[tuple[str, int], AsyncResult[Found]] = {}

    def addresses(self, name: str, port: int) -> list[str]:
        """Return a name's addresses, best first; raise OSError, or UnicodeError if invalid."""
        running = self._running.get((name, port))
        if running is None or running.ready():
            running = self._threads.spawn(self._look_up, name, port)
            self._running[name, port] = running
        found = running.get()
        if isinstance(found, Exception):
            raise copy(found)  # the traceback of this one would keep all requests it is raised for
        return found or []
