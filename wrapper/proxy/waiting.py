"""The connections that wait for their clients, and what these have sent of a request so far.

The guarantee: together they hold no more bytes than they may. Where it ends: how long a client is
waited for is limited elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wrapper.proxy.client_connection import Client
from wrapper.proxy.http_head import is_head_over


class Waiting:
    """See the module; where it is too much, those that hold most are cut off."""

    def __init__(self, most_bytes: int) -> None:
        """Take how many bytes they may hold together."""
        self._most_bytes = most_bytes
        self._sizes: dict[Client, int] = {}  # in the order in which they began to wait
        self._bytes = 0

    @contextmanager
    def wait(self, client: Client) -> Iterator[Waiting]:
        """Count a connection as waiting for its client, inside this context."""
        self._sizes[client] = 0
        try:
            yield self
        finally:
            self._bytes -= self._sizes.pop(client, 0)

    def await_head(self, client: Client) -> None:
        """Wait for a whole head, or for bytes that cannot become one; raise ClientGone."""
        looked_at = 0
        while not is_head_over(client.data, looked_at):
            self.holds(client, len(client.data))
            looked_at = len(client.data)
            client.data += client.receive()

    def holds(self, client: Client, size: int) -> None:
        """Take note of how many bytes a client has sent of its request."""
        if client in self._sizes:
            self._bytes += size - self._sizes[client]
            self._sizes[client] = size
        while self._bytes > self._most_bytes:
            self._cut(max(self._sizes, key=self._sizes.__getitem__))

    def cut_longest(self) -> bool:
        """Hang up on the client that has been waited for longest; tell whether there was one."""
        longest = next(iter(self._sizes), None)
        if longest is None:
            return False
        self._cut(longest)
        return True

    def _cut(self, client: Client) -> None:
        self._bytes -= self._sizes.pop(client)
        client.hang_up()
