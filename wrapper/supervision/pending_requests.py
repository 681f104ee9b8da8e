"""What signals have asked for since the last decision, other than to leave; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.model.actions import Action
from wrapper.model.events import Event, SignalReceived
from wrapper.supervision.leaving import STOP_SIGNALS


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether to read the inputs, and the pause; which signals to pass to Prometheus."""

    configuration: bool = False
    pause: bool = False
    signals: tuple[int, ...] = ()


def fold(asked: Asked, happened: Event | Action) -> Asked:
    """Return it with one event taken in."""
    match happened:
        case SignalReceived(signal.SIGHUP):
            return replace(asked, configuration=True)
        case SignalReceived(signal.SIGUSR1):
            return replace(asked, pause=True)
        case SignalReceived(number) if number not in STOP_SIGNALS:
            return replace(asked, signals=(*asked.signals, number))
        case _:
            return asked
