"""Never two writers, soon a writer: thousands of histories, and the mutants that they detect.

SIMULATION_SEEDS sets the number of histories for each profile. To repeat a failed one:
``simulate(profiles.ANY, seed)``; the violation shows the last events.
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
# The longest time until a standby sees the lease as expired: with drift, and the network's delay.
LEASE_S = DURATION_S * (1 + 2 * DRIFT) + 0.1


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_never_two_writers_and_soon_one(profile: Profile) -> None:
    """Under all faults, at most one replica may write; after their end, one does in time."""
    assert max(History(profile, seed).simulate() for seed in range(SEEDS)) < 2 * BOUND_S


def is_detected(mutant: Mutant) -> bool:
    """Return whether a history of the mutant's profile violates a guarantee."""
    for seed in range(MUTANT_SEEDS):
        try:
            History(mutant.profile, seed).simulate()
        except Violation:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_rule_is_needed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule, some history violates a guarantee."""
    monkeypatch.setattr(mutant.owner, mutant.name, mutant.instead)
    assert is_detected(mutant)


def leading(history: History) -> Process:
    """Return the leader after five seconds without faults."""
    history.hub.run(5.0)
    writer = history.writer()
    assert writer is not None
    return writer


def freeze_main(seed: int) -> float:
    """Let a leader's main thread hang for ever; return the seconds until another replica writes."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated():
        leader = leading(history)
        leader.threads[MAIN].pause(1e9)
        return history.time_to_writer(leader, 60.0)


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_whose_main_thread_hangs_is_replaced(seed: int) -> None:
    """If the main thread hangs, the lease is renewed for one retry period at most, and expires."""
    assert freeze_main(seed) < RETRY_PERIOD_S * (1 + DRIFT) + LEASE_S + 0.3


