"""The renewals of a Lease, observed by a watch: the delay of each, and the time that was left."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import requests

from tests.real.parts import ADMIN_TOKEN, Namespace, bearer

LONGEST_S = 600.0  # the longest time without a renewal, during a slow start


@dataclass(frozen=True)
class Terms:
    """A lease's durations, in seconds, as ``15/10/2``."""

    duration_s: float
    renew_deadline_s: float
    retry_period_s: float

    @classmethod
    def parse(cls, text: str) -> Terms:
        """Parse the text; raise ValueError."""
        return cls(*map(float, text.split("/", 2)))

    def __str__(self) -> str:
        return f"{self.duration_s:g}/{self.renew_deadline_s:g}/{self.retry_period_s:g}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that set these durations."""
        return (
            f"--lease-duration={self.duration_s:g}s",
            f"--lease-renew-deadline={self.renew_deadline_s:g}s",
            f"--lease-retry-period={self.retry_period_s:g}s",
        )


@dataclass
class Renewals:
    """The renewals of a Lease: the renewTime of each, and the time of its event; wall time."""

    namespace: Namespace
    seen: list[tuple[float, float]] = field(default_factory=list)
    _is_over: bool = False

    @contextmanager
    def watching(self) -> Iterator[Renewals]:
        """Watch in a thread until the context ends."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._is_over = True

    def _watch(self) -> None:
        server = self.namespace.server
        with requests.get(
            f"{server.url}{self.namespace.leases_path}?watch=1",
            headers=bearer(ADMIN_TOKEN),
            verify=str(server.ca_file),
            stream=True,
            timeout=LONGEST_S,
        ) as answer:
            for line in answer.iter_lines(chunk_size=1):
                if self._is_over:
                    return
                spec = json.loads(line)["object"]["spec"]
                renewed = datetime.fromisoformat(spec["renewTime"]).timestamp()
                self.seen.append((renewed, time.time()))

    def late_ms(self, terms: Terms) -> list[float]:
        """Return the delay of each renewal after the previous one."""
        times = sorted({renewed for renewed, _ in self.seen})
        return [
            max(later - earlier - terms.retry_period_s, 0.0) * 1000
            for earlier, later in pairwise(times)
        ]

    def least_left_s(self, terms: Terms) -> float:
        """Return the least time that was left to the renew deadline at a renewal."""
        return min(
            earlier + terms.renew_deadline_s - seen
            for (earlier, _), (_, seen) in pairwise(self.seen)
        )
