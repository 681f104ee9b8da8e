"""Which replica could take over: a ready follower of this leader, and no other."""

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


def test_ready_follower_can_take_over() -> None:
    """A ready follower of this leader is a successor, so that a step-down is accepted."""
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
def test_unfit_replica_cannot_take_over(changes: dict[str, Any]) -> None:
    """A replica of another leader or lease, or one that is unfit or paused, is no successor."""
    assert successors(OWN, [{**READY, **changes}]) == []
    assert refusal_reason(OWN, [{**READY, **changes}], is_forced=False)


def test_force_needs_no_successor_but_a_leader() -> None:
    """With force no successor is needed, but only a leader with a lease can step down."""
    assert refusal_reason(OWN, [], is_forced=True) == ""
    reasons = {
        refusal_reason({**OWN, "is_leader": False}, [READY], is_forced=True),
        refusal_reason({**OWN, "lease": None}, [], is_forced=True),
        refusal_reason(OWN, [], is_forced=False),
    }
    assert len(reasons - {""}) == 3, "each has its own"


def test_follower_can_be_paused() -> None:
    """A pause of a follower needs no successor; without a lease it is refused."""
    follower = {**OWN, "is_leader": False, "leader": "c"}
    assert refusal_reason(follower, [], is_forced=False, for_s=60) == ""
    assert refusal_reason(OWN, [], is_forced=False, for_s=60) == refusal_reason(
        OWN, [], is_forced=False
    )
    assert refusal_reason({**follower, "lease": None}, [], is_forced=False, for_s=60)


def test_pause_can_be_extended_or_ended() -> None:
    """A pause can be extended or ended; ending none is refused.

    Otherwise the signal that follows would cause a hand-over.
    """
    paused = {**OWN, "is_leader": False, "leader": "", "paused_until": "2026-01-01"}
    assert refusal_reason(paused, [], is_forced=False, for_s=60) == ""
    assert refusal_reason(paused, [], is_forced=False, for_s=0) == ""
    told = {
        refusal_reason({**OWN, "is_leader": is_leader}, [READY], is_forced=True, for_s=0)
        for is_leader in (True, False)
    }
    assert len(told - {""}) == 1, "the same for both"