def test_renewals_must_end_when_the_main_thread_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that rule, the lease would be held until the kernel kills the leader."""
    monkeypatch.setattr(Elector, "_is_orphaned", lambda _elector, _request, _now: False)
    assert freeze_main(0) > RETRY_PERIOD_S * (1 + DRIFT) + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_frozen_leader_is_dead_before_another_writes(seed: int) -> None:
    """If all threads are stopped, the kernel kills the leader before its lease expires."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated() as hub:
        leader = leading(history)
        for thread in leader.threads.values():
            thread.pause(1e9)
        renewed_at = history.lease_changed_at
        hub.run(renewed_at + DURATION_S * (1 - DRIFT))
        assert not leader.prometheus.is_alive
        history.time_to_writer(leader, 3.0)
        assert hub.now < renewed_at + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_vanished_leader_is_replaced_at_the_leases_expiry(seed: int) -> None:
    """If the leader vanishes, a standby writes as soon as the lease expires, without a poll."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated() as hub:
        leader = leading(history)
        renewed_at = history.lease_changed_at
        leader.exit(-signal.SIGKILL)
        history.time_to_writer(leader, 10.0)
        assert hub.now < renewed_at + LEASE_S + 0.3


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_whose_prometheus_dies_is_replaced_at_once(seed: int) -> None:
    """If the leader's Prometheus dies, the lease is released; a standby writes within 0.5 s."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated():
        leader = leading(history)
        leader.prometheus.die(-signal.SIGKILL)
        assert history.time_to_writer(leader, 10.0) < 0.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_leader_that_stops_or_steps_down_hands_over(seed: int, number: int) -> None:
    """After SIGTERM or SIGUSR1, another replica writes within 0.5 s.

    The old leader's Prometheus still serves then.
    """
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated():
        leader = leading(history)
        history.labels_in_order = True
        leader.signal(number)
        assert history.time_to_writer(leader, 10.0) < 0.5
        assert leader.prometheus.is_alive


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_a_hand_over_moves_the_label(seed: int) -> None:
    """At a hand-over, the label is never beside another writer, and moves to the new leader."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated() as hub:
        leader = leading(history)
        assert leader.machine.is_labelled
        history.labels_in_order = True
        leader.signal(signal.SIGUSR1)
        history.time_to_writer(leader, 10.0)
        hub.run(hub.now + 2.0)
        labelled = [pod.process for pod in history.pods if pod.machine.is_labelled]
        assert labelled == [history.writer()]


def hand_over_with_slow_labels() -> None:
    """Let leaders step down whose label takes about as long as their demotion."""
    for seed in SCRIPTED_SEEDS:
        history = History(profiles.QUIET, seed, has_restarts=False)
        with history.simulated():
            leader = leading(history)
            leader.machine.label_s = 0.12
            history.labels_in_order = True
            leader.signal(signal.SIGUSR1)
            history.time_to_writer(leader, 10.0)


def test_the_release_waits_for_a_slow_label() -> None:
    """The lease is released only when the label is removed."""
    hand_over_with_slow_labels()


def test_the_release_must_wait_for_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lease were released at once, another replica would write beside the label."""
    monkeypatch.setattr(candidacy, "LABEL_WAIT_S", 0.0)
    with pytest.raises(Violation, match="labelled beside another writer"):
        hand_over_with_slow_labels()


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_an_unanswered_label_delays_a_hand_over_briefly(seed: int) -> None:
    """If the label cannot be removed, the hand-over takes only LABEL_WAIT_S longer."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated():
        leader = leading(history)
        leader.machine.label_s = 1e9
        leader.signal(signal.SIGUSR1)
        assert history.time_to_writer(leader, 10.0) < 0.5 + candidacy.LABEL_WAIT_S


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_after_the_faults_only_the_leader_has_the_label(seed: int) -> None:
    """After the end of the faults, only the leader has the label, within a minute."""
    history = History(profiles.ANY, seed)
    with history.simulated() as hub:
        hub.run(history.heals_at)
        history._heal()
        history._await_writer()
        hub.run(hub.now + pod_label_state.LONGEST_RETRY_S + DURATION_S)
        labelled = [pod.process for pod in history.pods if pod.machine.is_labelled]
        assert labelled == [history.writer()]


# --- fetched rules --------------------------------------------------------------------------------


def feed_bad_rules_in_hand_overs(seeds: Iterable[int]) -> None:
    """Run the next function with each seed."""
    for seed in seeds:
        feed_bad_rules_in_a_hand_over(seed)


def feed_bad_rules_in_a_hand_over(seed: int) -> None:
    """Give all replicas rules that Prometheus refuses, just when the leader steps down."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated() as hub:
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
def test_refused_rules_do_not_end_leadership(seed: int) -> None:
    """If Prometheus refuses rules, the leader stays leader, and restores the last good ones."""
    history = History(profiles.QUIET, seed, has_restarts=False)
    with history.simulated() as hub:
        leader = leading(history)
        leader.new_rules.put(True)  # noqa: FBT003 - they are bad
        hub.run(hub.now + 10.0)
        assert history.writer() is leader
        assert leader.reports_leadership
        assert not leader.machine.disk.has_bad_rules
        assert leader.prometheus.is_successful


@pytest.mark.parametrize("seed", SCRIPTED_SEEDS)
def test_refused_rules_do_not_fail_a_hand_over(seed: int) -> None:
    """If a promotion's reload fails because of new rules, they are restored, and it succeeds."""
    feed_bad_rules_in_a_hand_over(seed)


def test_a_refusal_must_not_be_blamed_on_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the refusal were blamed on the configuration, the hand-over would fail."""
    monkeypatch.setattr(RequestedReload, "may_explain_refusal", property(lambda _self: False))
    with pytest.raises(AssertionError):
        feed_bad_rules_in_hand_overs(SCRIPTED_SEEDS)


def test_a_history_is_reproducible() -> None:
    """The same seed gives the same history, event by event."""
    traces = []
    for _ in range(2):
        history = History(profiles.ANY, 7)
        history.simulate()
        traces.append(history.trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 20
