"""The batches that the gate holds, oldest first, in one bounded memory for all endpoints; pure.

Nothing leaves but by ``release``, ``pop`` or ``give_up``, and each says how much it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from wrapper.gate.samples import Counts, Protocol

OVERHEAD = 1024  # bytes that a batch costs besides its body

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One request of Prometheus: its body as it came, its header fields, when it came (wall, ms).

    ``counts`` is what Prometheus was told that was written, where it was told.
    """

    body: bytes = field(repr=False)
    fields: Fields
    protocol: Protocol
    came: int
    counts: Counts | None = None

    @property
    def size(self) -> int:
        """The bytes that holding it costs."""
        return len(self.body) + OVERHEAD


class Budget:
    """The memory that all endpoints share."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int, *, is_forced: bool = False) -> bool:
        """Take so many bytes, if there are so many, or it is forced."""
        if self.used + size > self.limit and not is_forced:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Give bytes back."""
        self.used -= size


class Held:
    """What is held for one endpoint."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._batches: deque[Batch] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    @property
    def oldest(self) -> Batch | None:
        """The batch that came first."""
        return self._batches[0] if self._batches else None

    def reserve(self, size: int) -> bool:
        """Take memory for a batch that may have to be held; see ``keep`` and ``unreserve``."""
        return self._budget.take(size)

    def unreserve(self, size: int) -> None:
        """Give back what ``reserve`` took."""
        self._budget.give_back(size)

    def keep(self, batch: Batch, *, is_reserved: bool = False, is_forced: bool = False) -> bool:
        """Hold a batch, last; return whether there was memory for it, or it is forced."""
        if not is_reserved and not self._budget.take(batch.size, is_forced=is_forced):
            return False
        self._batches.append(batch)
        self.bytes += batch.size
        return True

    def pop(self) -> Batch:
        """Take out the oldest."""
        batch = self._batches.popleft()
        self.bytes -= batch.size
        self._budget.give_back(batch.size)
        return batch

    def release(self, mark: int) -> int:
        """Take out what came at or before a mark, so holds nothing newer; return how many."""
        count = 0
        while self._batches and self._batches[0].came <= mark:
            self.pop()
            count += 1
        return count

    def give_up(self) -> list[Batch]:
        """Take out all."""
        return [self.pop() for _ in range(len(self))]
