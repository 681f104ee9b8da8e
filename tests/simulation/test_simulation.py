"""Never two writers, soon a writer: thousands of histories, and mutants that they bring to light.

SIMULATION_SEEDS sets how many histories are told of each kind. To see one that failed again:
``tell(profiles.ANY, seed)``; the violation shows what happened.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import pytest

from tests.simulation import profiles
from tests.simulation.history import BOUND_S, DRIFT, History, Violation
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.profiles import Profile
from tests.simulation.replica import DURATION_S, MAIN, RETRY_PERIOD_S, Process
from wrapper.election import pod_label_state
from wrapper.election.elector import Elector
from wrapper.supervision import candidacy
from wrapper.supervision.requested_reload import RequestedReload

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "48"))
MUTANT_SEEDS = 200
SCRIPTED_SEEDS = range(10)
# What a standby may lag behind on its own clock: its share of the drift, and the way of the news.
LEASE_S = DURATION_S * (1 + 2 * DRIFT) + 0.1


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_never_two_writers_and_soon_one(profile: Profile) -> None:
    """Whatever befalls the replicas, one at most may write; all healed, one does in time."""
    assert max(History(profile, seed).tell() for seed in range(SEEDS)) < 2 * BOUND_S


def is_brought_to_light(mutant: Mutant) -> bool:
    """Tell whether some history of the mutant's kind breaks a promise."""
    for seed in range(MUTANT_SEEDS):
        try:
            History(mutant.profile, seed).tell()
        except Violation:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_rule_is_needed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule, some history ends in two writers."""
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.instead)
    assert is_brought_to_light(mutant)


def leading(history: History) -> Process:
    """Return who leads after five quiet seconds."""
    history.hub.run(5.0)
    writer = history.writer()
    assert writer is not None
    return writer


def freeze_main(seed: int) -> float:
    """Have a leader's main thread hang for good; return when another writes, in seconds."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling():
        leader = leading(history)
        leader.threads[MAIN].pause(1e9)
        return history.time_to_writer(leader, 60.0)


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_whose_main_thread_hangs_is_replaced(seed: int) -> None:
    """Its elector renews for one retry period more at most, then its lease runs out."""
    assert freeze_main(seed) < RETRY_PERIOD_S * (1 + DRIFT) + LEASE_S + 0.3


def test_renewals_end_when_the_main_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it otherwise, the lease would be held until the kernel ends the leader."""
    monkeypatch.setattr(Elector, "_is_orphaned", lambda _elector, _request, _now: False)
    assert freeze_main(0) > RETRY_PERIOD_S * (1 + DRIFT) + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_frozen_leader_is_dead_before_another_writes(seed: int) -> None:
    """With every thread stopped the kernel ends it, within its lease."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling() as hub:
        leader = leading(history)
        for thread in leader.threads.values():
            thread.pause(1e9)
        renewed_at = history.lease_changed_at
        hub.run(renewed_at + DURATION_S * (1 - DRIFT))
        assert not leader.prometheus.is_alive
        history.time_to_writer(leader, 3.0)
        assert hub.now < renewed_at + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_that_vanishes_is_replaced_when_its_lease_runs_out(seed: int) -> None:
    """Not a poll later: the expiry itself wakes a standby."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling() as hub:
        leader = leading(history)
        renewed_at = history.lease_changed_at
        leader.exit(-signal.SIGKILL)
        history.time_to_writer(leader, 10.0)
        assert hub.now < renewed_at + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_whose_prometheus_dies_is_replaced_at_once(seed: int) -> None:
    """The lease is given back, and a standby writes within half a second."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling():
        leader = leading(history)
        leader.prometheus.die(-signal.SIGKILL)
        assert history.time_to_writer(leader, 10.0) < 0.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_that_leaves_in_order_hands_over(seed: int, number: int) -> None:
    """Another writes within half a second, while the old one's Prometheus still serves."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling():
        leader = leading(history)
        history.labels_in_order = True
        leader.signal(number)
        assert history.time_to_writer(leader, 10.0) < 0.5
        assert leader.prometheus.is_alive


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_hand_over_takes_the_label_along(seed: int) -> None:
    """Nobody has it beside another writer; soon the new leader has it, and its alone it is."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling() as hub:
        leader = leading(history)
        assert leader.machine.is_labelled
        history.labels_in_order = True
        leader.signal(signal.SIGUSR1)
        history.time_to_writer(leader, 10.0)
        hub.run(hub.now + 2.0)
        labelled = [pod.process for pod in history.pods if pod.machine.is_labelled]
        assert labelled == [history.writer()]


