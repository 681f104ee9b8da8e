"""What is told of the files that are fetched, and of the broker's queue; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wrapper.model.actions import Action
from wrapper.model.events import Event, FeedReported, QueueReported


@dataclass(frozen=True, slots=True)
class TargetsState:
    """The last report of each file, by its path, and of the queue, if there is one."""

    feeds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    queue: Mapping[str, Any] | None = None


def fold(targets: TargetsState, happened: Event | Action) -> TargetsState:
    """Return it with one event taken in."""
    match happened:
        case FeedReported(state):
            return replace(targets, feeds={**targets.feeds, state["file"]: state})
        case QueueReported(state):
            return replace(targets, queue=state)
        case _:
            return targets
