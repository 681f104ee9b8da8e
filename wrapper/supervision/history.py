"""The history of leaders, as this replica saw them, and why each change happened; pure.

Each change of the leader adds an entry. A leader is "" if nobody led, None if it is not known
because the lease could not be used. The number, age and length of entries are limited, because each
snapshot contains them.

Limitations: the history is lost when the supervisor exits. Only the former leader itself knows why
it stopped leading.
"""

from __future__ import annotations

from collections import deque

from wrapper.model.lease import LeaseView
from wrapper.model.snapshot import LONGEST_HISTORY_S, HandOver
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan

MOST = 100
LONGEST_REASON = 300
_HELD = "held the lease when it was first read"
_FREE = f"nobody {_HELD}"


class History:
    """The changes of the leader that this replica has seen, the oldest first."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._entries: deque[HandOver] = deque(maxlen=MOST)
        self._leader: str | None = ""
        self._ended = _FREE  # why there was no leader before the next one
        self._known: str | None = None  # the last known leader; "" is nobody, None: not read yet
        self._acquired = ""  # acquireTime of the last known leader's record

    @property
    def entries(self) -> tuple[HandOver, ...]:
        """All entries, the oldest first."""
        return tuple(self._entries)

    def note_leader(self, leader: str | None, decided: Plan, o: Observation, wall: float) -> None:
        """Add an entry if the leader has changed.

        ``leader`` is "" for nobody, None if not known; ``wall`` is the wall time.
        """
        self._forget(wall)
        if leader is None and not o.lease.view.problem:  # the lease has not been read yet
            return
        if leader != self._leader:
            reason = self._why(leader, decided, o)[:LONGEST_REASON]
            previous = None if self._known is None else self._leader
            self._entries.append(HandOver(wall, leader, previous, reason))
            self._ended = "" if leader else reason
            self._leader = leader
        self._known = self._known if leader is None else leader
        if leader and o.lease.view.last:
            self._acquired = o.lease.view.last.acquire_time

    def _forget(self, wall: float) -> None:
        """Drop entries that ended more than ``LONGEST_HISTORY_S`` ago; keep the current one."""
        while len(self._entries) > 1 and self._entries[1].time < wall - LONGEST_HISTORY_S:
            self._entries.popleft()

    def _why(self, leader: str | None, decided: Plan, o: Observation) -> str:
        if leader is None:
            return self._why_not_known(decided, o.lease.view)
        if not leader:
            return self._why_ended(decided, o.lease.view)
        if o.lease.view.holder != leader:
            return decided.reason  # no election
        if self._leader == self._identity:
            return f"{leader} leads: {decided.reason}"
        return self._why_begun(leader, o.lease.view)

    def _why_not_known(self, decided: Plan, view: LeaseView) -> str:
        if self._leader == self._identity:
            return self._why_ended(decided, view)
        what = f"whether {self._leader} still leads" if self._leader else "who leads"
        return f"it is not known {what}: the lease cannot be used: {view.problem}"

    def _why_ended(self, decided: Plan, view: LeaseView) -> str:
        if self._leader == self._identity:
            return f"{self._leader} stopped leading: {decided.reason}"
        if not self._known:
            return _FREE
        if view.holder == self._known and view.last is not None:
            return f"{self._known} did not renew the lease for {view.last.duration_s:g} s"
        return f"{self._known} released the lease"

    def _why_begun(self, leader: str, view: LeaseView) -> str:
        if self._known is None:
            is_own = leader == self._identity
            return f"{leader} {'acquired the lease' if is_own else _HELD}"
        if self._leader:
            return f"{leader} took the lease over from {self._leader}"
        if self._leader is None and self._known != self._identity:
            return self._why_seen_again(leader, view)
        return f"{leader} acquired the lease: {self._ended}"

    def _why_seen_again(self, leader: str, view: LeaseView) -> str:
        if leader == self._identity:
            return f"{leader} acquired the lease as soon as it could be used again"
        is_same = view.last is not None and view.last.acquire_time == self._acquired
        if leader == self._known and is_same:
            return f"{leader} still leads; the lease can be used again"
        return f"{leader} acquired the lease while this replica could not use it"