def hand_over_with_slow_labels() -> None:
    """Have leaders step down whose labels take about as long to go as their demotions."""
    for seed in SCRIPTED_SEEDS:
        history = History(profiles.QUIET, seed, has_restarts=False)
        with history.telling():
            leader = leading(history)
            leader.machine.label_s = 0.12
            history.labels_in_order = True
            leader.signal(signal.SIGUSR1)
            history.time_to_writer(leader, 10.0)


def test_the_release_waits_for_a_slow_label() -> None:
    """The lease becomes free when the label is off, so that it is beside no other writer."""
    hand_over_with_slow_labels()


def test_without_that_wait_the_label_misleads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the lease given back at once, another would write before the label is off."""
    monkeypatch.setattr(candidacy, "LABEL_WAIT_S", 0.0)
    with pytest.raises(Violation, match="labelled beside another writer"):
        hand_over_with_slow_labels()


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_label_that_is_never_answered_delays_nothing(seed: int) -> None:
    """The hand-over takes the moment longer that is granted, whatever becomes of the label."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling():
        leader = leading(history)
        leader.machine.label_s = 1e9
        leader.signal(signal.SIGUSR1)
        assert history.time_to_writer(leader, 10.0) < 0.5 + candidacy.LABEL_WAIT_S


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_healed_the_leader_alone_is_labelled(seed: int) -> None:
    """Whatever was lost, refused or left behind by a crash: a minute later the label is right."""
    history = History(profiles.ANY, seed)
    with history.telling() as hub:
        hub.run(history.heals_at)
        history._heal()
        history._await_writer()
        hub.run(hub.now + pod_label_state.LONGEST_RETRY_S + DURATION_S)
        labelled = [pod.process for pod in history.pods if pod.machine.is_labelled]
        assert labelled == [history.writer()]


# --- rules that are fetched beside the configuration ----------------------------------------------


def feed_bad_rules_in_hand_overs(seeds: Iterable[int]) -> None:
    """Have it done with each seed."""
    for seed in seeds:
        feed_bad_rules_in_a_hand_over(seed)


def feed_bad_rules_in_a_hand_over(seed: int) -> None:
    """Give all replicas rules that Prometheus refuses, in the moment in which the leader leaves."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling() as hub:
        leader = leading(history)
        leader.signal(signal.SIGUSR1)
        for pod in history.pods:
            pod.process.new_rules.put(True)  # noqa: FBT003 - they are bad
        assert history.time_to_writer(leader, 10.0) < 0.5
        new = history.writer()
        hub.run(hub.now + 10.0)
        assert history.writer() is new
        assert not any(pod.machine.disk.has_bad_rules for pod in history.pods)


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_bad_rules_take_no_writer_away(seed: int) -> None:
    """Its Prometheus refuses them, and it leads on; they have to make room for the last good."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.telling() as hub:
        leader = leading(history)
        leader.new_rules.put(True)  # noqa: FBT003 - they are bad
        hub.run(hub.now + 10.0)
        assert history.writer() is leader
        assert leader.says_it_leads
        assert not leader.machine.disk.has_bad_rules
        assert leader.prometheus.is_successful


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_bad_rules_spoil_no_hand_over(seed: int) -> None:
    """A promotion whose reload fails by new rules is not given up: they go, and it is loaded."""
    feed_bad_rules_in_a_hand_over(seed)


def test_without_an_excuse_the_configuration_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the refusal laid at its door, leadership would bounce."""
    monkeypatch.setattr(RequestedReload, "may_explain_refusal", property(lambda _self: False))
    with pytest.raises(AssertionError):
        feed_bad_rules_in_hand_overs(SCRIPTED_SEEDS)


def test_a_history_can_be_told_again() -> None:
    """The same seed gives the same history, event by event."""
    traces = []
    for _ in range(2):
        history = History(profiles.ANY, 7)
        history.tell()
        traces.append(history.trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 20
