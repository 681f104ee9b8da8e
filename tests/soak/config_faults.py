"""Valid and invalid edits of the replicas' configuration, and wrong answers of Promgen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests import promgen
from tests.soak.check_config import IN_TIME, Edit
from tests.soak.facts import Fault, Violation
from tests.soak.group import Group, Member
from tests.soak.scene import Scene
from tests.support import now

EDIT_S = 20.0  # until a running replica has confirmed an edit
FETCH_S = 45.0  # until new targets are in the file: an interval of 15 s, and pauses after failures
ENTRIES_KEPT = 4


def good_edit(scene: Scene) -> Fault:
    """Edit the configuration of each replica, one after the other, with one of several methods."""
    [group] = scene.groups
    way = scene.pick(*group.members[0].map.ways)
    number = group.members[0].newest_edit + 1
    with scene.fault("edit", way, is_crash=False, number=number) as fault:
        for member in group.members:
            begin_edit(member, number)
            member.map.ways[way](member.text(number))
            scene.pause(scene.pick(0.0, 0.0, 0.5))
        await_loaded(scene, group, number)
    return fault


def bad_edit(scene: Scene) -> Fault:
    """Make an invalid edit for some seconds, and correct it with the old or a new text."""
    [group] = scene.groups
    kind = scene.pick(*BAD)
    way = scene.pick(*group.members[0].map.ways)
    seconds = scene.pick(1.0, 4.0, 8.0)
    last = group.members[0].newest_edit
    number = last + scene.pick(0, 1)
    with scene.fault("bad edit", kind, is_crash=False, seconds=seconds, mended_by=way) as fault:
        for member in group.members:
            BAD[kind](member, last)
        scene.pause(seconds)
        for member in group.members:
            if number != last:
                begin_edit(member, number)
            member.map.ways[way](member.text(number))
        await_loaded(scene, group, number)
    return fault


def step_of_promgen(scene: Scene) -> Fault:
    """Let Promgen answer wrongly, then publish new targets, and notify the replicas."""
    how = scene.pick("good", *WRONG)
    number = scene.rng.randrange(1, 60_000)
    seconds = scene.pick(2.0, 6.0) if how != "good" else 0.0
    with scene.fault("Promgen", how, is_crash=False, seconds=seconds) as fault:
        if how != "good":
            scene.stage.promgen.act = WRONG[how]
            _announce(scene)
            scene.pause(seconds)
            scene.stage.promgen.act = None
        body = scene.stage.put_targets(number)
        _announce(scene)
        _await_targets(scene, body)
    return fault


def begin_edit(member: Member, number: int) -> None:
    """Record an edit as correct from now on; earlier ones are correct until it is loaded."""
    edits = member.group.known.edits[member.name]
    edits.append(Edit(number, now()))
    del edits[:-ENTRIES_KEPT]


def await_loaded(scene: Scene, group: Group, number: int) -> None:
    """Wait until each replica has loaded the edit; from then on no other is correct."""
    begin, is_told = now(), False
    waiting = list(group.members)
    while waiting and not scene.over.is_set():
        scene.over.wait(0.1)
        for member in tuple(waiting):
            loaded = member.loaded
            if loaded and loaded.asked_at > begin and f"edit-{number}" in loaded.jobs:
                group.known.edits[member.name][-1].due = now()
                waiting.remove(member)
        if now() > scene.allowed(begin + EDIT_S, EDIT_S) and not is_told:
            is_told = True
            for member in waiting:
                text = f"{member.name} has not loaded edit {number} within {EDIT_S:g} s"
                scene.record.violated(Violation(IN_TIME, group.name, now(), text))


def _await_targets(scene: Scene, body: bytes) -> None:
    """Wait until each replica has these targets in its file."""
    begin, is_told = now(), False
    waiting = [member for group in scene.stage.groups for member in group.members]
    wanted = promgen.rendered(body)
    while waiting and not scene.over.is_set():
        scene.over.wait(0.2)
        waiting = [each for each in waiting if not _has(each, wanted)]
        if now() > scene.allowed(begin + FETCH_S, FETCH_S) and not is_told:
            is_told = True
            for member in waiting:
                text = f"{member.name} has not the new targets within {FETCH_S:g} s"
                scene.record.violated(Violation("targets in time", member.group.name, now(), text))


def _has(member: Member, wanted: object) -> bool:
    has: object = promgen.rendered(member.targets.read_bytes()) if member.targets.exists() else None
    return has == wanted


def _announce(scene: Scene) -> None:
    """Send each replica Promgen's task."""
    scene.stage.announce()


# --- invalid edits ---


def _no_yaml(member: Member, number: int) -> None:
    member.map.swap(member.text(number) + "\n  - : [\n")


def _cut_short(member: Member, number: int) -> None:
    text = member.text(number)
    member.map.swap(text[: text.index("url: ") + 8])  # within braces, so it is no valid YAML


def _empty(member: Member, _number: int) -> None:
    member.map.write("")


def _removed(member: Member, _number: int) -> None:
    member.map.remove()


def _refused(change: tuple[str, str], member: Member, number: int) -> None:
    """Write a configuration that only Prometheus refuses."""
    before, after = change
    member.map.rename(member.text(number).replace(before, after))


def _loop(member: Member, _number: int) -> None:
    """Point ``..data`` to a folder that does not exist."""
    data = member.map.folder / "..data"
    data.unlink()
    data.symlink_to("nowhere")


TOO_LONG = "scrape_interval: 1s\n    scrape_timeout: 9s\n    job_name: edit"
BAD: dict[str, Callable[[Member, int], None]] = {
    "no YAML": _no_yaml,
    "cut short": _cut_short,
    "empty": _empty,
    "removed": _removed,
    "unknown field": partial(_refused, ("job_name: edit", "no_such_field: 1\n    job_name: edit")),
    "refused by Prometheus": partial(
        _refused,
        ("job_name: edit", "scrape_interval: 1s\n    scrape_timeout: 9s\n    job_name: edit"),
    ),
    "refused as leader": partial(
        _refused, ("name: receiver", "name: receiver, remote_timeout: 0x")
    ),
}
WRONG: dict[str, Callable[[object], None]] = {
    "500": promgen.with_status(500),
    "a page": promgen.with_status(200),
    "to a login page": promgen.to_login,
    "half": promgen.half_of(promgen.targets(promgen.group("127.0.0.1:9"))),
    "half of chunks": promgen.half_of_chunks(promgen.targets(promgen.group("127.0.0.1:9"))),
    "dripping": promgen.dripping,
    "endless": promgen.endless,
    "no targets": promgen.with_status(200, b"[]"),
}
