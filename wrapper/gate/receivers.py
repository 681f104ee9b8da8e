"""The receivers of all endpoints, according to the newest order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wrapper.gate.in_flight import InFlight
from wrapper.gate.receiver import Receiver
from wrapper.model.gate import Endpoint


class Receivers(Mapping[str, Receiver]):
    """A mapping from the name of an endpoint to its receiver.

    A receiver keeps its connections as long as its endpoint does not change. The receiver of a
    removed endpoint stays, because requests to it may still be in flight.
    """

    def __init__(self, in_flight: InFlight) -> None:
        """Create an empty mapping."""
        self._in_flight = in_flight
        self._known: dict[str, tuple[Endpoint, Receiver]] = {}

    def keep(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Update the receivers to the endpoints of an order."""
        for each in endpoints:
            known = self._known.get(each.name)
            if known is not None and known[0] == each:
                continue
            self._known[each.name] = (each, Receiver(each, self._in_flight))
            if known is not None:
                known[1].close()

    def tidy(self, now: float) -> None:
        """Close connections that have been idle for too long."""
        for _, receiver in self._known.values():
            receiver.tidy(now)

    def __getitem__(self, name: str) -> Receiver:
        return self._known[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
