"""Who a replica is and why: roles, stances and causes; shapes only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What became of a reload that was asked for."""

    LOADED = "loaded"
    REFUSED = "refused"  # Prometheus said no
    UNCONFIRMED = "unconfirmed"  # nothing was heard, again and again


class Role(StrEnum):
    """What a replica's Prometheus is configured as."""

    LEADER = "leader"
    FOLLOWER = "follower"


class Stance(StrEnum):
    """What the elector is told to do about the lease."""

    CONTEND = "contend"  # acquire it when free, renew it while held
    HOLD = "hold"  # renew it while held, never acquire it
    RELEASE = "release"  # give it back if held, then only look on


class Cause(StrEnum):
    """Why a replica is what it is: a closed set of words, beside each reason for people."""

    ACQUIRED = "acquired"
    FIXED = "fixed"  # there is no election
    STOPPING = "stopping"
    STEPPING_DOWN = "stepping_down"
    NOT_READY = "not_ready"
    UNHEALTHY = "unhealthy"
    UNFENCED = "unfenced"
    PROMOTION_FAILED = "promotion_failed"
    COOLING_DOWN = "cooling_down"
    GIVEN_BACK = "given_back"  # a release of ours may be on its way
    NOT_RENEWED = "not_renewed"  # in time
    LOST = "lost"  # another has the lease, or nobody
    EXITED = "exited"  # Prometheus has
    THREAD_ENDED = "thread_ended"  # one of this program's own has, by an error


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, in one word for metrics and one sentence for people."""

    cause: Cause
    text: str
