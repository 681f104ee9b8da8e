"""Clients that ask all the time, at a steady rate, and keep what went wrong."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import requests

CLIENTS = 10


class Load:
    """Asks a URL so many times a second, by GET, over CLIENTS connections."""

    def __init__(self, url: str, rate: float) -> None:
        self._url = url
        self._pause_s = CLIENTS / rate
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        self._begun_at = self._ended_at = 0.0
        self.answered = 0
        self.longest_s = 0.0
        self.failures: list[str] = []

    @property
    def rate(self) -> float:
        """How many requests a second were answered, up to the end or to now."""
        return self.answered / ((self._ended_at or time.monotonic()) - self._begun_at)

    def __enter__(self) -> Self:
        self._begun_at = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._ended_at = time.monotonic()

    def _ask(self, number: int) -> None:
        session = requests.Session()
        due = time.monotonic() + number * self._pause_s / CLIENTS
        while not self._is_over.wait(max(due - time.monotonic(), 0.0)):
            due = max(due + self._pause_s, time.monotonic() - 1.0)
            begun = time.monotonic()
            try:
                answer = session.get(self._url, timeout=30)
                failure = "" if answer.ok else f"{answer.status_code} {answer.text}"
            except requests.RequestException as error:
                failure = repr(error)
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            self.answered += 1
            if failure:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {failure}")
