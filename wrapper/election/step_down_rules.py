"""Whether a replica should step down or pause, according to the status of all replicas; pure.

Limitation: a status may be a second old, so a step-down can still leave no leader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any

from wrapper.election.lease_fields import mapping
from wrapper.model.roles import Cause

Status = Mapping[str, Any]
# The ``errorType`` of the refusal by an API that does not authenticate its clients.
NO_AUTHENTICATION = "no_authentication"
# The fields of a status that every reader uses, and their types.
STATUS_FORM: dict[str, type | UnionType] = {
    "identity": str,
    "role": str,
    "is_leader": bool,
    "leader": str | None,
    "reason": str,
}


def successors(own: Status, others: Iterable[Status]) -> list[str]:
    """Return the identities of this leader's followers that are ready to lead."""
    return [str(each["identity"]) for each in others if _may_follow(own, each)]


def _may_follow(own: Status, other: Status) -> bool:
    """Return whether only this leader's lease keeps the other replica from leading."""
    prometheus, lease = mapping(other.get("prometheus")), mapping(other.get("lease"))
    return (
        other.get("leader") == own["identity"]
        and other.get("cause") == Cause.LOST
        and lease.get("problem") == ""
        and lease.get("lock") == mapping(own.get("lease")).get("lock")
        and prometheus.get("is_ready") is True
        and prometheus.get("is_healthy") is True
        and other.get("is_stopping") is False
        and other.get("paused_until") is None
    )


def refusal_reason(
    own: Status, others: Iterable[Status], *, is_forced: bool, for_s: float | None = None
) -> str:
    """Return why a replica should not step down; "" if it may.

    ``for_s`` is how long to pause, in seconds: 0 ends the pause, None leaves it unchanged. A
    replica that does not lead, or is already paused, can be paused without a successor.
    """
    if own.get("lease") is None:
        return "there is no election here: the role is set by --role"
    is_paused = bool(own.get("paused_until"))
    if for_s == 0:
        return "" if is_paused else f"{own['identity']} is not paused"
    if for_s is not None and (is_paused or not own.get("is_leader")):
        return ""
    if not own.get("is_leader"):
        leader = own.get("leader")
        who = "it is not known who" if leader is None else leader or "nobody"
        return f"{own['identity']} does not lead ({who} does)"
    if is_forced or successors(own, others):
        return ""
    return "no other replica is known to be ready to take over; force it to step down anyway"
