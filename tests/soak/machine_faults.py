"""Faults of a replica's machine: its clock and its disk."""

from __future__ import annotations

from tests.soak import process_faults
from tests.soak.config_faults import await_loaded, begin_edit
from tests.soak.facts import Fault
from tests.soak.scene import TAKEOVER_S, Scene
from tests.soak.small_disk import full

STEPS_S = (-1800.0, -60.0, -3.0, -0.5, 0.5, 3.0, 60.0, 1800.0, 86_400.0)


def clock_step(scene: Scene) -> Fault:
    """Step the wall clock of a replica's own processes, and step it back: this is harmless."""
    member, _ = scene.victim()
    wrong_s = scene.pick(*STEPS_S)
    seconds = scene.pick(1.0, 5.0, 15.0)
    assert member.shim is not None
    with scene.fault(
        "clock step", member.name, is_crash=False, wrong_s=wrong_s, seconds=seconds
    ) as fault:
        member.tell_shim(wrong_s=wrong_s)
        scene.pause(seconds)
        member.tell_shim()
    return fault


def slow_disk(scene: Scene) -> Fault:
    """Slow down each fsync and rename of all replicas while the leader hands over."""
    [group] = scene.groups
    slow_s = scene.pick(0.1, 0.5, 1.5)
    with scene.fault(
        "slow disk",
        *(member.name for member in group.members),
        excused_s=TAKEOVER_S + 6 * slow_s,
        slow_s=slow_s,
    ) as fault:
        for member in group.members:
            member.tell_shim(slow_s=slow_s)
        scene.pause(scene.pick(0.0, 2.0))
        process_faults.run_step_down(group.leader or group.members[0])
        scene.pause(2.0)
        for member in group.members:
            member.tell_shim()
    return fault


def full_disk(scene: Scene) -> Fault:
    """Fill the disk of a replica; meanwhile edit its configuration, or stop it."""
    member, is_writer = scene.victim()
    meanwhile = scene.pick("nothing", "edit", "end")
    seconds = scene.pick(1.0, 4.0, 8.0)
    number = member.newest_edit + (meanwhile == "edit")
    with scene.fault(
        "full disk",
        member.name,
        excused_s=TAKEOVER_S if is_writer else 0.0,
        meanwhile=meanwhile,
        seconds=seconds,
    ) as fault:
        with full(member.output.parent):
            if meanwhile == "edit":
                for each in member.group.members:
                    begin_edit(each, number)
                    each.map.swap(each.text(number))
            elif meanwhile == "end" and member.is_running:
                member.term()
            scene.pause(seconds)
        await_loaded(scene, member.group, number)
    return fault
