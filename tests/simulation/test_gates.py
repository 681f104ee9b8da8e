"""One gate at most passes, and all arrives: histories of replicas with gates, before one receiver.

SIMULATION_SEEDS sets how many histories are told, as in ``test_simulation``.
"""

from __future__ import annotations

import pytest

from tests.simulation import profiles
from tests.simulation.gate_mutants import GATE_MUTANTS, GateMutant
from tests.simulation.gated_history import GatedHistory
from tests.simulation.history import Violation
from tests.simulation.profiles import GatedProfile
from tests.simulation.test_simulation import SEEDS

GATED_SEEDS = max(SEEDS // 4, 1)
MUTANT_SEEDS = 100


@pytest.mark.parametrize("profile", profiles.GATED, ids=lambda profile: profile.name)
def test_one_gate_passes_and_all_arrives(profile: GatedProfile) -> None:
    """Whatever befalls replicas, gates and the receiver: no two pass at once, nothing is lost."""
    for seed in range(GATED_SEEDS):
        GatedHistory(profile, seed).tell()


def is_brought_to_light(mutant: GateMutant) -> bool:
    """Tell whether some history of the mutant's kind breaks a promise."""
    for seed in range(MUTANT_SEEDS):
        try:
            GatedHistory(mutant.profile, seed).tell()
        except Violation:
            return True
    return False


@pytest.mark.parametrize("mutant", GATE_MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_rule_of_the_gate_is_needed(
    mutant: GateMutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rule, in some history two pass, or something is lost, twice or out of order."""
    for owner, name, instead in mutant.patches:
        monkeypatch.setattr(owner, name, instead)
    assert is_brought_to_light(mutant)


def test_a_gated_history_can_be_told_again() -> None:
    """The same seed gives the same history, sample by sample."""
    told = []
    for _ in range(2):
        history = GatedHistory(profiles.GATED_ANY, 3)
        history.tell()
        told.append((history.trace, history.receiver.came))
    assert told[0] == told[1]
    assert len(told[0][1]) > 50
