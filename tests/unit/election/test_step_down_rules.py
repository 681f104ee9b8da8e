"""Who could take over: a ready follower of this leader, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.election.step_down_rules import refusal_reason, successors

LEASE = {"lock": "lease monitoring/prometheus", "problem": ""}
OWN: dict[str, Any] = {"identity": "a", "is_leader": True, "leader": "a", "lease": LEASE}
READY: dict[str, Any] = {
    "identity": "b",
    "leader": "a",
    "cause": "lost",
    "lease": LEASE,
    "prometheus": {"is_ready": True, "is_healthy": True},
    "is_stopping": False,
    "paused_until": None,
}


def test_a_ready_follower_can_take_over() -> None:
    """Of this very leader."""
    assert successors(OWN, [READY]) == ["b"]
    assert refusal_reason(OWN, [READY], is_forced=False) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"leader": "c"},
        {"cause": "unfenced"},
        {"cause": "cooling_down"},
        {"cause": "not_renewed"},
        {"cause": None},
        {"lease": {**LEASE, "problem": "the API server refuses: forbidden"}},
        {"lease": {**LEASE, "lock": "another"}},
        {"lease": None},
        {"prometheus": {"is_ready": False, "is_healthy": True}},
        {"prometheus": {"is_ready": True, "is_healthy": False}},
        {"prometheus": "yes"},
        {"is_stopping": True},
        {"paused_until": "2026-01-01"},
    ],
)
def test_others_cannot(changes: dict[str, Any]) -> None:
    """Of another election, unfit to lead, cut off from the lease, leaving, or kept out."""
    assert successors(OWN, [{**READY, **changes}]) == []
    assert refusal_reason(OWN, [{**READY, **changes}], is_forced=False)


def test_force_needs_nobody_else_but_a_leader() -> None:
    """Who does not lead has nothing to hand over, and neither has a role that is set."""
    assert refusal_reason(OWN, [], is_forced=True) == ""
    reasons = {
        refusal_reason({**OWN, "is_leader": False}, [READY], is_forced=True),
        refusal_reason({**OWN, "lease": None}, [], is_forced=True),
        refusal_reason(OWN, [], is_forced=False),
    }
    assert len(reasons - {""}) == 3, "each has its own"


def test_who_does_not_lead_can_be_kept_out() -> None:
    """Without anybody to take over, and not where the role is set."""
    follower = {**OWN, "is_leader": False, "leader": "c"}
    assert refusal_reason(follower, [], is_forced=False, for_s=60) == ""
    assert refusal_reason(OWN, [], is_forced=False, for_s=60) == refusal_reason(
        OWN, [], is_forced=False
    )
    assert refusal_reason({**follower, "lease": None}, [], is_forced=False, for_s=60)


def test_a_pause_is_made_longer_or_ended_where_there_is_one() -> None:
    """To end none is refused: the signal that follows would hand over."""
    paused = {**OWN, "is_leader": False, "leader": "", "paused_until": "2026-01-01"}
    assert refusal_reason(paused, [], is_forced=False, for_s=60) == ""
    assert refusal_reason(paused, [], is_forced=False, for_s=0) == ""
    told = {
        refusal_reason({**OWN, "is_leader": is_leader}, [READY], is_forced=True, for_s=0)
        for is_leader in (True, False)
    }
    assert len(told - {""}) == 1, "the same for both"
