"""The batches that the gate holds, oldest first, in one bounded memory for all endpoints; pure.

A batch is removed only by ``release``, ``pop`` or ``give_up``. Each of them returns what it
removed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from wrapper.gate.samples import Counts, Protocol

OVERHEAD = 1024  # bytes of memory that a batch needs besides its body and its fields

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One request of Prometheus.

    - ``body``: the body, unchanged.
    - ``fields``: the header fields for the receiver; of a held batch, only those about its body.
    - ``protocol``: the version of remote_write.
    - ``came``: when it arrived (wall clock, ms since 1970).
    - ``counts``: the counts in the answer to Prometheus; None if the answer had none.
    """

    body: bytes = field(repr=False)
    fields: Fields
    protocol: Protocol
    came: int
    counts: Counts | None = None

    @property
    def size(self) -> int:
        """The memory that the batch needs while it is held, in bytes."""
        fields = sum(len(name) + len(value) for name, value in self.fields)
        return len(self.body) + fields + OVERHEAD


class Budget:
    """The memory for held batches that all endpoints share, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def reserve(self, size: int, *, is_forced: bool = False) -> bool:
        """Reserve ``size`` bytes; return whether they were free, or the request is forced."""
        if self.used + size > self.limit and not is_forced:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Free ``size`` bytes."""
        self.used -= size


class HeldBatches:
    """The batches held for one endpoint."""

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
        """The batch that arrived first."""
        return self._batches[0] if self._batches else None

    def reserve(self, size: int) -> bool:
        """Reserve memory for a batch that may have to be held; see ``add`` and ``unreserve``."""
        return self._budget.reserve(size)

    def unreserve(self, size: int) -> None:
        """Free the memory that ``reserve`` took."""
        self._budget.give_back(size)

    def add(self, batch: Batch, *, is_reserved: bool = False, is_forced: bool = False) -> bool:
        """Hold a batch, as the last one; return whether there was memory for it.

        With ``is_reserved``, its memory was reserved before. With ``is_forced``, it is held in any
        case.
        """
        if not is_reserved and not self._budget.reserve(batch.size, is_forced=is_forced):
            return False
        self._batches.append(batch)
        self.bytes += batch.size
        return True

    def pop(self) -> Batch:
        """Remove and return the oldest batch."""
        batch = self._batches.popleft()
        self.bytes -= batch.size
        self._budget.give_back(batch.size)
        return batch

    def release(self, mark: int) -> int:
        """Remove the batches that arrived at or before a mark; return how many.

        Such a batch has no sample newer than the mark.
        """
        count = 0
        while self._batches and self._batches[0].came <= mark:
            self.pop()
            count += 1
        return count

    def give_up(self) -> list[Batch]:
        """Remove and return all batches."""
        return [self.pop() for _ in range(len(self))]
