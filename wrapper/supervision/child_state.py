"""The state of this replica's Prometheus, and how events and actions change it; pure."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, SignalPrometheus
from wrapper.model.events import ChildExited, ChildMeasured, Event, HealthProbed, ReadinessProbed
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class Health:
    """Whether Prometheus counts as healthy, and how many probes in a row say the opposite."""

    is_healthy: bool = True
    streak: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChildState:
    """The process, its probes, and what was done to end it.

    ``pid`` is None for a sidecar. ``status`` is its exit status, None while it runs.
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
        """Whether SIGTERM or SIGKILL was sent."""
        return self.killed_at is not None or self.terminated_at is not None


def fold(child: ChildState, happened: Event | Action, now: float, policy: Policy) -> ChildState:
    """Fold in one event, or one action of the loop's decision."""
    match happened:
        case ChildExited(status):
            return replace(child, status=status, exited_at=now, is_ready=False)
        case ReadinessProbed(is_ready, detail):
            was_ready = child.was_ready or is_ready
            return replace(child, is_ready=is_ready, was_ready=was_ready, readiness_detail=detail)
        case HealthProbed(is_healthy, detail):
            verdict = probed(
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


def probed(
    health: Health, is_healthy: bool, detail: str, *, failures: int, successes: int
) -> Health:
    """Fold in one probe: ``failures`` (or ``successes``) in a row turn the verdict."""
    if is_healthy == health.is_healthy:
        return replace(health, streak=0, detail=detail)
    streak = health.streak + 1
    if streak >= (successes if is_healthy else failures):
        return Health(is_healthy, 0, detail)
    return replace(health, streak=streak, detail=detail)
