"""The state of this replica's Prometheus process, and how events and actions change it; pure."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action, SignalPrometheus
from wrapper.model.events import ChildExited, ChildMeasured, Event, HealthProbed, ReadinessProbed
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class Health:
    """Whether Prometheus counts as healthy; ``streak`` successive probes had the other result."""

    is_healthy: bool = True
    streak: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChildState:
    """The process, the results of its probes, and the signals sent to end it.

    - ``pid``: None for a sidecar.
    - ``status``: the exit status, None while the process runs.
    - ``terminated_at``, ``killed_at``: when SIGTERM, or SIGKILL, was sent; None if it was not.
    - ``was_ready``: whether it has been ready at any time.
    - ``usage``: the last measured resource usage, by name.
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
        """Whether SIGTERM or SIGKILL was sent to it."""
        return self.killed_at is not None or self.terminated_at is not None


def fold(child: ChildState, happened: Event | Action, now: float, policy: Policy) -> ChildState:
    """Return the state after one event, or after one action of the plan."""
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
    """Return the health after one probe.

    A healthy Prometheus counts as unhealthy after ``failures`` successive failed probes, and as
    healthy again after ``successes`` successive successful ones.
    """
    if is_healthy == health.is_healthy:
        return replace(health, streak=0, detail=detail)
    streak = health.streak + 1
    if streak >= (successes if is_healthy else failures):
        return Health(is_healthy, 0, detail)
    return replace(health, streak=streak, detail=detail)
