"""Thresholds and pauses; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Health:
    """Whether Prometheus counts as healthy, and how many probes in a row say otherwise."""

    is_healthy: bool = True
    streak: int = 0
    detail: str = ""


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
