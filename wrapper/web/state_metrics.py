"""The metrics of one snapshot: leadership, the lease, the configuration, and fetched files.

``stale_safe`` yields counters, constants and timestamps, which are still correct in a stale
snapshot. ``fresh_only`` yields values that are correct only in a fresh one. A metric whose value is
unknown is absent, not 0. The metrics of fetched files are absent if no files are fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric

from wrapper.base import clock
from wrapper.base.snapshot_channel import leader_of
from wrapper.model.roles import Role
from wrapper.model.snapshot import Snapshot
from wrapper.web.metric_table import counter, counters, described, gauge, gauges, histogram

_HASH_DIGITS = 12  # in hex, which are 48 bits: a float represents them exactly
_NO_ELECTION = "none"
_FEED_TIMES = {  # metric: field of a feed
    "targets_last_success_time_seconds": "last_success_time",
    "targets_last_change_time_seconds": "last_change_time",
}
_FEED_SIZES = {"targets_groups": "groups", "targets_members": "targets"}


def stale_safe(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield counters, constants and timestamps."""
    totals = snapshot.counters
    yield gauge("start_time_seconds", snapshot.start_time)
    yield counters("role_transitions_total", "reason", totals)
    yield counters("lease_errors_total", "reason", totals)
    yield counters("reloads_failed_total", "reason", totals)
    for name in ("reloads_confirmed_total", "fencing_kills_total"):
        yield counter(name, totals.get(name, 0.0))
    loaded = "config_last_reload_success_timestamp_seconds"
    yield gauge(loaded, totals.get(loaded, 0.0))
    yield histogram("lease_renew_duration_seconds", totals)
    yield histogram("reload_duration_seconds", totals)
    if snapshot.election != _NO_ELECTION:
        yield counter("leaderless_seconds_total", totals.get("leaderless_seconds_total", 0.0))
        yield gauge("lease_duration_seconds", snapshot.lease_duration_s)
        yield gauge("lease_renew_deadline_seconds", snapshot.lease_renew_deadline_s)
    if feeds := snapshot.targets.get("feeds"):
        yield from _feeds(feeds, _FEED_TIMES)
        yield _feed_errors(feeds)
    if queue := snapshot.targets.get("queue"):
        yield _messages(queue)
        yield gauge("targets_queue_unannounced_changes", queue["unannounced_changes"])


def _feeds(feeds: Sequence[Mapping[str, Any]], gauge_fields: Mapping[str, str]) -> Iterator[Metric]:
    for name, field in gauge_fields.items():
        yield gauges(name, "file", {feed["file"]: feed[field] for feed in feeds})


def _feed_errors(feeds: Sequence[Mapping[str, Any]]) -> Metric:
    errors = CounterMetricFamily(*described("targets_errors_total"), labels=("file", "reason"))
    for feed in feeds:
        for reason, count in feed["errors"].items():
            errors.add_metric((feed["file"], reason), count)
    return errors


def _messages(queue: Mapping[str, Any]) -> Metric:
    messages = CounterMetricFamily(*described("targets_queue_messages_total"), labels=("result",))
    for result, count in queue["messages"].items():
        messages.add_metric((result,), count)
    return messages


def fresh_only(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Yield the values that are correct only in a fresh snapshot."""
    yield gauges("role", "role", {role: role is snapshot.role for role in Role})
    yield gauge("child_ready", snapshot.is_ready)
    yield gauge("child_healthy", snapshot.is_healthy)
    if snapshot.written_role:  # else Prometheus reads its own file
        yield from _configuration(snapshot)
    if snapshot.election != _NO_ELECTION:
        yield from _lease(snapshot, now)
    if feeds := snapshot.targets.get("feeds"):
        yield from _feeds(feeds, _FEED_SIZES)
    if queue := snapshot.targets.get("queue"):
        yield gauge("targets_queue_connected", queue["is_connected"])


def _configuration(snapshot: Snapshot) -> Iterator[Metric]:
    yield gauge("config_valid", snapshot.configuration_is_valid)
    yield gauge("config_loaded", snapshot.wanted_fingerprint == snapshot.loaded_fingerprint)
    yield gauges("config_hash", "rendering", _hashes(snapshot))
    yield gauge("may_write", snapshot.may_write)
    if snapshot.remote_write_is_loaded is not None:
        yield gauge("remote_write_loaded", snapshot.remote_write_is_loaded)


def _hashes(snapshot: Snapshot) -> dict[str, float]:
    fingerprints = {
        Role.FOLLOWER.value: snapshot.follower_fingerprint,
        Role.LEADER.value: snapshot.leader_fingerprint,
        "loaded": snapshot.loaded_fingerprint,
    }
    return {name: int(text[:_HASH_DIGITS], 16) for name, text in fingerprints.items() if text}


def _lease(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    yield gauge("leader_known", bool(leader_of(snapshot, now)))
    yield gauge("lease_holder_overdue", snapshot.holder_is_overdue)
    if snapshot.lease_transitions is not None:
        yield counter("lease_transitions_total", snapshot.lease_transitions)
    expires_at = snapshot.leads_until_at if snapshot.leads(now) else snapshot.lease_expires_at
    if expires_at is not None:
        left_s = max(expires_at - now, 0.0)
        yield gauge("lease_expires_in_seconds", left_s)
        yield gauge("lease_deadline_timestamp_seconds", round(clock.wall() + expires_at - now, 3))
