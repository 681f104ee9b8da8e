"""The gate as a Writer: Prometheus' samples reach the receivers through it; pure.

Each replica's Prometheus always sends to its own gate. Only an open gate passes the samples on.
"""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.supervision.gate_state import GateState
from wrapper.supervision.policy import Policy

OPENING_LIMIT_S = 10.0  # from the order to open until the gate must have reported that it is open


@dataclass(frozen=True, slots=True)
class GateWriter:
    """The state of the gate.

    ``has_endpoints`` is whether any remote_write is sent through the gate.
    """

    gate: GateState
    has_endpoints: bool
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether the gate may pass a request on, or have one in flight."""
        return self.gate.may_pass

    @property
    def is_open(self) -> bool:
        """Whether the gate has reported that it is open."""
        return self.gate.passes

    @property
    def would_write(self) -> bool:
        """Whether any remote_write is sent through the gate."""
        return self.has_endpoints

    def opening_problem(self, _policy: Policy, now: float) -> str:
        """Return why the gate did not open in time, "" if it has opened or still may."""
        gate = self.gate
        is_awaited = gate.order.open_until is not None and not gate.passes
        if not is_awaited or now < gate.opened_at + OPENING_LIMIT_S:
            return ""
        return f"the gate did not open within {OPENING_LIMIT_S:g} s"
