"""Failed promotions, and the cool-down after each; pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.base.backoff import backoff_s
from wrapper.model.actions import Action
from wrapper.model.configuration import Renderings
from wrapper.model.events import ConfigurationRead, Event, SignalReceived

PROVEN_S = 30.0  # leading for this long clears the count of failures
LONGEST_COOL_DOWN_S = 300.0


@dataclass(frozen=True, slots=True)
class Promotion:
    """How many promotions failed in a row, why the last did, and until when to cool down."""

    failures: int = 0
    cools_until: float = 0.0
    problem: str = ""


def fold(promotion: Promotion, happened: Event | Action, renderings: Renderings) -> Promotion:
    """Fold in one event: new inputs, or SIGHUP, end the cool-down.

    ``renderings`` are those from before the event.
    """
    match happened:
        case ConfigurationRead(new) if new != renderings:
            return replace(promotion, cools_until=0.0)
        case SignalReceived(signal.SIGHUP):
            return replace(promotion, cools_until=0.0)
        case _:
            return promotion


def given_up(promotion: Promotion, problem: str, now: float, first_s: float) -> Promotion:
    """Note a failure: the cool-down doubles with each, from ``first_s`` seconds up."""
    failures = promotion.failures + 1
    pause_s = backoff_s(failures, first_s, LONGEST_COOL_DOWN_S)
    return Promotion(failures, now + pause_s, problem)


def proven(promotion: Promotion) -> Promotion:
    """Note that the last promotion has lasted."""
    return replace(promotion, failures=0)
