"""The remote_write of one Prometheus: scrapes, shards, and requests that are repeated.

It behaves as Prometheus: each series has its shard; a shard sends in order, one request at a time,
a full batch at once and any other after batch_send_deadline; after a 5xx, a 429 or no answer, the
batch is sent again, after Retry-After or a pause that doubles; after any other refusal it is
dropped. Waiting samples are in the WAL, which is long enough here; the next Prometheus does not
send them.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.simulation.hub import Hub
from tests.simulation.samples import Sample, body_of
from tests.simulation.stoppable import Stoppable

SCRAPE_S = 1.0
SERIES = (("a1", "a2"), ("b1", "b2", "b3"))  # of each target
LATE_SERIES = ("late1",)  # of the target whose samples are late
APPEND_S = 0.02  # from the time of a scrape until remote_write has its samples
BATCH_DEADLINE_S = 0.5
FIRST_PAUSE_S = 0.03
MAX_BACKOFF_S = 1.0
GATE_TIMEOUT_S = 2.0  # of a request to the receiver
TIMEOUT_S = GATE_TIMEOUT_S + 1.0  # of a request to the gate
FULL = 6  # samples in a batch


@dataclass(eq=False)
class Attempt:
    """A request to the gate; ``answered`` gets its status, or None without an answer."""

    body: bytes
    answered: Callable[[int | None, float], None]
    is_over: bool = False

    def reply(self, status: int | None, retry_after_s: float = 0.0) -> None:
        """Answer, unless Prometheus no longer waits."""
        if not self.is_over:
            self.is_over = True
            self.answered(status, retry_after_s)


class RemoteWrite(Stoppable):
    """The remote_write of a Prometheus; ``wall_ms`` is its clock, ``connect`` sends to a gate."""

    def __init__(
        self,
        hub: Hub,
        rng: random.Random,
        life: int,
        wall_ms: Callable[[], int],
        connect: Callable[[Attempt], None],
    ) -> None:
        super().__init__(hub)
        self.rng = rng
        self.life = life
        self.connect = connect
        self.scraped: list[tuple[float, Sample]] = []
        self.dropped: set[Sample] = set()
        self._wall_ms = wall_ms
        self._shards = [Shard(self) for _ in range(rng.randint(1, 3))]
        for target in SERIES:
            self.after(rng.random() * SCRAPE_S, partial(self._scrape, target))

    def add_late_target(self, late_s: float) -> None:
        """Scrape one more target, whose samples are this old when they are scraped."""
        self.after(self.rng.random() * SCRAPE_S, partial(self._scrape, LATE_SERIES, late_s))

    def _scrape(self, target: tuple[str, ...], late_s: float = 0.0) -> None:
        at = self._wall_ms() - round(late_s * 1000)
        samples = [Sample(series, at, self.life) for series in target]
        self.scraped += [(self.hub.now, sample) for sample in samples]
        self.after(APPEND_S * self.rng.random(), lambda: self._append(samples))
        self.after(SCRAPE_S, lambda: self._scrape(target, late_s))

    def _append(self, samples: list[Sample]) -> None:
        for sample in samples:
            number = zlib.crc32(sample.series.encode()) % len(self._shards)
            self._shards[number].add(sample)

    @property
    def waiting(self) -> set[Sample]:
        """The samples that no gate has accepted yet."""
        return {sample for shard in self._shards for sample in shard.waiting}


class Shard:
    """Sends the samples of some series, in order."""

    def __init__(self, remote_write: RemoteWrite) -> None:
        self.waiting: deque[Sample] = deque()
        self._remote_write = remote_write
        self._rng = remote_write.rng
        self._batch: list[Sample] = []
        self._body = b""
        self._pause_s = FIRST_PAUSE_S
        self._timer = 0
        self._is_timed = False

    def add(self, sample: Sample) -> None:
        """Add a sample; send a batch if it is full."""
        self.waiting.append(sample)
        if not self._batch:
            self._next()

    def _next(self) -> None:
        """Send a full batch now, or any other batch within the deadline."""
        if len(self.waiting) >= FULL:
            self._send()
        elif not self._is_timed:
            self._is_timed = True
            self._timer += 1
            number, wait_s = self._timer, BATCH_DEADLINE_S * self._rng.random()
            self._remote_write.after(wait_s, lambda: self._time_is_up(number))

    def _time_is_up(self, number: int) -> None:
        if self._is_timed and number == self._timer:
            self._send()

    def _send(self) -> None:
        self._is_timed = False
        self._batch = [self.waiting[at] for at in range(min(FULL, len(self.waiting)))]
        self._body = body_of(self._batch)
        self._pause_s = FIRST_PAUSE_S
        self._attempt()

    def _attempt(self) -> None:
        remote_write = self._remote_write
        attempt = Attempt(
            self._body,
            lambda status, after_s: remote_write.run(lambda: self._answered(status, after_s)),
        )
        remote_write.after(TIMEOUT_S, lambda: attempt.reply(None))
        remote_write.connect(attempt)

    def _answered(self, status: int | None, retry_after_s: float) -> None:
        if status is None or status == 429 or status >= 500:
            self._remote_write.after(max(retry_after_s, self._pause_s), self._attempt)
            self._pause_s = min(2 * self._pause_s, MAX_BACKOFF_S)
            return
        if status >= 300:
            self._remote_write.dropped.update(self._batch)
        for _ in self._batch:
            self.waiting.popleft()
        self._batch = []
        if self.waiting:
            self._next()
