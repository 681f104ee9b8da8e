"""Requests to stop, to step down, or to pause, and failures that stop the program; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.model.actions import Action
from wrapper.model.events import ActorEnded, Event, LeaseReported, PauseRead, SignalReceived
from wrapper.model.lease import LeaseView
from wrapper.model.pause import Pause
from wrapper.supervision.policy import Policy

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class StopRequests:
    """Whether this replica stops, steps down, or is paused.

    - ``stop_signals``, ``stop_at``: the number of signals to stop, and the time of the first.
    - ``failure``: why the program stops without a request, "" otherwise.
    - ``steps_down_until``: the end of a step-down, None without one.
    - ``pause``: the requested pause, None without one.
    """

    stop_signals: int = 0
    stop_at: float | None = None
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
            first_at = now if stopping.stop_at is None else stopping.stop_at
            return replace(stopping, stop_signals=stopping.stop_signals + 1, stop_at=first_at)
        case ActorEnded(name, problem):  # stop as if requested; the first failure is the reason
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


def _another_leads(view: LeaseView, identity: str) -> bool:
    return view.holder not in ("", identity) and view.changed_at > 0
