"""What is known of those who asked this replica to stop, or to let another lead; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.model.actions import Action
from wrapper.model.events import ActorEnded, Event, LeaseReported, Pause, PauseRead, SignalReceived
from wrapper.model.lease import LeaseView
from wrapper.supervision.policy import Policy

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Since when it stops and why unasked, until when it steps down, how long it keeps out."""

    stop_signals: int = 0
    stop_at: float | None = None
    failure: str = ""  # why it leaves unasked
    steps_down_until: float | None = None
    pause: Pause | None = None

    def keeps_out(self, now: float) -> bool:
        """Tell whether somebody has asked for a time out of the election that is not over."""
        return self.pause is not None and now < self.pause.until_at


def fold(leaving: Leaving, happened: Event | Action, now: float, policy: Policy) -> Leaving:
    """Return it with one event taken in; a step-down ends early when another has led."""
    match happened:
        case SignalReceived(number) if number in STOP_SIGNALS:
            first_at = now if leaving.stop_at is None else leaving.stop_at
            return replace(leaving, stop_signals=leaving.stop_signals + 1, stop_at=first_at)
        case ActorEnded(name, problem):  # leave as if asked to; the first is why
            failure = leaving.failure or f"the thread {name} has ended: {problem}"
            first_at = now if leaving.stop_at is None else leaving.stop_at
            return replace(leaving, failure=failure, stop_at=first_at)
        case SignalReceived(signal.SIGUSR1) if not leaving.keeps_out(now):
            return replace(leaving, steps_down_until=now + policy.step_down_pause_s)
        case LeaseReported(view) if _another_leads(view, policy.terms.identity):
            return replace(leaving, steps_down_until=None)
        case PauseRead(pause):
            return replace(leaving, pause=pause)
        case _:
            return leaving


def _another_leads(view: LeaseView, identity: str) -> bool:
    return view.holder not in ("", identity) and view.changed_at > 0
