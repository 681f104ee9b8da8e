"""What is known of what ends a writer for certain; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.model.actions import Action, ArmSwitch, DisarmSwitch
from wrapper.model.events import Event, FenceChecked


@dataclass(frozen=True, slots=True)
class Fencing:
    """Why killing the child would not do, None before that was checked; when the switch kills."""

    obstacle: str | None = None
    switch_at: float | None = None


def fold(fencing: Fencing, happened: Event | Action) -> Fencing:
    """Return it with one event, or one action that was decided, taken in."""
    match happened:
        case FenceChecked(obstacle):
            return replace(fencing, obstacle=obstacle)
        case ArmSwitch(at):
            return replace(fencing, switch_at=at)
        case DisarmSwitch():
            return replace(fencing, switch_at=None)
        case _:
            return fencing
