"""The table of metrics, and how one of them is built; what their values are is not known here.

Names are Prometheus' own kind (units, ``_total``), those of the Go prometheus-elector are kept as
they are. Labels have few values, each of a closed set of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from wrapper.supervision.metric_names import DURATION_BUCKETS

PREFIX = "prometheus_elector_"

# Every metric, by its exposed name without PREFIX, and what it means.
HELP: dict[str, str] = {
    "build_info": "The version that runs here; always 1.",
    "snapshot_age_seconds": "How old the supervisor's last word is; +Inf before the first.",
    "election_is_leader": "Whether this member leads: 1, or 0 also when that is not known.",
    "election_last_transition_time_seconds": "When this member last changed its role, since 1970.",
    "start_time_seconds": "When this program was started, since 1970; a change is a restart.",
    "role": "What this replica's Prometheus is configured as: 1 for that role, 0 for the other.",
    "role_transitions_total": "How many times this replica changed its role, by the reason.",
    "may_write": "Whether this replica's Prometheus may have remote_write in force, so may send.",
    "remote_write_loaded": "Whether it has remote_write in force; absent when not known.",
    "leader_known": "Whether a leader is known here: not while nobody leads, or the lease is "
    "out of reach; absent without an election.",
    "leaderless_seconds_total": "How long no leader was known here, in all.",
    "lease_expires_in_seconds": "How long the lease lasts unless renewed; absent without a holder.",
    "lease_deadline_timestamp_seconds": "When that is, since 1970, by this machine's clock.",
    "lease_holder_overdue": "Whether another holds the lease, has not renewed it for long, and "
    "keeps all others out for long still.",
    "lease_duration_seconds": "--lease-duration; absent without an election.",
    "lease_renew_deadline_seconds": "--lease-renew-deadline; absent without an election.",
    "lease_renew_duration_seconds": "How long it took to acquire or renew the lease.",
    "lease_errors_total": "Requests about the lease that failed, by the reason.",
    "lease_transitions_total": "How many holders the lease has had, by its own record.",
    "config_valid": "Whether the configuration as it now is can be used (the last good one is).",
    "config_loaded": "Whether Prometheus is known to have what this replica should read.",
    "config_hash": "48 bits of the SHA-256 of what each role reads, and of what is loaded.",
    "config_last_reload_success_timestamp_seconds": "When a configuration was last confirmed to be "
    "in force, since 1970; 0 before the first.",
    "config_write_failures_total": "How many times a rendering could not be written.",
    "reloads_confirmed_total": "How many times a new rendering was confirmed to be in force.",
    "reloads_failed_total": "Reloads that Prometheus refused, failed or did not answer.",
    "reload_duration_seconds": "From a rendering's rename into place until it was in force.",
    "fencing_kills_total": "How many times Prometheus was killed because it might have written.",
    "child_ready": "Whether Prometheus is ready, as it says.",
    "child_healthy": "Whether Prometheus is healthy, as it says.",
    "notifier_calls_total": "How many times Prometheus was told to reload.",
    "notifier_calls_errors": "How many times Prometheus refused a reload or did not answer.",
    "notifier_calls_duration_seconds": "How long Prometheus took to answer a reload over HTTP.",
    "pod_has_label": "Whether the pod has --lease-pod-label; absent without, or when not known.",
    "pod_label_failures_total": "How many times the pod's label could not be set.",
    "web_restarts_total": "How many times this web server was started again.",
    "child_resident_memory_bytes": "Prometheus' resident memory.",
    "child_virtual_memory_bytes": "Prometheus' virtual memory.",
    "child_cpu_seconds_total": "Processor time that Prometheus has used.",
    "child_open_fds": "File descriptors that Prometheus has open.",
    "child_max_fds": "File descriptors that Prometheus may open.",
    "child_threads": "Prometheus' threads.",
    "child_start_time_seconds": "When Prometheus was started, since 1970; a change is a restart.",
    "proxy_requests_total": "Requests forwarded or refused, by status code, method and target.",
    "proxy_requests_in_flight": "Requests that the proxy is at work on.",
    "proxy_request_duration_seconds": "How long requests took, until the answer's last byte.",
    "proxy_received_bytes_total": "Bytes of requests that the proxy forwarded, heads included.",
    "proxy_sent_bytes_total": "Bytes of answers that the proxy's clients got, heads included.",
    "targets_last_success_time_seconds": "When a fetched file was last as its URL says, or 0.",
    "targets_last_change_time_seconds": "When a fetched file last changed, 0: not since the start.",
    "targets_groups": "Groups of targets, or of rules, in a fetched file.",
    "targets_members": "Targets, or rules, in a fetched file.",
    "targets_errors_total": "Fetches that changed nothing they should have, by file and reason.",
    "targets_queue_connected": "Whether Promgen's broker is connected; absent without one.",
    "targets_queue_messages_total": "Messages of Promgen's broker, by what became of them.",
    "targets_queue_unannounced_changes": "Changes found by the interval since the last message.",
}
METRICS: dict[str, str] = {PREFIX + name: text for name, text in HELP.items()}


def described(name: str) -> tuple[str, str]:
    """Return the exposed name and the help text."""
    return PREFIX + name, HELP[name]


def gauge(name: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(*described(name), value=float(value))


def counter(name: str, value: float) -> Metric:
    """Return a counter without labels."""
    return CounterMetricFamily(*described(name), value=value)


def gauges(name: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge for each value of one label."""
    family = GaugeMetricFamily(*described(name), labels=(label,))
    for text, value in values.items():
        family.add_metric((text,), float(value))
    return family


def counters(name: str, label: str, totals: Mapping[str, float]) -> Metric:
    """Return a counter for each value of one label; ``totals`` has them as NAME:VALUE."""
    family = CounterMetricFamily(*described(name), labels=(label,))
    for key, total in totals.items():
        metric, _, text = key.partition(":")
        if metric == name and text:
            family.add_metric((text,), total)
    return family


def histogram(name: str, totals: Mapping[str, float]) -> Metric:
    """Return a histogram of DURATION_BUCKETS; what has not been counted is 0."""
    buckets = [(str(x), totals.get(f"{name}_bucket_le_{x}", 0.0)) for x in DURATION_BUCKETS]
    buckets.append(("+Inf", totals.get(f"{name}_count", 0.0)))
    return durations(name, buckets, totals.get(f"{name}_sum", 0.0))


def durations(name: str, buckets: Sequence[tuple[str, float]], total_s: float) -> Metric:
    """Return a histogram of seconds; ``buckets`` are cumulative."""
    return HistogramMetricFamily(*described(name), buckets=list(buckets), sum_value=total_s)


def go_errors(value: float) -> Metric:
    """Return the errors under the Go peer's name, which lacks a counter's ``_total``."""
    family = Metric(*described("notifier_calls_errors"), "unknown")
    family.add_sample(family.name, {}, value)
    return family
