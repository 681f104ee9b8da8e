"""The status of this replica as JSON: ``/_elector/status``.

``wrapper/docs/reference.md`` documents the fields; a test compares it with this module. ``peers``
queries the status of the other replicas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wrapper import __version__
from wrapper.base import clock
from wrapper.base.snapshot_channel import configuration_of, known_leader
from wrapper.model.snapshot import HandOver, Snapshot
from wrapper.web.gate_status import gate_of

_NO_ELECTION = "none"
Json = dict[str, Any]


def status_of(snapshot: Snapshot, now: float) -> Json:
    """Return the status at ``now`` of a fresh snapshot; times are ISO 8601, durations seconds."""
    return {
        "version": __version__,
        "identity": snapshot.identity,
        "time": clock.iso(clock.wall()),
        "start_time": clock.iso(snapshot.start_time),
        "role": snapshot.role.value,
        "role_since": clock.iso(snapshot.last_transition_time or snapshot.start_time),
        "reason": snapshot.reason,
        "cause": snapshot.cause.value,
        "is_leader": snapshot.leads(now),
        "leader": known_leader(snapshot, now),
        "may_write": snapshot.may_write if snapshot.written_role else None,
        "is_stopping": snapshot.is_stopping,
        "needs_restart": snapshot.needs_restart,
        "problem": snapshot.failure,
        "paused_until": _time_of(snapshot.paused_until_time or 0.0),
        "lease": _lease(snapshot, now),
        "prometheus": _prometheus(snapshot),
        "configuration": configuration_of(snapshot) if snapshot.written_role else None,
        "targets": _targets(snapshot.targets) if snapshot.targets else None,
        "gate": gate_of(snapshot.gate),
        "hand_overs": [_hand_over(each) for each in reversed(snapshot.history)],
    }


def _lease(snapshot: Snapshot, now: float) -> Json | None:
    """Return the state of the lease; None without an election."""
    if snapshot.election == _NO_ELECTION:
        return None
    expires_at = snapshot.leads_until_at if snapshot.leads(now) else snapshot.lease_expires_at
    return {
        "lock": snapshot.election,
        "holder": snapshot.holder,
        "transitions": snapshot.lease_transitions,
        "duration_s": snapshot.lease_duration_s,
        "renew_deadline_s": snapshot.lease_renew_deadline_s,
        "holder_is_overdue": snapshot.holder_is_overdue,
        "expires_in_s": None if expires_at is None else round(max(expires_at - now, 0.0), 3),
        "problem": snapshot.lease_problem or snapshot.watch_problem,
    }


def _prometheus(snapshot: Snapshot) -> Json:
    loaded_time = snapshot.counters.get("config_last_reload_success_timestamp_seconds", 0.0)
    return {
        "is_ready": snapshot.is_ready,
        "is_healthy": snapshot.is_healthy,
        "start_time": _time_of(snapshot.child_start_time or 0.0),
        "remote_write_is_loaded": snapshot.remote_write_is_loaded,
        "last_reload": _time_of(loaded_time),
        "resident_memory_bytes": snapshot.usage.get("resident_memory_bytes"),
        "cpu_seconds": snapshot.usage.get("cpu_seconds"),
    }


def _targets(told: Mapping[str, Any]) -> Json:
    """Return the state of the fetched files, and of the queue of Promgen's broker."""
    queue = told.get("queue")
    return {
        "feeds": [_feed(each) for each in told.get("feeds", ())],
        "queue": queue
        and {
            "name": queue["queue"],
            "is_connected": queue["is_connected"],
            "problem": queue["problem"],
        },
    }


def _feed(each: Mapping[str, Any]) -> Json:
    return {
        "file": each["file"],
        "source": each["source"],
        "kind": each["kind"],
        "groups": each["groups"],
        "targets": each["targets"],
        "last_success": _time_of(each["last_success_time"]),
        "last_change": _time_of(each["last_change_time"]),
        "problem": each["problem"],
    }


def _time_of(wall: float) -> str | None:
    return clock.iso(wall) if wall else None


def _hand_over(each: HandOver) -> Json:
    return {
        "time": clock.iso(each.time),
        "leader": each.leader,
        "previous": each.previous,
        "reason": each.reason,
    }
