"""Snapshots from the supervisor to the web side, through a memfd that the latter inherits.

How they get across whole is ``slots``' to say. Where it ends: nothing says how old a snapshot may
be but ``is_stale``; every user has to ask it.
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

# Of the supervisor's turns, each publishes and none is longer than a second or two; after 5 s it is
# stuck, or the machine is, and nothing that it said before can be passed on as the present.
STALE_AFTER_S = 5.0


class SnapshotWriter:
    """Publishes snapshots; one writer to a memfd."""

    def __init__(self) -> None:
        """Create the memfd; raise OSError where the kernel has none."""
        self._fd = os.memfd_create("prometheus-elector-snapshot", os.MFD_CLOEXEC)
        self._slot = SharedWriter(self._fd)

    def fileno(self) -> int:
        """Return the descriptor that the web process has to inherit."""
        return self._fd

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the newest snapshot; raise TooLarge."""
        self._slot.write(_encode(snapshot))

    def close(self) -> None:
        """Give the memfd up; readers keep theirs."""
        os.close(self._fd)


class SnapshotReader:
    """Reads the newest snapshot from an inherited descriptor; unchanged, it is not parsed again."""

    def __init__(self, fd: int) -> None:
        """Take the descriptor; it is not closed here."""
        self._slot = SharedReader(fd)
        self._snapshot: Snapshot | None = None

    def read(self) -> Snapshot | None:
        """Return the newest snapshot, None while nothing has been published."""
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


# --- what a reader may still believe ---------------------------------------------------------


def is_stale(snapshot: Snapshot | None, now: float, limit_s: float = STALE_AFTER_S) -> bool:
    """Tell whether this is too old, or not there at all, to speak of the present."""
    return why_stale(snapshot, now, limit_s) != ""


def why_stale(snapshot: Snapshot | None, now: float, limit_s: float = STALE_AFTER_S) -> str:
    """Return why ``is_stale``, in a sentence for people; "" for a fresh one."""
    if snapshot is None:
        return "the supervisor has not said anything yet"
    age_s = now - snapshot.stamped_at
    if age_s <= limit_s:
        return ""
    return f"the supervisor has said nothing for {age_s:.1f} s (limit {limit_s:g} s)"


def leader_of(snapshot: Snapshot, now: float) -> str:
    """Return who leads at ``now`` as far as a fresh snapshot knows, "" for nobody.

    A lease that has run out names nobody, and one of our own that we no longer lead by neither.
    """
    if snapshot.leads(now):
        return snapshot.identity
    has_expired = snapshot.lease_expires_at is not None and now >= snapshot.lease_expires_at
    return "" if has_expired or snapshot.holder == snapshot.identity else snapshot.holder


def known_leader(snapshot: Snapshot, now: float) -> str | None:
    """Return who leads at ``now``, "" for nobody, None where a fresh snapshot does not know.

    While the lease is out of reach, whoever had it may have renewed it, or another taken it.
    """
    return leader_of(snapshot, now) or (None if snapshot.lease_problem else "")


def configuration_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a fresh snapshot says of the configuration, for JSON.

    ``is_valid`` is of the inputs as they are; the renderings are of the last that could be used.
    ``problems`` are all that keep the newest from Prometheus, an output that cannot be written too.
    ``is_loaded``: Prometheus is known to have what this replica should read in its role.
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
