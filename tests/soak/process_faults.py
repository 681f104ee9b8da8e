"""Faults of a group's processes: kill, stop, SIGTERM; and what users do with replicas."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from functools import partial

from tests.soak.facts import Fault, Violation
from tests.soak.family import GATE, PROMETHEUS, SUPERVISOR, WEB, WORKER, Life, family
from tests.soak.group import Member
from tests.soak.scene import CALM_S, TAKEOVER_S, Scene
from tests.support import now

ALL = "all"
WRITERS = (SUPERVISOR, PROMETHEUS, GATE, ALL)  # without which a replica does not write
UNHEALTHY_S = 8.0  # three health checks of 1 s each that time out after 1 s, and a busy machine
END_S = 75.0


def kill(scene: Scene) -> Fault:
    """Kill one process of a replica, or all at the same time."""
    return _signal(scene, signal.SIGKILL)


def ask_to_end(scene: Scene) -> Fault:
    """Send SIGTERM to one process of a replica, other than its supervisor."""
    return _signal(scene, signal.SIGTERM)


def stop(scene: Scene) -> Fault:
    """Stop one process of a replica, or all, with SIGSTOP, and continue them later."""
    member, is_writer = scene.victim()
    role = scene.pick(*_roles(member), ALL)
    seconds = scene.pick(0.3, 1.0, 2.0, 4.0, 8.0, 15.0)
    excused = min(seconds, UNHEALTHY_S) + TAKEOVER_S if is_writer and role in WRITERS else 0.0
    lives = _lives(member, role)
    with scene.fault("stop", member.name, excused_s=excused, part=role, seconds=seconds) as fault:
        if role in (PROMETHEUS, ALL):
            scene.away(member, seconds + 1.5)
        for life in lives:
            life.signal(signal.SIGSTOP)
        scene.pause(seconds)
        for life in lives:
            life.signal(signal.SIGCONT)
    return fault


def end_in_order(scene: Scene) -> Fault:
    """Stop a replica as the kubelet does; it is started again."""
    member, is_writer = scene.victim()
    return _end_in_order(scene, member, "end in order", is_writer=is_writer)


def rolling_update(scene: Scene) -> Fault:
    """Stop each replica in order, the last one first, and wait until it is ready again."""
    [group] = scene.groups
    fault = None
    for member in reversed(group.members):
        is_writer = group.leader in (None, member)
        fault = _end_in_order(scene, member, "rolling update", is_writer=is_writer)
        scene.await_true(partial(_is_ready, member), CALM_S)
    assert fault is not None
    return fault


def step_down(scene: Scene) -> Fault:
    """Make the leader hand over with the step-down command."""
    [group] = scene.groups
    member = group.leader or group.members[0]
    with scene.fault("step down", member.name, excused_s=TAKEOVER_S, is_crash=False) as fault:
        run_step_down(member)
    return fault


def run_step_down(member: Member) -> None:
    """Run the step-down command for a member, if it leads and can be asked."""
    argv = [sys.executable, "-m", "wrapper", "step-down", member.api, "--force"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(argv, capture_output=True, check=False, timeout=60)


def _is_ready(member: Member) -> bool:
    return member.is_ready


def _signal(scene: Scene, number: signal.Signals) -> Fault:
    member, is_writer = scene.victim()
    roles = _roles(member)
    roles = (*roles, ALL) if number == signal.SIGKILL else roles[1:]
    role = scene.pick(*roles)
    excused = TAKEOVER_S if is_writer and role in WRITERS else 0.0
    name = "kill" if number == signal.SIGKILL else "ask to end"
    with scene.fault(name, member.name, excused_s=excused, part=role) as fault:
        for life in _lives(member, role):
            life.signal(number)
    return fault


def _end_in_order(scene: Scene, member: Member, kind: str, *, is_writer: bool) -> Fault:
    excused = TAKEOVER_S if is_writer else 0.0
    with scene.fault(kind, member.name, excused_s=excused, is_crash=False) as fault:
        process = member.process
        assert process is not None
        if member.is_running:
            member.term()
        has_ended = scene.await_true(lambda: process.poll() is not None, END_S)
        took_s = round(now() - fault.since, 2)
        scene.record.note("ended in order", replica=member.name, took_s=took_s)
        if not (has_ended or scene.over.is_set()):
            text = f"{member.name} has not ended {took_s:g} s after SIGTERM"
            scene.record.violated(Violation("ends in time", member.group.name, now(), text))
    return fault


def _roles(member: Member) -> tuple[str, ...]:
    roles = (SUPERVISOR, PROMETHEUS, WEB, WORKER)
    return (*roles, GATE) if member.group.has_gate else roles


def _lives(member: Member, role: str) -> list[Life]:
    found = family(member.pid) if member.is_running else {}
    if role != ALL:
        return found.get(role, [])
    return [life for lives in found.values() for life in lives]
