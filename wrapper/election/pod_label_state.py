"""The state of the label on our pod, and when to change it; pure.

Guarantee: only one request is sent at a time, so an earlier request never takes effect after a
later one. An acknowledged state is requested again every minute, because a request that timed out
may have taken effect, and people edit pods.

The election does not depend on the label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wrapper.base.backoff import backoff_s
from wrapper.model.actions import Action, LabelPod
from wrapper.model.events import Event, PodLabelAnswered

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
RECHECK_S = 60.0


@dataclass(frozen=True, slots=True)
class PodLabel:
    """The known state of the label.

    - ``is_on``: whether the label is set; None after a start, after a failure, or during a change.
    - ``wanted``: the state last requested.
    - ``is_in_flight``: whether a request is in flight.
    - ``problem``: why the last request failed; "" if it did not.
    - ``failures``: how many requests in a row have failed.
    - ``again_at``: when to send the next request (CLOCK_BOOTTIME, in seconds).
    """

    is_on: bool | None = None
    wanted: bool | None = None
    is_in_flight: bool = False
    problem: str = ""
    failures: int = 0
    again_at: float = 0.0

    @property
    def awaits_removal(self) -> bool:
        """Whether to wait until the label is confirmed as off; not while requests fail."""
        return not self.problem and (self.is_in_flight or self.is_on is not False)


def fold(label: PodLabel, happened: Event | Action, now: float) -> PodLabel:
    """Apply one event, or one action that was decided."""
    match happened:
        case LabelPod(is_on):
            return asked(label, wanted=is_on)
        case PodLabelAnswered(problem, retry_after_s):
            return answered(label, problem, retry_after_s, now)
        case _:
            return label


def is_due(label: PodLabel, now: float, *, wanted: bool) -> bool:
    """Return whether to request this state now: at once if it is new, else when a retry is due."""
    if label.is_in_flight:
        return False
    return label.wanted is not wanted or now >= label.again_at


def asked(label: PodLabel, *, wanted: bool) -> PodLabel:
    """Record a request; until it is answered, a changed state is unknown."""
    is_on = label.is_on if label.is_on is wanted else None
    is_news = label.wanted is not wanted
    failures = 0 if is_news else label.failures
    return replace(label, is_on=is_on, wanted=wanted, is_in_flight=True, failures=failures)


def answered(label: PodLabel, problem: str, retry_after_s: float, now: float) -> PodLabel:
    """Apply the answer, and delay the next request, longer after each failure."""
    if not problem:
        return PodLabel(is_on=label.wanted, wanted=label.wanted, again_at=now + RECHECK_S)
    failures = label.failures + 1
    pause_s = max(backoff_s(failures, FIRST_RETRY_S, LONGEST_RETRY_S), retry_after_s)
    return PodLabel(wanted=label.wanted, problem=problem, failures=failures, again_at=now + pause_s)
