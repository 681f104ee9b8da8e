"""Request the marks of the leader's gate from its API, and measure the offset of its clock.

Guarantee: only the replica that holds the lease counts, and only while it reports that it leads.
Its answer is untrusted: values that are not valid marks are ignored. No credentials are sent.

Limitation: if the leader's API cannot be reached, only the marks on the lease are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gevent

from wrapper.base import clock
from wrapper.base.backoff import backoff_s
from wrapper.election.lease_fields import is_mark
from wrapper.model.gate import Marks
from wrapper.options.gate_options import GateOptions
from wrapper.web.peers import LIMIT_S, PeerConnection, Peers

PERIOD_S = 0.33
LONGEST_PAUSE_S = 5.0  # after repeated failures, for example if the leader refuses our requests


@dataclass(frozen=True, slots=True)
class LeaderMarks:
    """The leader's answer.

    ``clock_offset_s`` is its wall clock less ours in seconds, None if unknown.
    """

    marks: Marks
    clock_offset_s: float | None


class MarksOfPeers:
    """Queries the peers until it finds the leader, then only the leader, on a kept connection."""

    def __init__(self, options: GateOptions) -> None:
        """Take the addresses of the peers, and our own identity."""
        self._peers = Peers(options.peers, options.api_port, is_tls=options.api_is_tls)
        self._identity = options.identity
        self._leader = ""
        self._connection: PeerConnection | None = None
        self._failures = 0

    @property
    def pause_s(self) -> float:
        """How long to wait before the next query, in seconds."""
        return backoff_s(self._failures + 1, PERIOD_S, LONGEST_PAUSE_S)

    def ask(self, leader: str) -> LeaderMarks | None:
        """Return the answer of the gate of this lease holder; None if there is none."""
        if leader != self._leader:
            self._leader, self._failures = leader, 0
            self._end()
        if self._connection is None:
            self._connection = self._found(leader)
        found = None if self._connection is None else self._asked(self._connection, leader)
        self._failures = 0 if found is not None else self._failures + 1
        return found

    def _found(self, leader: str) -> PeerConnection | None:
        """Return a connection to the peer that leads under this identity, or None."""
        for peer in self._peers.ask(self._identity, None, leader):
            if peer.place is not None and _leads(peer.status, leader):
                return PeerConnection(peer.place)
        return None

    def _asked(self, connection: PeerConnection, leader: str) -> LeaderMarks | None:
        try:
            with gevent.Timeout(LIMIT_S):
                asked_at = clock.wall()
                status = connection.status()
                middle = (asked_at + clock.wall()) / 2
        except (gevent.Timeout, Exception):  # noqa: BLE001 - any error only delays marks
            self._end()
            return None
        if _leads(status, leader) and isinstance(status.get("gate"), dict):
            return _marks_in(status["gate"], middle)
        self._end()
        return None

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.end()
            self._connection = None


def _leads(status: dict[str, Any] | None, leader: str) -> bool:
    return status is not None and status["identity"] == leader and status["is_leader"]


def _marks_in(gate: dict[str, Any], middle: float) -> LeaderMarks:
    """Read the gate's part of a status; ``middle`` is the wall time halfway through the query."""
    endpoints, at_ms = gate.get("endpoints"), gate.get("time_ms")
    marks = {
        each["name"]: each["mark_ms"]
        for each in (endpoints if isinstance(endpoints, list) else ())
        if isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and is_mark(each.get("mark_ms"))
    }
    return LeaderMarks(marks, at_ms / 1000 - middle if is_mark(at_ms) else None)
