"""Requests of threads for a reload of Prometheus, and their answers.

A request is an event; the loop alone decides when to reload, and one reload may answer several
requests. Limit: a request that is not answered in time is ``UNCONFIRMED``, and the reload may still
take place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from wrapper.model.actions import AnswerReload
from wrapper.model.events import Event, ReloadWanted
from wrapper.model.roles import Verdict


@dataclass(frozen=True, slots=True)
class ReloadAnswer:
    """The verdict on a reload, and Prometheus' reason against it.

    ``is_ambiguous``: the refusal may be about a configuration that was being loaded as well.
    """

    verdict: Verdict
    problem: str = ""
    is_ambiguous: bool = False


class Reloads(Protocol):
    """What can reload Prometheus."""

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Have Prometheus reload, and return the verdict.

        ``has_changed_files``: files that it reads have changed since it last loaded them.
        """


class ReloadRequests:
    """Numbers the requests, and gives each its answer."""

    def __init__(self, report: Callable[[Event], None], limit_s: float) -> None:
        """Send requests to ``report``; each waits ``limit_s`` seconds for its answer."""
        self._report = report
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[ReloadAnswer]] = {}
        self._number = 0

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Have Prometheus reload, and return the verdict."""
        with self._lock:
            self._number += 1
            number, future = self._number, Future[ReloadAnswer]()
            self._waiting[number] = future
            self._report(ReloadWanted(number, has_changed_files))
        try:
            return future.result(self._limit_s)
        except TimeoutError:
            return ReloadAnswer(Verdict.UNCONFIRMED, f"not confirmed within {self._limit_s:g} s")
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def answer(self, action: AnswerReload) -> None:
        """Answer all requests up to this number."""
        with self._lock:
            numbers = [each for each in self._waiting if each <= action.number]
            answered = [self._waiting.pop(each) for each in numbers]
        for future in answered:
            future.set_result(ReloadAnswer(action.verdict, action.problem, action.is_ambiguous))
