"""The connections whose client the server waits for, and how much of a request each has sent.

Guarantee: together, their incomplete requests use no more memory than the limit.

Limitation: how long the server waits for a client is limited elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wrapper.proxy.client_connection import Client
from wrapper.proxy.http_head import is_head_over


class WaitingClients:
    """The waiting connections; if they use too much memory, the largest are disconnected."""

    def __init__(self, most_bytes: int) -> None:
        """Set the limit for all of them together, in bytes."""
        self._most_bytes = most_bytes
        self._sizes: dict[Client, int] = {}  # in the order in which they began to wait
        self._bytes = 0

    @contextmanager
    def wait(self, client: Client) -> Iterator[WaitingClients]:
        """Count a connection as waiting for its client, inside this context."""
        self._sizes[client] = 0
        try:
            yield self
        finally:
            self._bytes -= self._sizes.pop(client, 0)

    def await_head(self, client: Client) -> None:
        """Wait for a complete head, or for bytes that cannot become one; raise ClientGone."""
        looked_at = 0
        while not is_head_over(client.data, looked_at):
            self.set_size(client, len(client.data))
            looked_at = len(client.data)
            client.data += client.receive()

    def set_size(self, client: Client, size: int) -> None:
        """Record how many bytes of its request a client has sent."""
        if client in self._sizes:
            self._bytes += size - self._sizes[client]
            self._sizes[client] = size
        while self._bytes > self._most_bytes:
            self._hang_up(max(self._sizes, key=self._sizes.__getitem__))

    def hang_up_longest(self) -> bool:
        """Disconnect the client that has been waited for longest; return whether there was one."""
        longest = next(iter(self._sizes), None)
        if longest is None:
            return False
        self._hang_up(longest)
        return True

    def _hang_up(self, client: Client) -> None:
        self._bytes -= self._sizes.pop(client)
        client.hang_up()
