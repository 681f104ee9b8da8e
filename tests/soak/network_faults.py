"""Faults of the network between replicas and the API server."""

from __future__ import annotations

from collections.abc import Callable

from tests.real.faults import Proxy, Refusal
from tests.soak.facts import PARTITION, Fault
from tests.soak.scene import RECOVERY_S, TAKEOVER_S, Scene

EVERY = frozenset({"GET", "POST", "PUT"})
RENEW_S = 2.0  # until a leader that cannot renew steps down


def cut_off(scene: Scene) -> Fault:
    """Cut one replica, or its whole group, off from the API server, in one of several ways."""
    [group] = scene.groups
    member, is_writer = scene.victim()
    members = group.members if scene.rng.random() < 0.25 else [member]
    how = scene.pick(*WAYS)
    seconds = scene.pick(0.5, 1.5, 3.0, 6.0, 12.0)
    is_all = len(members) > 1
    excused_s = RENEW_S + TAKEOVER_S if is_writer and not is_all else 0.0
    with scene.fault(
        "cut off from the API server",
        *(each.name for each in members),
        excused_s=excused_s,
        recovery_s=RECOVERY_S if is_all else 0.0,
        how=how,
        seconds=seconds,
    ) as fault:
        for each in members:
            WAYS[how](each.way)
        scene.pause(seconds)
        for each in members:
            each.way.accept()
    return fault


def partition(scene: Scene) -> Fault:
    """Block all packets between some replicas and everything else, including other replicas."""
    [group] = scene.groups
    member, is_writer = scene.victim()
    others = [each for each in group.members if each is not member]
    members = [member, *others[: scene.pick(0, 0, 0, 1, 2)]]
    is_all = len(members) == len(group.members)
    seconds = scene.pick(0.5, 2.0, 5.0, 15.0)
    with scene.fault(
        PARTITION,
        *(each.name for each in members),
        excused_s=0.0 if is_all or not (is_writer or len(members) > 1) else RENEW_S + TAKEOVER_S,
        recovery_s=RECOVERY_S if is_all else 0.0,
        seconds=seconds,
    ) as fault:
        for each in members:
            scene.stage.network.cut(each.name)
        scene.pause(seconds)
        for each in members:
            scene.stage.network.join(each.name)
    return fault


def _answer(status: int) -> Callable[[Proxy], None]:
    def act(way: Proxy) -> None:
        way.refusal = Refusal(status, EVERY)

    return act


def _lose_replies(way: Proxy) -> None:
    way.loses_replies = True


def _slow(way: Proxy) -> None:
    way.delay_s = 0.4


WAYS: dict[str, Callable[[Proxy], None]] = {
    "refuses": Proxy.refuse,
    "swallows": Proxy.swallow,
    "forgets": Proxy.forget,
    "answers 500": _answer(500),
    "answers 429": _answer(429),
    "answers 403": _answer(403),
    "answers 401": _answer(401),
    "loses replies": _lose_replies,
    "is slow": _slow,
}
