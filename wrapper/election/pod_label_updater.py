"""The thread that sets or removes the label on our pod, in the order of the requests.

It decides nothing: the loop requests a state, and the thread reports the result. Nothing waits for
it, and the election is not affected if a request fails. Repeated failures with the same text are
logged once.
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
    """A pod whose label can be set."""

    def set_label(self, *, is_on: bool) -> None:
        """Set or remove the label; raise LeaseUnavailable if that is not acknowledged."""


class PodLabelUpdater:
    """Labels one pod; ``name`` is the label, for the log."""

    def __init__(
        self, pod: Labelled, name: str, report: Callable[[PodLabelAnswered], None]
    ) -> None:
        """Store the arguments; ``run`` is the thread's function."""
        self._pod = pod
        self._name = name
        self._report = report
        self._requests: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._is_on: bool | None = None
        self._logged = ""

    def order(self, *, is_on: bool) -> None:
        """Request that the label is set or removed."""
        self._requests.put(is_on)

    def run(self) -> None:
        """Perform the requests until ``end`` is called."""
        for is_on in iter(self._requests.get, None):
            self._report(self._perform(is_on=is_on))

    def end(self) -> None:
        """Stop the thread after the requests made so far."""
        self._requests.put(None)

    def _perform(self, *, is_on: bool) -> PodLabelAnswered:
        try:
            self._pod.set_label(is_on=is_on)
        except LeaseUnavailable as problem:
            self._log_problem(str(problem))
            return PodLabelAnswered(str(problem), problem.retry_after_s)
        self._log_state(is_on=is_on)
        return PodLabelAnswered()

    def _log_problem(self, text: str) -> None:
        if text != self._logged:
            LOG.warning(
                "cannot label the pod; the election is not affected",
                extra={"label": self._name, "reason": text},
            )
        self._logged = text

    def _log_state(self, *, is_on: bool) -> None:
        if is_on is not self._is_on or self._logged:
            text = "pod has the leader label" if is_on else "pod does not have the leader label"
            LOG.info(text, extra={"label": self._name})
        self._is_on, self._logged = is_on, ""
