"""What is known of the Prometheus that is supervised, and how it changes; pure."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, SignalPrometheus
from wrapper.model.events import ChildExited, ChildMeasured, Event, HealthProbed, ReadinessProbed
from wrapper.supervision import health
from wrapper.supervision.health import Health
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class ChildState:
    """How it is, and what was done to end it; ``pid`` is None where it is someone else's.

    ``status`` is that with which it has ended, None while it runs.
    """

    pid: int | None = None
    status: int | None = None
    exited_at: float = 0.0
    terminated_at: float | None = None
    killed_at: float | None = None
    is_ready: bool = False
    was_ready: bool = False
    readiness_detail: str = ""
    health: Health = field(default_factory=Health)
    usage: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_being_ended(self) -> bool:
        """Whether it was told to end."""
        return self.killed_at is not None or self.terminated_at is not None


def fold(child: ChildState, happened: Event | Action, now: float, policy: Policy) -> ChildState:
    """Return it with one event, or one action that was decided, taken in."""
    match happened:
        case ChildExited(status):
            return replace(child, status=status, exited_at=now, is_ready=False)
        case ReadinessProbed(is_ready, detail):
            was_ready = child.was_ready or is_ready
            return replace(child, is_ready=is_ready, was_ready=was_ready, readiness_detail=detail)
        case HealthProbed(is_healthy, detail):
            verdict = health.probed(
                child.health,
                is_healthy,
                detail,
                failures=policy.failure_threshold,
                successes=policy.success_threshold,
            )
            return replace(child, health=verdict)
        case ChildMeasured(usage):
            return replace(child, usage=usage)
        case SignalPrometheus(signal.SIGKILL):
            return replace(child, killed_at=now)
        case SignalPrometheus(signal.SIGTERM):
            return replace(child, terminated_at=now)
        case _:
            return child
