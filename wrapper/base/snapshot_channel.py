"""Passes snapshots from the supervisor to the web process, through a memfd that it inherits.

``shared_memory`` guarantees that they are complete. Limit: a snapshot may be old; every user has to
check ``is_stale``.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any

from wrapper.base import clock
from wrapper.base.shared_memory import SharedReader, SharedWriter
from wrapper.model.roles import Cause, Role
from wrapper.model.snapshot import HandOver, Snapshot

# The supervisor publishes on each turn, at least every second or two. After 5 s it, or the machine,
# is stuck, and its last snapshot must not be presented as current.
STALE_AFTER_S = 5.0


class SnapshotWriter:
    """Publishes snapshots; one writer per memfd."""

    def __init__(self) -> None:
        """Create the memfd; raise OSError if that fails."""
        self._fd = os.memfd_create("prometheus-elector-snapshot", os.MFD_CLOEXEC)
        self._slot = SharedWriter(self._fd)

    def fileno(self) -> int:
        """Return the descriptor for the web process to inherit."""
        return self._fd

    def publish(self, snapshot: Snapshot) -> None:
        """Publish a snapshot; raise TooLarge."""
        self._slot.write(_encode(snapshot))

    def close(self) -> None:
        """Close the memfd; readers keep theirs."""
        os.close(self._fd)


class SnapshotReader:
    """Reads the newest snapshot; an unchanged one is not parsed again."""

    def __init__(self, fd: int) -> None:
        """Take the descriptor; it is not closed here."""
        self._slot = SharedReader(fd)
        self._snapshot: Snapshot | None = None

    def read(self) -> Snapshot | None:
        """Return the newest snapshot, None before the first."""
        payload = self._slot.news()
        if payload is not None:
            self._snapshot = _decode(payload)
        return self._snapshot


def _encode(snapshot: Snapshot) -> bytes:
    values = {each.name: getattr(snapshot, each.name) for each in fields(snapshot)}
    return json.dumps(values, default=dict).encode()


def _decode(payload: bytes) -> Snapshot:
    values = json.loads(payload)
    values["role"], values["cause"] = Role(values["role"]), Cause(values["cause"])
    values["history"] = tuple(HandOver(*each) for each in values["history"])
    return Snapshot(**values)


# --- what a snapshot still says at ``now`` -----------------------------------------------------


def is_stale(snapshot: Snapshot | None, now: float, limit_s: float = STALE_AFTER_S) -> bool:
    """Tell whether a snapshot is missing, or too old to be current."""
    return why_stale(snapshot, now, limit_s) != ""


def why_stale(snapshot: Snapshot | None, now: float, limit_s: float = STALE_AFTER_S) -> str:
    """Return why a snapshot is stale, for people; "" for a fresh one."""
    if snapshot is None:
        return "the supervisor has not published its state yet"
    age_s = now - snapshot.stamped_at
    if age_s <= limit_s:
        return ""
    return f"the supervisor last published its state {age_s:.1f} s ago (limit {limit_s:g} s)"


def leader_of(snapshot: Snapshot, now: float) -> str:
    """Return who leads at ``now``, by a fresh snapshot; "" for nobody.

    Nobody leads by an expired lease, nor by our own if our leadership has ended.
    """
    if snapshot.leads(now):
        return snapshot.identity
    has_expired = snapshot.lease_expires_at is not None and now >= snapshot.lease_expires_at
    return "" if has_expired or snapshot.holder == snapshot.identity else snapshot.holder


def known_leader(snapshot: Snapshot, now: float) -> str | None:
    """Return who leads at ``now``, by a fresh snapshot; "" for nobody, None if not known.

    While the lease is unreachable, its holder may have renewed it, or another have acquired it.
    """
    return leader_of(snapshot, now) or (None if snapshot.lease_problem else "")


def configuration_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return the state of the configuration, by a fresh snapshot, for JSON.

    ``is_valid`` is about the newest inputs; the renderings are of the last valid ones. ``problems``
    are all reasons why Prometheus does not have the newest, including failed writes.
    ``is_loaded``: Prometheus is known to have loaded the rendering of this replica's role.
    """
    wanted = snapshot.wanted_fingerprint
    return {
        "is_valid": snapshot.configuration_is_valid,
        "problems": snapshot.configuration_problem.splitlines(),
        "since": clock.iso(snapshot.configuration_time),
        "renderings": {
            Role.FOLLOWER.value: snapshot.follower_fingerprint,
            Role.LEADER.value: snapshot.leader_fingerprint,
        },
        "wanted": wanted,
        "loaded": snapshot.loaded_fingerprint,
        "is_loaded": wanted == snapshot.loaded_fingerprint,
    }
