"""The receivers of all endpoints, according to the newest order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wrapper.gate.in_flight import InFlight
from wrapper.gate.receiver import Receiver
from wrapper.model.gate import Endpoint


class Receivers(Mapping[str, Receiver]):
    """A mapping from the name of an endpoint to its receiver.

    A receiver keeps its connections as long as its endpoint does not change. The receiver of a
    removed endpoint stays until ``tidy``, because requests to it may still be in flight.
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

    def tidy(self, now: float, is_known: Callable[[str], bool]) -> None:
        """Remove the receivers that are not known, and close what has been idle for too long."""
        for name in [each for each in self._known if not is_known(each)]:
            self._known.pop(name)[1].close()
        for _, receiver in self._known.values():
            receiver.tidy(now)

    def __getitem__(self, name: str) -> Receiver:
        return self._known[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
