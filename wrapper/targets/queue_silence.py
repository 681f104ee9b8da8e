"""Whether a queue is silent though it should not be; pure.

Promgen tells of each change by a message. Changes that fetching at the interval finds, and no
message between them, show a queue that Promgen does not know. One or two may be found just before
their message comes. Where it ends: where nothing changes, nothing shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MANY_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Silence:
    """How many changes of each file nobody had asked for when the last message came."""

    then: Mapping[str, int]

    def changes(self, now: Mapping[str, int]) -> int:
        """Return how many there were since, of the file that has most: some change together."""
        return max((count - self.then.get(file, 0) for file, count in now.items()), default=0)


def silent(queue: str) -> str:
    """Say what is most likely wrong with a silent queue, and the cure."""
    return (
        "no message comes, though fetching at the interval finds changes: register this server in "
        f"Promgen by the name of the queue (register-server SHARD {queue} PORT), or name the queue "
        "by which it is registered with --targets-queue"
    )
