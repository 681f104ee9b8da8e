"""Faults of the parts that all replicas use: API server, etcd, receiver, broker."""

from __future__ import annotations

import signal

from tests.real.parts import Program
from tests.soak.facts import Fault
from tests.soak.scene import RECOVERY_S, Scene
from tests.support import now

TRIES = 4
TOO_MANY = (429, {"Retry-After": "1"})


def api_server(scene: Scene) -> Fault:
    """Kill, stop or end the API server, and restore it."""
    return _part(scene, "API server", scene.stage.server)


def etcd(scene: Scene) -> Fault:
    """Kill, stop or end etcd, and restore it."""
    return _part(scene, "etcd", scene.stage.etcd)


def receiver(scene: Scene) -> Fault:
    """Kill, stop or end the receiver, and restore it."""
    return _part(scene, "receiver", scene.stage.store)


def broker(scene: Scene) -> Fault:
    """Kill, stop or end the broker, and restore it; this does not affect a writer."""
    return _part(scene, "broker", scene.stage.broker, recovery_s=0.0)


def receiver_answers(scene: Scene) -> Fault:
    """Let the receiver refuse, be slow, hang, or close connections, for some seconds."""
    how = scene.pick("429", "503", "500", "slow", "hangs", "hangs up")
    seconds = scene.pick(1.0, 4.0, 10.0)
    with scene.fault("receiver", how, recovery_s=RECOVERY_S, seconds=seconds) as fault:
        for group in scene.groups:
            ingress = group.ingress
            if how == "429":
                ingress.refusal = TOO_MANY
            elif how in ("503", "500"):
                ingress.refusal = (int(how), {})
            ingress.delay_s = {"slow": 0.7, "hangs": 1e6}.get(how, 0.0)
            ingress.is_away = how == "hangs up"
        scene.pause(seconds)
        for group in scene.groups:
            group.ingress.refusal, group.ingress.delay_s = None, 0.0
            group.ingress.is_away = False
    return fault


def _part(scene: Scene, name: str, part: Program, recovery_s: float = RECOVERY_S) -> Fault:
    how = scene.pick("kill", "end", "stop")
    seconds = scene.pick(0.5, 2.0, 5.0, 12.0)
    with scene.fault(name, how, recovery_s=recovery_s, seconds=seconds) as fault:
        if how == "stop":
            part.freeze()
            scene.pause(seconds)
            part.thaw()
        else:
            part.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM, 20)
            scene.pause(seconds)
            _start(scene, name, part)
        scene.record.note("part is back", part=name, after_s=round(now() - fault.since, 2))
    return fault


def _start(scene: Scene, name: str, part: Program) -> None:
    """Start a part; retry if it fails, as an API server does on a busy machine."""
    for _ in range(TRIES - 1):
        try:
            return part.start()
        except AssertionError as error:
            scene.record.note("part has not started", part=name, reason=str(error))
            part.stop()
    return part.start()
