"""Lets threads request a reload of Prometheus and wait for its result.

A request is an event. Only the loop decides when to reload, and one reload may answer several
requests.

Limitation: a request that is not answered in time gets the verdict ``UNCONFIRMED``; the reload may
still take place.
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
    """The verdict on a reload; ``problem`` is why Prometheus refused it, "" if it did not.

    ``is_ambiguous`` means that a configuration was being loaded at the same time, so the refusal
    may be about that configuration instead of the changed files.
    """

    verdict: Verdict
    problem: str = ""
    is_ambiguous: bool = False


class Reloads(Protocol):
    """The interface of what can reload Prometheus."""

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Request a reload of Prometheus, wait for its result, and return the verdict.

        ``has_changed_files`` means that files which Prometheus reads have changed since it last
        loaded them.
        """


class ReloadRequests:
    """Sends numbered requests to the loop, and returns the answer of each to its thread."""

    def __init__(self, report: Callable[[Event], None], limit_s: float) -> None:
        """Report requests to ``report``; each waits at most ``limit_s`` seconds for its answer."""
        self._report = report
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[ReloadAnswer]] = {}
        self._number = 0

    def ask(self, *, has_changed_files: bool) -> ReloadAnswer:
        """Request a reload, wait for its result, and return the verdict: see ``Reloads``."""
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
        """Answer all pending requests up to the action's number."""
        with self._lock:
            numbers = [each for each in self._waiting if each <= action.number]
            answered = [self._waiting.pop(each) for each in numbers]
        for future in answered:
            future.set_result(ReloadAnswer(action.verdict, action.problem, action.is_ambiguous))
