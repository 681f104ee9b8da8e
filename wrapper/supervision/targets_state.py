"""What is told of the files that are fetched, and of the broker's queue; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrapper.model import Action, Event, FeedReported, QueueReported
from wrapper.targets.feed import FeedState, QueueState


@dataclass(frozen=True, slots=True)
class TargetsState:
    """The last report of each file, by its path, and of the queue, if there is one."""

    feeds: Mapping[str, FeedState] = field(default_factory=dict)
    queue: QueueState | None = None


def fold(targets: TargetsState, happened: Event | Action) -> TargetsState:
    """Return it with one event taken in."""
    match happened:
        case FeedReported(state):
            return replace(targets, feeds={**targets.feeds, state.file: state})
        case QueueReported(state):
            return replace(targets, queue=state)
        case _:
            return targets
