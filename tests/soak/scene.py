"""What a director has at hand: groups, dice, and the times that faults allow."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tests.soak.facts import Away, Fault, Violation
from tests.soak.group import Group, Member
from tests.soak.record import Record
from tests.soak.stage import Stage
from tests.support import now

T = TypeVar("T")
CHECK = "all is well again in time"
TAKEOVER_S = (
    9.0  # the lease runs out, another is promoted, scrapes and sends: 3 + 0.5 + 1 + 2, busy
)
RECOVERY_S = 15.0  # after what all use is back: Prometheus' back-off of 5 s, an election, a batch
CALM_S = 60.0  # after a fault until all replicas are ready and write: a start, on a busy machine
_numbers = itertools.count(1)


@dataclass
class Scene:
    """One director's: ``groups`` are those that it may touch, ``name`` that of its dice."""

    name: str
    stage: Stage
    groups: Sequence[Group]
    rng: random.Random
    record: Record
    over: threading.Event

    @contextmanager
    def fault(
        self,
        kind: str,
        *targets: str,
        excused_s: float = 0.0,
        is_crash: bool = True,
        recovery_s: float = 0.0,
        **parameters: object,
    ) -> Iterator[Fault]:
        """Tell of a fault from its beginning to its end.

        There may be no writer for ``excused_s`` from its beginning, or until ``recovery_s`` after
        its end.
        """
        at = now()
        until = float("inf") if recovery_s else at + excused_s if excused_s else 0.0
        fault = Fault(next(_numbers), self.name, kind, targets, at, until, is_crash, parameters)
        self.record.begun(fault)
        try:
            yield fault
        finally:
            fault.until = now()
            if recovery_s:
                fault.excused_until = fault.until + recovery_s

    def pick(self, *choices: T) -> T:
        """Return one of these."""
        return self.rng.choice(choices)

    def pause(self, seconds: float) -> None:
        """Let time pass, unless all is over."""
        self.over.wait(seconds)

    def victim(self) -> tuple[Member, bool]:
        """Return a member, the leader more often; and whether a writer may be touched by it."""
        [group] = self.groups
        leader = group.leader
        member = leader if leader and self.rng.random() < 0.6 else self.pick(*group.members)
        return member, leader in (None, member)

    def away(self, member: Member, seconds: float) -> None:
        """Note that from now on for so long a member's samples may be lost."""
        member.group.known.aways.append(Away(member.name, now() - 1.5, now() + seconds))

    def await_true(self, what: Callable[[], bool], within_s: float) -> bool:
        """Wait until something is true, all is over, or it is too late; return whether it is."""
        until = now() + within_s
        while not (found := what()) and now() < until and not self.over.is_set():
            self.over.wait(0.1)
        return found

    def await_calm(self, last: Fault) -> float:
        """Wait until all replicas are ready and write; return how long that took from the end."""
        asked_at = now()
        is_told = False
        while not self.over.is_set() and not all(g.is_calm(asked_at) for g in self.groups):
            late_at = self._last_end() + CALM_S
            if now() > late_at and not is_told:
                is_told = True
                self._tell_late(last)
            self.over.wait(0.3)
        return now() - last.until

    def allowed(self, until: float, more_s: float) -> float:
        """Return until when something may take: longer after the faults that touch it."""
        others = [
            fault.until + more_s
            for fault in self._touching()
            if (fault.until + more_s > until and fault.group != self.name) or not fault.number
        ]
        return max([until, *others])

    def _last_end(self) -> float:
        """Return when the last fault ended that touches these groups; never if one is on."""
        return max(fault.until for fault in self._touching())

    def _touching(self) -> list[Fault]:
        return self.record.touching(*(group.name for group in self.groups))

    def _tell_late(self, last: Fault) -> None:
        for group in self.groups:
            bad = [member.name for member in group.members if not member.is_ready]
            text = f"{CALM_S:g} s after #{last.number} {last.kind}: not ready: {bad or 'none'}"
            self.record.violated(Violation(CHECK, group.name, now(), text))


Act = Callable[[Scene], Fault]


@contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Undo something at the end, whatever happens."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            undo()
