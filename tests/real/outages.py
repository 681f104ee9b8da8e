"""Faults for replicas that write; each function returns once new samples have arrived.

The figures that a function returns are given together with the receiver's account.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import requests

from tests.real.gap import Writers
from tests.real.replica import Replica
from tests.support import let_pass, now, wait_until

Figures = dict[str, float]
SEEN = 4  # new samples of the leader, by which all before them must have arrived
TOO_MANY = (429, {"Retry-After": "1", "Content-Length": "8"})


def machine_gone(writers: Writers) -> Figures:
    """Kill all processes of the leader."""
    return _replaced(writers, Replica.vanish)


def supervisor_killed(writers: Writers) -> Figures:
    """Kill the leader's supervisor alone, with which its other processes die."""

    def kill(leader: Replica) -> None:
        os.kill(leader.pid, signal.SIGKILL)
        wait_until(lambda: not list(leader.processes()), 10, "nothing of it is left")

    return _replaced(writers, kill)


def prometheus_killed(writers: Writers) -> Figures:
    """Kill the leader's Prometheus alone."""
    return _replaced(writers, lambda leader: leader.child.kill())


def stopped(writers: Writers) -> Figures:
    """Send the leader SIGTERM, and wait for the ordered hand-over."""
    leader = writers.await_leader()
    figures = _replaced(writers, Replica.term)
    assert leader.await_end(60) == 0, leader.tail()
    return figures


def rolling_update(writers: Writers) -> Figures:
    """Stop and start each replica, from the last to the first, as a StatefulSet does."""
    for replica in reversed(writers.replicas):
        replica.term()
        replica.await_end(60)
        replica.start()
        replica.await_ready(60)
    _settle(writers)
    return {}


def gate_killed(writers: Writers) -> Figures:
    """Kill the leader's gate alone; it is restarted, and the leader stays."""
    leader = writers.await_leader()
    killed = leader.gate
    killed.kill()
    wait_until(lambda: leader.gate.pid != killed.pid, 15, "the gate runs again")
    _settle(writers)
    assert writers.leader() is leader
    return {}


def frozen(writers: Writers) -> Figures:
    """Stop all processes of the leader with SIGSTOP until another leads, then continue them."""
    leader = writers.await_leader()
    family = leader.family()
    for process in family:
        _suspend(process)
    writers.await_samples(writers.await_new_leader(leader), SEEN)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    _settle(writers)
    return {}


def receiver_dead_at_demotion(writers: Writers) -> Figures:
    """Stop the receiver with SIGSTOP, have the leader step down, and continue the receiver."""
    leader = writers.await_leader()
    child = leader.child
    with _frozen_receiver(writers):
        writers.await_scrapes(leader, 8)
        begin = now()
        step_down(leader)
        writers.await_new_leader(leader)
        took_s = round(now() - begin, 1)
    _settle(writers)
    return {"Prometheus killed": float(not child.is_running()), "until another leads": took_s}


def receiver_away_and_leader_gone(writers: Writers, away_s: float) -> Figures:
    """Stop the receiver, kill the leader meanwhile, and start the receiver again."""
    leader = writers.await_leader()
    writers.store.stop()
    let_pass(away_s / 2)
    leader.vanish()
    writers.await_new_leader(leader)
    let_pass(away_s / 2)
    writers.store.start()
    _settle(writers)
    return {}


def receiver_away_and_gate_gone(writers: Writers, away_s: float) -> Figures:
    """Stop the receiver, kill the leader and its successor's gate, and start the receiver."""
    leader = writers.await_leader()
    writers.store.stop()
    let_pass(away_s)
    leader.vanish()
    successor = writers.await_new_leader(leader)
    killed = successor.gate
    killed.kill()
    wait_until(lambda: successor.gate.pid != killed.pid, 15, "the gate runs again")
    let_pass(away_s)
    writers.store.start()
    _settle(writers)
    return {}


def slow_receiver(writers: Writers, delay_s: float, for_s: float) -> Figures:
    """Delay each request, kill the leader meanwhile, and end the delay."""
    writers.ingress.delay_s = delay_s
    let_pass(for_s)
    leader = writers.await_leader()
    leader.vanish()
    writers.await_new_leader(leader)
    let_pass(for_s)
    writers.ingress.delay_s = 0.0
    _settle(writers)
    return {}


def too_many_requests(writers: Writers, for_s: float) -> Figures:
    """Answer 429 with Retry-After, kill the leader meanwhile, and accept requests again."""
    leader = writers.await_leader()
    writers.ingress.refusal = TOO_MANY
    let_pass(for_s)
    leader.vanish()
    writers.await_new_leader(leader)
    let_pass(for_s)
    writers.ingress.refusal = None
    _settle(writers)
    return {}


def api_server_away(writers: Writers, away_s: float) -> Figures:
    """Disconnect all replicas from the API server for a time."""
    assert writers.way is not None
    writers.way.refuse()
    let_pass(away_s)
    writers.way.accept()
    _settle(writers)
    return {}


def etcd_restarted(writers: Writers, away_s: float) -> Figures:
    """Stop etcd, and start it again after a time."""
    assert writers.namespace is not None
    server = writers.namespace.server
    server.etcd.stop()
    let_pass(away_s)
    server.restore()
    _settle(writers)
    return {}


def step_down(leader: Replica) -> None:
    """Have the leader hand over, by the command `step-down`."""
    argv = [sys.executable, "-m", "wrapper", "step-down", leader.api, "--force"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _replaced(writers: Writers, act: Callable[[Replica], None]) -> Figures:
    leader = writers.await_leader()
    act(leader)
    writers.await_samples(writers.await_new_leader(leader), SEEN)
    return {}


def _settle(writers: Writers) -> None:
    """Wait until the receiver has new samples of the current leader."""

    def has_come() -> bool:
        leader = writers.leader()
        with contextlib.suppress(AssertionError, requests.RequestException):
            if leader is not None:
                writers.await_samples(leader, SEEN, 20)
                return True
        return False

    wait_until(has_come, 120, "the leader's samples come")


@contextmanager
def _frozen_receiver(writers: Writers) -> Iterator[None]:
    writers.store.freeze()
    try:
        yield
    finally:
        writers.store.thaw()


def _suspend(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.suspend()
