"""Roles, the causes of a role, stances about the lease, and verdicts on reloads.

Data types only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of a requested reload."""

    LOADED = "loaded"
    REFUSED = "refused"  # by Prometheus
    UNCONFIRMED = "unconfirmed"  # no result within the time limit


class Role(StrEnum):
    """The role of a replica."""

    LEADER = "leader"
    FOLLOWER = "follower"


class Stance(StrEnum):
    """What the plan orders the elector to do with the lease."""

    CONTEND = "contend"  # acquire it when free, renew it while held
    HOLD = "hold"  # renew it while held, but do not acquire it
    RELEASE = "release"  # release it if held, then only observe it


class Cause(StrEnum):
    """Why a replica has its role, as a metric label: the set of values is fixed."""

    ACQUIRED = "acquired"
    FIXED = "fixed"  # there is no election
    STOPPING = "stopping"
    STEPPING_DOWN = "stepping_down"
    NOT_READY = "not_ready"
    UNHEALTHY = "unhealthy"
    GATE_DOWN = "gate_down"
    GATE_NEW = "gate_new"  # other replicas go first: they hold samples from before its start
    UNFENCED = "unfenced"
    PROMOTION_FAILED = "promotion_failed"
    COOLING_DOWN = "cooling_down"
    GIVEN_BACK = "given_back"  # our request to release the lease may be in flight
    NOT_RENEWED = "not_renewed"  # the lease was not renewed in time, or it cannot be used
    LOST = "lost"  # another replica holds the lease, or nobody does
    EXITED = "exited"  # Prometheus has exited
    THREAD_ENDED = "thread_ended"  # a thread of this program has ended unexpectedly


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a replica has its role: one word for metrics, and one sentence to show."""

    cause: Cause
    text: str
