"""Queue of batches to decode in the background, so that no request waits for it; pure.

The mark needs the timestamps of each batch that was passed on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wrapper.gate.decisions import Decoding
from wrapper.gate.held import Batch
from wrapper.gate.watermark import TrackedRequest

MOST_WAITING = 64  # above it, the oldest is not decoded: the mark then waits for its window to pass
MOST_BYTES = 64 << 20  # the same limit for their total size
MOST_THOROUGH = 10  # per second: to read each of 2,000 samples takes 1.5 ms


class Decodings:
    """Batches that wait to be decoded, and those that are being decoded."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, int, Batch]] = deque()
        self._requests: dict[int, tuple[str, TrackedRequest]] = {}
        self._bytes = 0
        self._thorough: deque[float] = deque(maxlen=MOST_THOROUGH)

    def add(self, name: str, number: int, request: TrackedRequest, batch: Batch) -> None:
        """Add a batch to the queue; ``number`` identifies its request."""
        self._waiting.append((name, number, batch))
        self._bytes += batch.size
        self._requests[number] = (name, request)
        while len(self._waiting) > MOST_WAITING or (
            self._bytes > MOST_BYTES and len(self._waiting) > 1
        ):
            _, oldest, _ = self._pop()
            del self._requests[oldest]

    def next(self, now: float) -> Decoding | None:
        """Return the next batch to decode, or None if the queue is empty.

        At most ``MOST_THOROUGH`` batches a second are decoded thoroughly.
        """
        if not self._waiting:
            return None
        name, number, batch = self._pop()
        full = len(self._thorough) == MOST_THOROUGH
        is_thorough = not full or self._thorough[0] <= now - 1.0
        if is_thorough:
            self._thorough.append(now)
        return Decoding(name, number, batch.body, batch.protocol, is_thorough)

    def done(self, decoding: Decoding) -> TrackedRequest | None:
        """Remove a batch that was decoded; return its request, or None if it is not known."""
        _, request = self._requests.pop(decoding.number, ("", None))
        return request

    def names(self) -> Iterator[str]:
        """Yield the endpoint of each batch that is not decoded yet."""
        return (name for name, _ in self._requests.values())

    def _pop(self) -> tuple[str, int, Batch]:
        oldest = self._waiting.popleft()
        self._bytes -= oldest[2].size
        return oldest
