"""Injects one random fault after the other, and waits until all is well in between."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping, Sequence

from tests.soak import (
    config_faults,
    machine_faults,
    network_faults,
    process_faults,
    shared_faults,
    small_disk,
)
from tests.soak.check_time import silence_after
from tests.soak.facts import Outcome
from tests.soak.scene import Act, Scene
from tests.soak.stage import Stage

# The faults, with their weights.
OF_GROUP: dict[Act, int] = {
    process_faults.kill: 6,
    process_faults.stop: 6,
    process_faults.ask_to_end: 3,
    process_faults.end_in_order: 3,
    process_faults.step_down: 2,
    process_faults.rolling_update: 1,
    network_faults.cut_off: 4,
    network_faults.partition: 4,
    config_faults.good_edit: 3,
    config_faults.bad_edit: 3,
    machine_faults.clock_step: 2,
    machine_faults.slow_disk: 1,
    machine_faults.full_disk: 2,
}
OF_ALL: dict[Act, int] = {
    shared_faults.api_server: 2,
    shared_faults.etcd: 2,
    shared_faults.receiver: 2,
    shared_faults.receiver_answers: 4,
    shared_faults.broker: 1,
    config_faults.step_of_promgen: 3,
}


def impossible(stage: Stage) -> dict[Act, str]:
    """Return the faults that are impossible here, with their requirements."""
    found: dict[Act, str] = {}
    if stage.parts.shim is None:
        found |= dict.fromkeys((machine_faults.clock_step, machine_faults.slow_disk), "cc")
    if not small_disk.can_mount():
        found[machine_faults.full_disk] = "root, to mount a small file system"
    if not stage.network.has_namespaces:
        found[network_faults.partition] = "root, to make network namespaces"
    return found


class Director:
    """Injects random faults into a scene until it is over.

    Its thread lives until the process ends: the kernel kills a thread's children with it.
    """

    def __init__(self, scene: Scene, acts: Mapping[Act, int], pauses_s: Sequence[float]) -> None:
        self.scene, self.acts, self.pauses_s = scene, dict(acts), pauses_s
        self._thread = threading.Thread(target=self._run, name=f"director of {scene.name}")
        self._thread.daemon = True
        self._has_ended = threading.Event()

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def await_end(self) -> None:
        """Wait until the last fault is undone."""
        self._has_ended.wait()

    def _run(self) -> None:
        scene = self.scene
        try:
            while self.acts and not scene.over.is_set():
                scene.pause(scene.pick(*self.pauses_s))
                if not scene.over.is_set():
                    self._act()
        except Exception:  # noqa: BLE001 - the soak test itself has failed, and reports it
            scene.record.failed(f"{self._thread.name}:\n{traceback.format_exc()}")
            scene.over.set()
        self._has_ended.set()
        threading.Event().wait()

    def _act(self) -> None:
        [act] = self.scene.rng.choices(list(self.acts), list(self.acts.values()))
        fault = act(self.scene)
        took_s = self.scene.await_calm(fault)
        next_s = None
        if len(self.scene.groups) == 1:
            next_s = silence_after(self.scene.groups[0].taken_at(fault.since), fault.since)
        self.scene.record.ended(fault, Outcome(fault.group, fault.kind, round(took_s, 2), next_s))
