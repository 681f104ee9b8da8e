"""The endpoints that the newest order no longer has; pure.

A removed endpoint is kept while a request for it is in flight, then it is forgotten. If samples
were given up for it, its counters are kept and reported as long as the gate runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from wrapper.gate.endpoint_state import EndpointState
from wrapper.gate.held import Budget
from wrapper.model.gate import Endpoint, EndpointReport

_LOST = "samples_given_up"


class RemovedEndpoints:
    """The states of removed endpoints, by name; see the module."""

    def __init__(self) -> None:
        self._states: dict[str, EndpointState] = {}
        self._counters: dict[str, dict[str, float]] = {}  # of those that were forgotten

    def __iter__(self) -> Iterator[EndpointState]:
        return iter(self._states.values())

    def get(self, name: str) -> EndpointState | None:
        """Return the state of a removed endpoint, None if it is unknown or forgotten."""
        return self._states.get(name)

    def add(self, state: EndpointState) -> None:
        """Add an endpoint that was removed."""
        self._states[state.endpoint.name] = state

    def restored(self, endpoint: Endpoint, budget: Budget) -> EndpointState:
        """Return the state for an endpoint that is new, or that was removed and comes back."""
        state = self._states.pop(endpoint.name, None) or EndpointState(endpoint, budget)
        state.counters |= self._counters.pop(endpoint.name, {})
        return state

    def forget(self) -> None:
        """Forget the endpoints that have nothing in flight, nothing held, and nothing to log."""
        for name, state in [*self._states.items()]:
            if not state.is_needed:
                del self._states[name]
                if state.counters[_LOST]:
                    self._counters[name] = state.counters

    def reports(self, wall_ms: int, *, is_open: bool) -> Iterator[EndpointReport]:
        """Yield the reports of those endpoints for which samples were given up."""
        for state in self:
            if state.counters[_LOST]:
                yield state.report(wall_ms, is_open=is_open)
        for name, counters in self._counters.items():
            yield EndpointReport(name, counters=counters)
