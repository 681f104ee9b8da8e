"""One gate at most passes, and all arrives: histories of replicas with gates, before one receiver.

SIMULATION_SEEDS sets how many histories are told, as in ``test_simulation``.
"""

from __future__ import annotations

import pytest

from tests.simulation import profiles
from tests.simulation.gated_history import GatedHistory
from tests.simulation.profiles import GatedProfile
from tests.simulation.test_simulation import SEEDS

GATED_SEEDS = SEEDS // 2


@pytest.mark.parametrize("profile", profiles.GATED, ids=lambda profile: profile.name)
def test_one_gate_passes_and_all_arrives(profile: GatedProfile) -> None:
    """Whatever befalls replicas, gates and the receiver: no two pass at once, nothing is lost."""
    for seed in range(GATED_SEEDS):
        GatedHistory(profile, seed).tell()
