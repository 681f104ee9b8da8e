"""Roles, stances, verdicts, and the causes of a role; shapes only."""

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
    """What the elector has to do about the lease."""

    CONTEND = "contend"  # acquire it when free, renew it while held
    HOLD = "hold"  # renew it while held, never acquire it
    RELEASE = "release"  # release it if held, then only observe it


class Cause(StrEnum):
    """Why a replica has its role: a closed set of words for metrics."""

    ACQUIRED = "acquired"
    FIXED = "fixed"  # there is no election
    STOPPING = "stopping"
    STEPPING_DOWN = "stepping_down"
    NOT_READY = "not_ready"
    UNHEALTHY = "unhealthy"
    GATE_DOWN = "gate_down"
    GATE_NEW = "gate_new"  # others go first, which hold what was scraped before it started
    UNFENCED = "unfenced"
    PROMOTION_FAILED = "promotion_failed"
    COOLING_DOWN = "cooling_down"
    GIVEN_BACK = "given_back"  # a release of ours may be under way
    NOT_RENEWED = "not_renewed"  # in time
    LOST = "lost"  # another has the lease, or nobody
    EXITED = "exited"  # Prometheus has
    THREAD_ENDED = "thread_ended"  # one of this program's own has, by an error


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a replica has its role: one word for metrics, one sentence for people."""

    cause: Cause
    text: str
