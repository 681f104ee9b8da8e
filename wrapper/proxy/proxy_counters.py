"""The proxy's counters, in memory that all workers share; each worker can return the sums.

Each worker has its own slot in this memory, so no lock is needed. When a worker ends, its totals
stay in the slot, and the arbiter resets the number of its requests in flight. The next worker
continues in the same slot.

Limitation: a new web process starts at 0.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
OTHER = "other"
TARGETS = ("local", "remote", "none")
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    30.0, 60.0)  # fmt: skip

_FIRST_CODE, _LAST_CODE = 100, 599
_METHOD_INDEX = {method: index for index, method in enumerate(METHODS)}
_METHOD_NAMES = (*(method.decode() for method in METHODS), OTHER)
_TARGET_INDEX = {target: index for index, target in enumerate(TARGETS)}

# The layout of a slot, in words of 8 bytes.
_IN_FLIGHT, _RECEIVED, _SENT, _NANOSECONDS = range(4)
_BUCKETS = 4
_CODES = _BUCKETS + len(DURATION_BUCKETS) + 1
_PER_CODE = len(_METHOD_NAMES) * len(TARGETS)
_WORDS = _CODES + (_LAST_CODE - _FIRST_CODE + 1) * _PER_CODE


class CountedRequest(NamedTuple):
    """The labels of requests that are counted together."""

    code: int
    method: str
    target: str


class Totals(NamedTuple):
    """The sums over all slots.

    ``buckets`` has one count for each of DURATION_BUCKETS, and one for longer requests.
    """

    in_flight: int
    received_bytes: int
    sent_bytes: int
    seconds: float
    buckets: tuple[int, ...]
    requests: dict[CountedRequest, int]


class ProxyCounters:
    """Counts the proxy's requests; the caller follows each ``begin`` with one ``end``."""

    def __init__(self, slots: int = 1) -> None:
        """Allocate the memory; to be called before workers are forked."""
        self._words = memoryview(mmap.mmap(-1, slots * _WORDS * 8)).cast("Q")
        self._free = list(range(slots))
        self._base = 0

    # --- in the arbiter ---

    def reserve(self) -> int:
        """Return a free slot for a new worker; if there are too few, workers share the last one."""
        return self._free.pop(0) if len(self._free) > 1 else self._free[0]

    def give_up(self, slot: int) -> None:
        """Free the slot of a worker that has ended; none of its requests is in flight."""
        self._words[slot * _WORDS + _IN_FLIGHT] = 0
        if slot not in self._free:
            self._free.insert(0, slot)

    # --- in a worker ---

    def use(self, slot: int) -> None:
        """Count in this slot from now on."""
        self._base = slot * _WORDS

    def begin(self) -> None:
        """Count a request as in flight."""
        self._words[self._base + _IN_FLIGHT] += 1

    def end(  # noqa: PLR0913, PLR0917 - what is counted
        self,
        code: int,
        method: bytes,
        target: str,
        seconds: float = 0.0,
        received_bytes: int = 0,
        sent_bytes: int = 0,
    ) -> None:
        """Count a request as answered; a method not in METHODS counts as ``other``."""
        words, base = self._words, self._base
        words[base + _IN_FLIGHT] -= 1
        words[base + _RECEIVED] += received_bytes
        words[base + _SENT] += sent_bytes
        words[base + _NANOSECONDS] += max(int(seconds * 1e9), 0)
        words[base + _BUCKETS + bisect_left(DURATION_BUCKETS, seconds)] += 1
        row = (code - _FIRST_CODE) * len(_METHOD_NAMES) + _METHOD_INDEX.get(method, len(METHODS))
        words[base + _CODES + row * len(TARGETS) + _TARGET_INDEX[target]] += 1

    # --- in both ---

    def totals(self) -> Totals:
        """Return the sums over all workers, including those that have ended."""
        words = self._words.tolist()
        slots = [words[base : base + _WORDS] for base in range(0, len(words), _WORDS)]
        sums = [sum(values) for values in zip(*(slot[:_CODES] for slot in slots), strict=True)]
        requests: Counter[CountedRequest] = Counter()
        for slot in slots:
            requests.update(dict(_requests(slot)))
        return Totals(
            in_flight=sums[_IN_FLIGHT],
            received_bytes=sums[_RECEIVED],
            sent_bytes=sums[_SENT],
            seconds=sums[_NANOSECONDS] / 1e9,
            buckets=tuple(sums[_BUCKETS:_CODES]),
            requests=dict(requests),
        )


def _requests(slot: list[int]) -> Iterator[tuple[CountedRequest, int]]:
    """Yield the counts of one slot that are not 0."""
    for index, count in enumerate(slot[_CODES:]):
        if count:
            row, target = divmod(index, len(TARGETS))
            code, method = divmod(row, len(_METHOD_NAMES))
            yield CountedRequest(code + _FIRST_CODE, _METHOD_NAMES[method], TARGETS[target]), count
