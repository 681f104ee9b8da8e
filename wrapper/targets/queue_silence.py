"""Whether a queue is silent because Promgen does not know it; pure.

Promgen sends a message for each change. If scheduled fetches find ``MANY_CHANGES`` without any
message, Promgen does not know the queue. Fewer prove nothing: a fetch may find a change just before
its message comes. While nothing changes, a wrong queue is not noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MANY_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Silence:
    """The unannounced changes of each file, as counted when the last message came."""

    then: Mapping[str, int]

    def changes(self, now: Mapping[str, int]) -> int:
        """Return how many came since, of the file with most: files may change together."""
        return max((count - self.then.get(file, 0) for file, count in now.items()), default=0)


def silent(queue: str) -> str:
    """Return what is most likely wrong with a silent queue, and the cure."""
    return (
        "scheduled fetches find changes, but Promgen sends no message about them: register this "
        f"server in Promgen under the queue's name (register-server SHARD {queue} PORT), or set "
        "--targets-queue to the name under which it is registered"
    )
