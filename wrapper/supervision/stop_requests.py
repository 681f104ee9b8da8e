"""Requests to stop, to step down, or to pause, and failures that stop the program; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.model.actions import Action
from wrapper.model.events import Event, LeaseReported, PauseRead, SignalReceived, ThreadEnded
from wrapper.model.lease import LeaseView
from wrapper.model.pause import Pause
from wrapper.supervision.policy import Policy

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A signal this soon after the first is the same request: coreutils' ``timeout`` signals its child,
# and then the process group of the child.
SAME_REQUEST_S = 1.0


@dataclass(frozen=True, slots=True)
class StopRequests:
    """Whether this replica stops, steps down, or is paused.

    - ``stop_at``: when it was asked to stop, or when the first thread failed.
    - ``signalled_at``: the time of the first signal to stop, None without one.
    - ``is_urgent``: whether a second signal has asked to stop without an orderly shutdown.
    - ``failure``: why the program stops without a request, "" otherwise.
    - ``steps_down_until``: the end of a step-down, None without one.
    - ``pause``: the requested pause, None without one.
    """

    stop_at: float | None = None
    signalled_at: float | None = None
    is_urgent: bool = False
    failure: str = ""
    steps_down_until: float | None = None
    pause: Pause | None = None

    def keeps_out(self, now: float) -> bool:
        """Return whether a pause is in effect, so that this replica stays out of the election."""
        return self.pause is not None and now < self.pause.until_at


def fold(
    stopping: StopRequests, happened: Event | Action, now: float, policy: Policy
) -> StopRequests:
    """Return the state after one event; a step-down ends when another replica has the lease."""
    match happened:
        case SignalReceived(number) if number in STOP_SIGNALS:
            return _signalled(stopping, now)
        case ThreadEnded(name, problem):  # stop as if requested; the first failure is the reason
            failure = stopping.failure or f"thread {name} ended unexpectedly: {problem}"
            first_at = now if stopping.stop_at is None else stopping.stop_at
            return replace(stopping, failure=failure, stop_at=first_at)
        case SignalReceived(signal.SIGUSR1) if not stopping.keeps_out(now):
            return replace(stopping, steps_down_until=now + policy.step_down_pause_s)
        case LeaseReported(view) if _another_leads(view, policy.terms.identity):
            return replace(stopping, steps_down_until=None)
        case PauseRead(pause):
            return replace(stopping, pause=pause)
        case _:
            return stopping


def _signalled(stopping: StopRequests, now: float) -> StopRequests:
    if stopping.signalled_at is None:
        first_at = now if stopping.stop_at is None else stopping.stop_at
        return replace(stopping, signalled_at=now, stop_at=first_at)
    is_another = now >= stopping.signalled_at + SAME_REQUEST_S
    return replace(stopping, is_urgent=stopping.is_urgent or is_another)


def _another_leads(view: LeaseView, identity: str) -> bool:
    return view.holder not in ("", identity) and view.changed_at > 0
