"""Ask the leader's API for its gate's marks, and how far its clock is from ours.

The guarantee: only the replica that holds the lease counts, and only while it says that it leads.
Its answer is untrusted: what has not the form of a mark is left out. No credentials are sent. Where
it ends: a leader that cannot be asked is no matter, since the lease has its marks too.
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
LONGEST_PAUSE_S = 5.0  # after answers that were no use, of a leader that refuses us for example


@dataclass(frozen=True, slots=True)
class Told:
    """What the leader said: its marks, and its wall clock less ours in seconds, None if unknown."""

    marks: Marks
    clock_offset_s: float | None


class MarksOfPeers:
    """Asks the peers; once the leader is found it alone is asked, on a connection that is kept."""

    def __init__(self, options: GateOptions) -> None:
        """Take whom to ask, and our own identity."""
        self._peers = Peers(options.peers, options.api_port, is_tls=options.api_is_tls)
        self._identity = options.identity
        self._leader = ""
        self._connection: PeerConnection | None = None
        self._failures = 0

    @property
    def pause_s(self) -> float:
        """How long to wait before the next question."""
        return backoff_s(self._failures + 1, PERIOD_S, LONGEST_PAUSE_S)

    def ask(self, leader: str) -> Told | None:
        """Return what the gate of this holder of the lease says, None if it is not found."""
        if leader != self._leader:
            self._leader, self._failures = leader, 0
            self._end()
        if self._connection is None:
            self._connection = self._found(leader)
        told = None if self._connection is None else self._asked(self._connection, leader)
        self._failures = 0 if told is not None else self._failures + 1
        return told

    def _found(self, leader: str) -> PeerConnection | None:
        """Return a connection to the peer that leads by this identity."""
        for peer in self._peers.ask(self._identity, None):
            if peer.place is not None and _leads(peer.status, leader):
                return PeerConnection(peer.place)
        return None

    def _asked(self, connection: PeerConnection, leader: str) -> Told | None:
        try:
            with gevent.Timeout(LIMIT_S):
                asked_at = clock.wall()
                status = connection.status()
                middle = (asked_at + clock.wall()) / 2
        except (gevent.Timeout, Exception):  # noqa: BLE001 - whatever it is, it costs only memory
            self._end()
            return None
        if _leads(status, leader) and isinstance(status.get("gate"), dict):
            return _told(status["gate"], middle)
        self._end()
        return None

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.end()
            self._connection = None


def _leads(status: dict[str, Any] | None, leader: str) -> bool:
    return status is not None and status["identity"] == leader and status["is_leader"]


def _told(gate: dict[str, Any], middle: float) -> Told:
    """Read the gate's part of a status that came at the wall time ``middle``."""
    endpoints, at_ms = gate.get("endpoints"), gate.get("time_ms")
    marks = {
        each["name"]: each["mark_ms"]
        for each in (endpoints if isinstance(endpoints, list) else ())
        if isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and is_mark(each.get("mark_ms"))
    }
    return Told(marks, at_ms / 1000 - middle if is_mark(at_ms) else None)
