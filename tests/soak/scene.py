"""What a director uses: its groups, its random numbers, and the times that faults allow."""

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
    9.0  # the lease expires, another replica is promoted, scrapes and sends: 3 + 0.5 + 1 + 2, busy
)
RECOVERY_S = 15.0  # after a shared part is back: Prometheus' back-off of 5 s, election, a batch
CALM_S = 60.0  # from a fault until all replicas are ready and write: a start, on a busy machine
_numbers = itertools.count(1)


@dataclass
class Scene:
    """The scene of a director: ``groups`` are those that it may affect, ``name`` is in its seed."""

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
        """Record a fault from its beginning to its end.

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
        """Return one of these at random."""
        return self.rng.choice(choices)

    def pause(self, seconds: float) -> None:
        """Wait, unless the scene is over."""
        self.over.wait(seconds)

    def victim(self) -> tuple[Member, bool]:
        """Return a member, more often the leader, and whether a writer may be affected."""
        [group] = self.groups
        leader = group.leader
        member = leader if leader and self.rng.random() < 0.6 else self.pick(*group.members)
        return member, leader in (None, member)

    def away(self, member: Member, seconds: float) -> None:
        """Record that a member's samples may be lost for these seconds."""
        member.group.known.aways.append(Away(member.name, now() - 1.5, now() + seconds))

    def await_true(self, what: Callable[[], bool], within_s: float) -> bool:
        """Wait for a condition until the scene is over or time is up; return its value."""
        until = now() + within_s
        while not (found := what()) and now() < until and not self.over.is_set():
            self.over.wait(0.1)
        return found

    def await_calm(self, last: Fault) -> float:
        """Wait until all replicas are ready and write; return the seconds since the fault's end."""
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
        """Return the deadline of something, which is later after faults that affect it."""
        others = [
            fault.until + more_s
            for fault in self._touching()
            if (fault.until + more_s > until and fault.group != self.name) or not fault.number
        ]
        return max([until, *others])

    def _last_end(self) -> float:
        """Return the end of the last fault that affects these groups; infinity during one."""
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
    """Call ``undo`` at the end of the context, also after an error."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            undo()
