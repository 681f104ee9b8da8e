"""Failed promotions, and the cool-down after each; pure.

During a cool-down this replica stays out of the election, so that another replica can lead.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from wrapper.base.backoff import backoff_s
from wrapper.model.actions import Action
from wrapper.model.configuration import Renderings
from wrapper.model.events import ConfigurationRead, Event, SignalReceived

PROVEN_S = 30.0  # after leading for longer, earlier failures no longer count
LONGEST_COOL_DOWN_S = 300.0


@dataclass(frozen=True, slots=True)
class Promotion:
    """The state of promotions.

    ``failures`` is how many failed in succession, ``cools_until`` the end of the cool-down,
    ``problem`` why the last one failed.
    """

    failures: int = 0
    cools_until: float = 0.0
    problem: str = ""


def fold(promotion: Promotion, happened: Event | Action, renderings: Renderings) -> Promotion:
    """Return the state after one event: changed inputs, or SIGHUP, end the cool-down.

    ``renderings`` are the ones before the event.
    """
    match happened:
        case ConfigurationRead(new) if new != renderings:
            return replace(promotion, cools_until=0.0)
        case SignalReceived(signal.SIGHUP):
            return replace(promotion, cools_until=0.0)
        case _:
            return promotion


def given_up(promotion: Promotion, problem: str, now: float, first_s: float) -> Promotion:
    """Return the state after a failed promotion.

    The cool-down begins with ``first_s`` seconds and doubles with each failure, up to
    ``LONGEST_COOL_DOWN_S``.
    """
    failures = promotion.failures + 1
    pause_s = backoff_s(failures, first_s, LONGEST_COOL_DOWN_S)
    return Promotion(failures, now + pause_s, problem)


def proven(promotion: Promotion) -> Promotion:
    """Return the state after a promotion that lasted: no failures."""
    return replace(promotion, failures=0)
