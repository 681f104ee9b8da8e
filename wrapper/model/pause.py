"""A requested pause from the election; shapes only. The web process needs it, and no events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pause:
    """When it ends; ``until_time`` is that as wall time."""

    until_at: float
    until_time: float
