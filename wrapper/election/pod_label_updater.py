"""The thread that labels our pod as it is told, one order after the other, and reports how it went.

It decides nothing, and nothing waits for it: the election, Prometheus and their threads go on
whatever becomes of an order. Each trouble is said once.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Protocol

from wrapper.model.events import PodLabelAnswered
from wrapper.model.lease import LeaseUnavailable

LOG = logging.getLogger(__name__)


class Labelled(Protocol):
    """What has the label."""

    def set_label(self, *, is_on: bool) -> None:
        """Put the label on, or take it off; raise LeaseUnavailable where that is not known."""


class PodLabelUpdater:
    """Labels one pod; ``name`` is the label for people."""

    def __init__(
        self, pod: Labelled, name: str, report: Callable[[PodLabelAnswered], None]
    ) -> None:
        """Prepare; ``run`` is the thread's body."""
        self._pod = pod
        self._name = name
        self._report = report
        self._orders: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._is_on: bool | None = None
        self._said = ""

    def order(self, *, is_on: bool) -> None:
        """Have the label put on, or taken off."""
        self._orders.put(is_on)

    def run(self) -> None:
        """Obey, until ``end``."""
        for is_on in iter(self._orders.get, None):
            self._report(self._obey(is_on=is_on))

    def end(self) -> None:
        """Obey no more orders than have been given."""
        self._orders.put(None)

    def _obey(self, *, is_on: bool) -> PodLabelAnswered:
        try:
            self._pod.set_label(is_on=is_on)
        except LeaseUnavailable as problem:
            self._say_problem(str(problem))
            return PodLabelAnswered(str(problem), problem.retry_after_s)
        self._say(is_on=is_on)
        return PodLabelAnswered()

    def _say_problem(self, text: str) -> None:
        if text != self._said:
            LOG.warning(
                "the pod cannot be labelled; the election goes on",
                extra={"label": self._name, "reason": text},
            )
        self._said = text

    def _say(self, *, is_on: bool) -> None:
        if is_on is not self._is_on or self._said:
            text = "the pod has the leader's label" if is_on else "the pod has no leader's label"
            LOG.info(text, extra={"label": self._name})
        self._is_on, self._said = is_on, ""
