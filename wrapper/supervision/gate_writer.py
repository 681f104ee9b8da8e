"""The Writer by way of the gate: it makes Prometheus' samples reach the receivers; pure.

Every replica's Prometheus sends to its own gate all the time. The gate that is open passes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.supervision.gate_state import GateState
from wrapper.supervision.policy import Policy

OPENING_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class GateWriter:
    """The state of the gate; ``has_endpoints``: some remote_write goes through it."""

    gate: GateState
    has_endpoints: bool
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether the gate may pass a request on, or have one under way."""
        return self.gate.may_pass

    @property
    def is_open(self) -> bool:
        """Whether the gate has reported that it is open."""
        return self.gate.passes

    @property
    def would_write(self) -> bool:
        """Whether any remote_write goes through the gate."""
        return self.has_endpoints

    def opening_problem(self, _policy: Policy, now: float) -> str:
        """Return why opening it has failed, "" while it may succeed, or has."""
        gate = self.gate
        is_awaited = gate.order.until is not None and not gate.passes
        if not is_awaited or now < gate.opened_at + OPENING_LIMIT_S:
            return ""
        return f"the gate did not open within {OPENING_LIMIT_S:g} s"

    @property
    def closing_problem(self) -> str:
        """Return "": a gate that does not close is killed at the last moment."""
        return ""
