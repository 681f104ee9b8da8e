"""The places of connections: a greenlet for each, as many as there are descriptors for."""

from __future__ import annotations

from gevent.pool import Pool

from wrapper.base.descriptors import connections

_MOST = 2000


class Places(Pool):
    """Take a place by ``spawn``; it is given back when the greenlet ends."""

    def __init__(self) -> None:
        """Make as many places as fit into the limit of descriptors now."""
        self._places = connections(_MOST, descriptors_each=2)
        super().__init__(self._places)

    @property
    def are_few(self) -> bool:
        """Whether so few are free that a client that dawdles has to give way."""
        return self.free_count() <= self._places // 20
