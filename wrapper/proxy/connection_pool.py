"""A pool of greenlets, one for each connection, limited by the number of file descriptors."""

from __future__ import annotations

from gevent.pool import Pool

from wrapper.base.descriptors import connections

_MOST = 2000


class ConnectionPool(Pool):
    """Each greenlet takes a place by ``spawn``, and frees it when it ends."""

    def __init__(self) -> None:
        """Create as many places as the current limit of file descriptors allows."""
        self._size = connections(_MOST, descriptors_each=2)
        super().__init__(self._size)

    @property
    def is_nearly_full(self) -> bool:
        """Whether so few places are free that a slow client must be disconnected."""
        return self.free_count() <= self._size // 20
