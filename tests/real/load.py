"""Clients that send requests at an even rate and record failures."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import requests

from tests.support import wait_until

CLIENTS = 10


class Load:
    """Sends GETs to a URL at this rate per second, over CLIENTS connections."""

    def __init__(self, url: str, rate: float) -> None:
        self._url = url
        self._pause_s = CLIENTS / rate
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        self._answers = [0] * CLIENTS
        self.failures: list[str] = []

    def reach(self, more: int) -> None:
        """Wait until each client has had `more` further answers, so that none is blocked."""
        wanted = [count + more for count in self._answers]

        def reached() -> bool:
            return all(count >= least for count, least in zip(self._answers, wanted, strict=True))

        wait_until(reached, 60, f"{more} more answers for each client")

    def __enter__(self) -> Self:
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

    def _ask(self, number: int) -> None:
        session = requests.Session()
        due = time.monotonic() + number * self._pause_s / CLIENTS
        while not self._is_over.wait(max(due - time.monotonic(), 0.0)):
            due = max(due + self._pause_s, time.monotonic() - 1.0)
            try:
                answer = session.get(self._url, timeout=30)
                failure = "" if answer.ok else f"{answer.status_code} {answer.text}"
            except requests.RequestException as error:
                failure = repr(error)
            self._answers[number] += 1
            if failure:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {failure}")
