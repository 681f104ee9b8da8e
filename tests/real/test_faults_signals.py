"""Signals to the wrapper: SIGUSR1, SIGHUP, SIGQUIT, and a second SIGTERM."""

from __future__ import annotations

import os
import signal

import requests

from tests.real.fleet import SPARE_S, Fleet, await_turns, is_dead, writes_to
from tests.real.parts import WriteLog, applied_config
from tests.support import now, wait_until


def test_a_leader_steps_down_when_asked_to_and_may_lead_again(fleet: Fleet) -> None:
    """On SIGUSR1 a leader hands over and runs on; it can lead again."""
    leader, other = fleet.pair()
    os.kill(leader.pid, signal.SIGUSR1)
    other.await_leader(SPARE_S)
    await_turns(fleet, leader.name, other.name)
    os.kill(other.pid, signal.SIGUSR1)
    leader.await_leader(SPARE_S)
    await_turns(fleet, leader.name, other.name, leader.name)
    assert other.is_running


def test_sighup_loads_changed_configurations_and_rules(fleet: Fleet) -> None:
    """On SIGHUP, a changed configuration and a changed rule file are loaded."""
    leader, _ = fleet.pair("--rehash-period=1h")
    text = leader.config.read_text()
    leader.config.write_text(text.replace("scrape_interval: 1s", "scrape_interval: 7s"))
    rules = leader.config.with_name("beat.yml")
    rules.write_text(rules.read_text().replace("name: beat", "name: drum"))
    os.kill(leader.pid, signal.SIGHUP)
    wait_until(lambda: "scrape_interval: 7s" in applied_config(leader.url), 15, "the configuration")
    wait_until(lambda: "drum" in requests.get(f"{leader.url}/api/v1/rules").text, 15, "the rules")
    rules.write_text(rules.read_text().replace("name: drum", "name: horn"))
    os.kill(leader.pid, signal.SIGHUP)
    wait_until(lambda: "horn" in requests.get(f"{leader.url}/api/v1/rules").text, 15, "rules alone")
    assert fleet.log.turns() == [leader.name]


def test_sigquit_reaches_prometheus(fleet: Fleet) -> None:
    """On SIGQUIT, Prometheus prints its goroutines and exits with 2; the other leads."""
    leader, other = fleet.pair()
    os.kill(leader.pid, signal.SIGQUIT)
    other.await_leader(SPARE_S)
    assert leader.await_end() == 2
    assert "SIGQUIT: quit" in leader.log.read_text()
    await_turns(fleet, leader.name, other.name)


def test_a_second_sigterm_kills_prometheus_then_releases(fleet: Fleet) -> None:
    """While a demotion hangs, the lease stays held until a second SIGTERM.

    Then Prometheus is killed before the lease is released.
    """
    hole = WriteLog()
    hole.delay_s = 3600
    for name in ("a", "b"):
        flags = ("--storage.remote.flush-deadline=1m",)
        replica = fleet.make(name, "--demotion-grace=1m", child_flags=flags)
        fleet.configure(replica, writes_to(fleet.log.url(name), hole.url(name)))
        fleet.begin(replica)
    leader, other = fleet.settled()
    wait_until(hole.writers, 10, "the endpoint hangs")
    child = leader.child
    leader.term()
    asked_at = now()
    while now() < asked_at + 4:
        assert fleet.namespace.holder() == leader.name, "held, and renewed, while it may write"
    leader.term()
    again_at = now()
    while fleet.namespace.holder() == leader.name:
        assert now() < again_at + SPARE_S, "the lease is not given back"
    assert is_dead(child)
    other.await_leader(SPARE_S)
    assert leader.await_end() == 128 + signal.SIGKILL
    assert leader.log.read_text().count("killing Prometheus") == 1
    await_turns(fleet, leader.name, other.name)
    hole.close()
