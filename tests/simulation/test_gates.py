"""At most one gate passes requests, and all samples arrive: histories of replicas with gates.

SIMULATION_SEEDS sets the number of histories, as in ``test_simulation``.
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
def test_one_gate_passes_and_all_samples_arrive(profile: GatedProfile) -> None:
    """Under all faults, at most one gate passes requests at a time, and no sample is lost."""
    for seed in range(GATED_SEEDS):
        GatedHistory(profile, seed).simulate()


def is_detected(mutant: GateMutant) -> bool:
    """Return whether a history of the mutant's profile violates a guarantee."""
    for seed in range(MUTANT_SEEDS):
        try:
            GatedHistory(mutant.profile, seed).simulate()
        except Violation:
            return True
    return False


@pytest.mark.parametrize("mutant", GATE_MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_rule_of_the_gate_is_needed(
    mutant: GateMutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rule, two gates pass at a time, or samples are lost, repeated or out of order."""
    for owner, name, instead in mutant.patches:
        monkeypatch.setattr(owner, name, instead)
    assert is_detected(mutant)


def test_a_gated_history_is_reproducible() -> None:
    """The same seed gives the same history, sample by sample."""
    told = []
    for _ in range(2):
        history = GatedHistory(profiles.GATED_ANY, 3)
        history.simulate()
        told.append((history.trace, history.receiver.arrived))
    assert told[0] == told[1]
    assert len(told[0][1]) > 50
