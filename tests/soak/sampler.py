"""Measures the processes while all is well, and finds files and processes that are left over."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.soak.actor import Actor
from tests.soak.check_growth import CHECK
from tests.soak.facts import Violation
from tests.soak.family import GONE, OTHER, PROMETHEUS, Life, family, figures
from tests.soak.group import Group, Member
from tests.soak.record import Record
from tests.soak.small_disk import FILLER
from tests.support import now

YOUNG_S = 15.0  # the first seconds of a process are not measured
LEFT_S = 20.0  # the longest life of a temporary file, or of a process that ends
KNOWN_FILES = re.compile(
    r"prometheus\.yml(\.lock)?|\.prometheus\.yml\.(good-follower|good-leader|proven-leader|lock)"
    f"|{FILLER}"
)


class Sampler(Actor):
    """Measures the processes of each member of a group while all is well."""

    pause_s = 5.0

    def __init__(self, group: Group, record: Record) -> None:
        super().__init__(f"sampler of {group.name}", record)
        self.group = group
        self._first_seen: dict[object, float] = {}
        self._turns = 0

    def turn(self) -> None:
        """Check each member once."""
        seen: set[object] = set()
        self._turns += 1
        for member in self.group.members:
            if member.is_running:
                self._measure(member)
            for what in self._leavings(member):
                seen.add(what)
                since = self._first_seen.setdefault(what, now())
                if now() - since > LEFT_S:
                    text = f"{member.name}: {what} is left over"
                    self.record.violated(Violation(CHECK, self.group.name, since, text))
        self._first_seen = {
            what: at
            for what, at in self._first_seen.items()
            if what in seen or isinstance(what, Life) or self._turns % 3
        }

    def _measure(self, member: Member) -> None:
        for role, lives in family(member.pid).items():
            for life in lives:
                since = self._first_seen.setdefault(life, now())
                if role in (PROMETHEUS, OTHER) or not self._is_steady(since):
                    continue
                try:
                    found = figures(life)
                except GONE:
                    continue
                self.group.known.figures.setdefault((member.name, role, life), []).append(found)

    def _is_steady(self, since: float) -> bool:
        is_old = now() - since > YOUNG_S
        return is_old and not any(
            fault.until > now() - 3.0
            for fault in tuple(self.record.faults)
            if fault.group in (self.group.name, "all")
        )

    def _leavings(self, member: Member) -> Iterator[str]:
        """Yield processes that do not belong to the replica, and unknown files."""
        if self._turns % 3 == 0 and member.is_running:  # this reads all processes of the machine
            own = {life.pid for lives in family(member.pid).values() for life in lives}
            for process in member.processes():
                if process.pid not in own:
                    yield f"process {process.pid}"
        for path in member.temporary.iterdir():
            yield f"temporary file {path.name}"
        for path in member.output.parent.iterdir():
            if not KNOWN_FILES.fullmatch(path.name) and path.name != "data":
                yield f"file {path.name}"
