"""A soak test from beginning to end: start all parts, inject faults, settle, check, summarise."""

from __future__ import annotations

import random
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.soak.check_growth import CHECK
from tests.soak.director import OF_ALL, OF_GROUP, Director, impossible
from tests.soak.facts import Outcome, Violation
from tests.soak.group import Group
from tests.soak.judge import grown, stored
from tests.soak.record import Record
from tests.soak.scene import CALM_S, Scene
from tests.soak.stage import EndedEarly, Stage
from tests.support import now, wait_until

SETTLE_S = 15.0  # without faults at the end, until earlier samples have arrived
WARM_UP_S = 10.0
PAUSES_S = (0.0, 1.0, 4.0, 10.0)  # between faults of a group; marks move in the long ones
LONG_PAUSES_S = (1.0, 5.0, 15.0, 30.0)
END_S = 75.0
SLOW_END_S = 30.0


def longest(outcomes: Iterable[Outcome]) -> dict[str, dict[str, float]]:
    """Return by kind of fault the longest times until all was well, and until the next write."""
    found: dict[str, dict[str, float]] = {}
    for each in outcomes:
        kind = found.setdefault(f"{each.group}: {each.kind}", {})
        for name, value in (("calm", each.calm_after_s), ("next write", each.next_write_s)):
            if value is not None:
                kind[name] = round(max(kind.get(name, 0.0), value), 2)
    return found


class Soak:
    """Runs a soak test of this length; ``over`` ends it early."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        seconds: float,
        only: list[str],
        *,
        record: Record,
        over: threading.Event,
    ) -> None:
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.only, self.record, self.over = only, record, over

    def run(self) -> bool:
        """Run the soak test; return whether there was no violation and no failure."""
        try:
            with Stage(self.folder, self.record, self.over) as stage:
                self.record.say("all parts run")
                self._soak(stage)
                if not self.record.faults:
                    self.record.failed("no fault was made: give more minutes, or other faults")
                else:
                    self._finish(stage)
        except EndedEarly:
            self.record.failed("ended early, by a signal")
        except Exception:  # noqa: BLE001 - the soak test itself has failed, and reports it
            self.record.failed(traceback.format_exc())
        self._sum_up()
        return not (self.record.violations or self.record.failures)

    def _soak(self, stage: Stage) -> None:
        self.over.wait(WARM_UP_S)
        over = threading.Event()  # ends the faults; self.over ends everything
        left_out = impossible(stage)
        for act, need in left_out.items():
            self.record.say(f"left out: {act.__name__}, which needs {need}")
            self.record.note("left out", fault=act.__name__, needs=need)
        of_group = {act: weight for act, weight in OF_GROUP.items() if act not in left_out}
        directors = [
            Director(
                self._scene(stage, group.name, [group], over), self._chosen(of_group), PAUSES_S
            )
            for group in stage.groups
        ]
        shared = self._scene(stage, "all", stage.groups, over)
        directors.append(Director(shared, self._chosen(OF_ALL), LONG_PAUSES_S))
        for director in directors:
            director.begin()
        until = now() + self.seconds - WARM_UP_S - SETTLE_S
        while now() < until and not self.over.wait(0.5) and not over.is_set():
            pass
        over.set()
        for director in directors:
            director.await_end()
        if self.over.is_set():
            raise EndedEarly

    def _scene(self, stage: Stage, name: str, groups: list[Group], over: threading.Event) -> Scene:
        dice = random.Random(f"{self.seed}/{name}")
        return Scene(name, stage, groups, dice, self.record, over)

    def _chosen(self, acts: dict[Any, int]) -> dict[Any, int]:
        return {act: weight for act, weight in acts.items() if act.__name__ in self.only}

    def _finish(self, stage: Stage) -> None:
        """Wait until all is well, check once more, and stop everything."""
        self.record.say("no more faults")
        begin = now()
        for group in stage.groups:
            self._await_calm(group, begin)
        self.over.wait(SETTLE_S)
        for group in stage.groups:
            stage.judges[group.name].turn()
            for violation in (*grown(group), *stored(group, stage.store)):
                self.record.violated(violation)
            self._end(stage, group)

    def _await_calm(self, group: Group, begin: float) -> None:
        try:
            wait_until(lambda: group.is_calm(begin), CALM_S, "all are ready and write", 0.3)
        except AssertionError as error:
            text = f"at the end: {error}"
            self.record.violated(Violation("all is well again", group.name, now(), text))

    def _end(self, stage: Stage, group: Group) -> None:
        """Stop a group's members; check their exit statuses, and that they leave no files."""
        stage.judges[group.name].close()
        stage.keepers[group.name].stop_all()
        for member in group.members:
            try:
                status = member.await_end(END_S)
            except Exception:  # noqa: BLE001 - subprocess.TimeoutExpired
                status = -1
            left = member.leavings()
            is_slow = any(each.until > now() - SLOW_END_S for each in self.record.slow)
            if left or (status and not is_slow):  # on a slow machine it may fence itself
                text = f"{member.name} ended with {status}; left: {left or 'nothing'}"
                self.record.violated(Violation(CHECK, group.name, now(), text))

    def _sum_up(self) -> None:
        kinds = Counter(f"{fault.group}: {fault.kind}" for fault in self.record.faults)
        violations = Counter(each.check for each in self.record.violations)
        lasted_s = round(now() - self.record.began_at, 1)
        self.record.note(
            "summary",
            seed=self.seed,
            lasted_s=lasted_s,
            faults=dict(kinds),
            violations=dict(violations),
            longest_s=longest(self.record.outcomes),
            slow_machine_s=round(sum(each.until - each.since for each in self.record.slow), 1),
            failures=len(self.record.failures),
        )
        count = len(self.record.violations)
        self.record.say(
            f"{len(self.record.faults)} faults in {lasted_s:g} s, {count} violations"
            + (f": {dict(violations)}" if count else "")
        )
