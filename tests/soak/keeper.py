"""Starts and restarts replicas, as the kubelet does, and records when their parts were away.

Only this thread starts replicas, because the kernel kills them when their thread ends.
"""

from __future__ import annotations

from tests.soak.actor import Actor
from tests.soak.facts import FOREVER, Away
from tests.soak.family import GATE, PROMETHEUS, Life, family
from tests.soak.group import Group, Member
from tests.soak.record import Record
from tests.support import now

START_S = 3.0  # from the start of Prometheus or the gate until its samples are certainly held
PARTS = (PROMETHEUS, GATE)


class Keeper(Actor):
    """Keeps the wanted members of a group running; each restarts after ``back_s``."""

    pause_s = 0.1
    back_s = 0.5

    def __init__(self, group: Group, record: Record) -> None:
        super().__init__(f"keeper of {group.name}", record)
        self.group = group
        self._ended_at: dict[str, float] = {}
        self._lives: dict[tuple[str, str], Life | None] = {}
        self._aways: dict[str, Away] = {}

    def turn(self) -> None:
        """Check each member once."""
        for member in self.group.members:
            if member.is_running:
                self._ended_at.pop(member.name, None)
            elif member.is_wanted:
                self._bring_back(member)
            self._note_lives(member)

    def _bring_back(self, member: Member) -> None:
        if member.process is not None and member.name not in self._ended_at:
            self._ended_at[member.name] = now()
            status = member.process.poll()
            self.record.note("replica ended", replica=member.name, status=status)
        if now() >= self._ended_at.get(member.name, 0.0) + self.back_s:
            member.start()
            self.record.note("replica started", replica=member.name, pid=member.pid)

    def _note_lives(self, member: Member) -> None:
        """Begin a period of absence when a part is new or dead, and end it later."""
        found = family(member.pid) if member.is_running else {}
        has_all, is_other = True, False
        for part in PARTS if self.group.has_gate else PARTS[:1]:
            life = found[part][0] if found.get(part) else None
            is_other |= life != self._lives.get((member.name, part))
            has_all &= life is not None
            self._lives[member.name, part] = life
        if not is_other:
            return
        away = self._aways.get(member.name)
        if away is None or away.until < now():
            away = self._aways[member.name] = Away(member.name, now() - 1.0)
            self.group.known.aways.append(away)
        away.until = now() + START_S if has_all else FOREVER

    def stop_all(self) -> None:
        """Stop all members, and start none again."""
        for member in self.group.members:
            member.is_wanted = False
            if member.is_running:
                member.term()
