"""Passes snapshots from the supervisor to the web process, which inherits a memfd.

Guarantee: a snapshot is complete (``shared_memory``).

Limitation: a snapshot may be old. Each user must check ``is_stale``.
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

# The supervisor publishes in each round, at least every second or two. If the last snapshot is
# older than 5 s, the supervisor or the machine hangs: do not present the snapshot as current.
STALE_AFTER_S = 5.0


class SnapshotWriter:
    """Publishes snapshots. There must be only one writer per memfd."""

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
    """Reads the newest snapshot. An unchanged one is not parsed again."""

    def __init__(self, fd: int) -> None:
        """Take the descriptor; it is not closed here."""
        self._slot = SharedReader(fd)
        self._snapshot: Snapshot | None = None

    def read(self) -> Snapshot | None:
        """Return the newest snapshot; None before the first."""
        payload = self._slot.read_if_new()
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


# --- what a snapshot means at ``now`` ----------------------------------------------------------


def is_stale(snapshot: Snapshot | None, now: float, limit_s: float = STALE_AFTER_S) -> bool:
    """Return whether a snapshot is missing, or too old to be current."""
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
    """Return the identity of the leader at ``now``; "" if nobody leads.

    The snapshot must not be stale. Nobody leads if the lease has expired, or if its holder is this
    replica but it no longer leads.
    """
    if snapshot.leads(now):
        return snapshot.identity
    has_expired = snapshot.lease_expires_at is not None and now >= snapshot.lease_expires_at
    return "" if has_expired or snapshot.holder == snapshot.identity else snapshot.holder


def known_leader(snapshot: Snapshot, now: float) -> str | None:
    """Return the leader as ``leader_of`` does, but None if it is not known.

    While the lease cannot be used, its holder may have renewed it, or another replica may have
    acquired it.
    """
    return leader_of(snapshot, now) or (None if snapshot.lease_problem else "")


def configuration_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return the state of the configuration for JSON. The snapshot must not be stale.

    - ``is_valid``: whether the newest inputs are valid;
    - ``renderings``: the fingerprints of the renderings of the last valid inputs;
    - ``problems``: all reasons why Prometheus does not have the newest, including failed writes;
    - ``is_loaded``: whether Prometheus is known to have loaded its role's rendering.
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
