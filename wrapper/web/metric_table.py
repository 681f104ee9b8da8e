"""The table of metrics, and functions that build a metric from a value.

Names follow Prometheus' conventions (units, ``_total``), except those kept from the Go
prometheus-elector. Labels have few values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from wrapper.model.label_values import DURATION_BUCKETS

PREFIX = "prometheus_elector_"

# Every metric: its exposed name without PREFIX, and its help text.
HELP: dict[str, str] = {
    "build_info": "The version of prometheus-elector, in the label version; always 1.",
    "snapshot_age_seconds": "Seconds since the supervisor last published its state; +Inf before "
    "the first time.",
    "election_is_leader": "Whether this replica is the leader: 1 if it is, 0 if it is not or "
    "that is unknown.",
    "election_last_transition_time_seconds": "Unix timestamp of this replica's last change of "
    "role; 0 before the first.",
    "start_time_seconds": "Unix timestamp of prometheus-elector's start; it changes with each "
    "restart.",
    "role": "The role of this replica: 1 for the role that it has, 0 for the other.",
    "role_transitions_total": "Changes of this replica's role, by reason.",
    "may_write": "Whether samples of this replica may reach a receiver: Prometheus may have a "
    "remote_write loaded that sends there itself, or the gate may be open; absent if Prometheus "
    "reads its own file.",
    "remote_write_loaded": "Whether Prometheus has remote_write loaded, with the gate also as a "
    "follower; absent while that is unknown.",
    "leader_known": "Whether this replica knows a leader: 0 if nobody leads, or if the leader is "
    "unknown because the lease cannot be used; absent without an election.",
    "leaderless_seconds_total": "Seconds in which this replica knew no leader.",
    "lease_expires_in_seconds": "Seconds until the leader must step down, or another's lease "
    "expires, unless it is renewed; absent without a holder.",
    "lease_deadline_timestamp_seconds": "Unix timestamp of the moment to which "
    "lease_expires_in_seconds counts down, by this machine's clock.",
    "lease_holder_overdue": "Whether another holder has not renewed the lease for 3 times "
    "--lease-duration, and it stays valid for longer than that.",
    "lease_duration_seconds": "The value of --lease-duration; absent without an election.",
    "lease_renew_deadline_seconds": "The value of --lease-renew-deadline; absent without an "
    "election.",
    "lease_renew_duration_seconds": "Seconds that a successful request to acquire or renew the "
    "lease took.",
    "lease_errors_total": "Failed requests for the lease, by reason.",
    "lease_transitions_total": "Changes of holder, as recorded in the lease (leaseTransitions); "
    "absent until the lease has been read.",
    "config_valid": "Whether the current input is valid; if not, the last valid configuration "
    "stays in use.",
    "config_loaded": "Whether Prometheus is confirmed to have loaded the configuration of this "
    "replica's role.",
    "config_hash": "The first 48 bits of the SHA-256 of each role's rendering, and of the loaded "
    "one.",
    "config_last_reload_success_timestamp_seconds": "Unix timestamp of the last time that a "
    "configuration was confirmed as loaded; 0 before the first.",
    "config_write_failures_total": "Failed attempts to write a rendering to the output file.",
    "reloads_confirmed_total": "Reloads after which Prometheus was confirmed to have loaded the "
    "new rendering.",
    "reloads_failed_total": "Reloads that Prometheus refused, failed or did not answer, by reason.",
    "reload_duration_seconds": "Seconds from the rename of a rendering into place until it was "
    "confirmed as loaded.",
    "fencing_kills_total": "Times that Prometheus was killed because it might still have been "
    "writing.",
    "child_ready": "Whether Prometheus has reported that it is ready; always 1 for a sidecar "
    "without --readiness-http-url.",
    "child_healthy": "Whether Prometheus counts as healthy after its last health checks; always "
    "1 for a sidecar without --healthcheck-http-url.",
    "notifier_calls_total": "Reloads that were requested from Prometheus.",
    "notifier_calls_errors": "Reloads that Prometheus refused or did not answer.",
    "notifier_calls_duration_seconds": "Seconds that Prometheus took to answer a reload over HTTP.",
    "pod_has_label": "Whether the pod has the label of --lease-pod-label; absent without the flag, "
    "or while that is unknown.",
    "pod_label_failures_total": "Failed attempts to set or remove the pod's label.",
    "web_restarts_total": "Restarts of the web server that serves these metrics.",
    "child_resident_memory_bytes": "Resident memory of Prometheus in bytes.",
    "child_virtual_memory_bytes": "Virtual memory of Prometheus in bytes.",
    "child_cpu_seconds_total": "User and system CPU time that Prometheus has used, in seconds.",
    "child_open_fds": "File descriptors that Prometheus has open.",
    "child_max_fds": "Maximum number of file descriptors that Prometheus may open.",
    "child_threads": "Number of OS threads of Prometheus.",
    "child_start_time_seconds": "Unix timestamp of Prometheus' start; it changes with each "
    "restart.",
    "proxy_requests_total": "Requests that the proxy forwarded or refused, except malformed ones, "
    "by status code, method and target.",
    "proxy_requests_in_flight": "Requests that the proxy is currently serving.",
    "proxy_request_duration_seconds": "Seconds until the last byte of the answer was sent.",
    "proxy_received_bytes_total": "Bytes of forwarded requests, headers included.",
    "proxy_sent_bytes_total": "Bytes of answers sent to clients, headers included.",
    "targets_last_success_time_seconds": "Unix timestamp of the last successful fetch of a file; 0 "
    "before the first.",
    "targets_last_change_time_seconds": "Unix timestamp of the last change of a fetched file; 0 if "
    "none since the start.",
    "targets_groups": "Groups of targets or of rules in a fetched file.",
    "targets_members": "Targets or rules in a fetched file.",
    "targets_errors_total": "Fetches that failed or were refused, by file and reason.",
    "targets_queue_connected": "Whether Promgen's broker is connected; absent without a broker.",
    "targets_queue_messages_total": "Messages from Promgen's broker, by result: acknowledged, "
    "given_back (requeued after a failure), left_alone (of another program), dropped.",
    "targets_queue_unannounced_changes": "Changes that scheduled fetches found since the last "
    "message of Promgen.",
    "gate_open": "Whether the gate passes requests on to the receivers.",
    "gate_restarts_total": "Restarts of the gate.",
    "gate_memory_limit_bytes": "How many compressed bytes of batches the gate may hold, for all "
    "receivers together.",
    "gate_clock_offset_seconds": "Seconds by which the leader's clock is ahead of this "
    "machine's; absent while that is unknown.",
    "gate_held_bytes": "Compressed bytes of the batches that the gate holds.",
    "gate_held_batches": "Batches that the gate holds.",
    "gate_held_since_timestamp_seconds": "Unix timestamp of the arrival of the oldest batch that "
    "the gate holds; absent while it holds none.",
    "gate_mark_timestamp_seconds": "Unix timestamp up to which the receiver has acknowledged "
    "all samples; absent while that is unknown.",
    "gate_behind_seconds": "Seconds by which the receiver lags, in sample time; absent while that "
    "is unknown.",
    "gate_requests_total": "Requests of Prometheus to the gate, by result.",
    "gate_batches_released_total": "Held batches that were dropped because the leader's receiver "
    "has acknowledged them.",
    "gate_batches_sent_on_total": "Held batches that were sent to the receiver by this replica as "
    "the leader.",
    "gate_samples_left_out_total": "Samples of held batches that were not sent because the "
    "receiver had acknowledged them.",
    "gate_samples_rejected_total": "Samples of held batches that the receiver did not accept, "
    "by reason.",
    "gate_samples_unconfirmed_total": "Samples that a follower's gate had acknowledged and the "
    "receiver did not report as written.",
    "gate_passed_bytes_total": "Compressed bytes of the requests that were passed on to the "
    "receiver.",
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
    """Return a histogram with DURATION_BUCKETS; a missing count is 0."""
    buckets = [(str(x), totals.get(f"{name}_bucket_le_{x}", 0.0)) for x in DURATION_BUCKETS]
    buckets.append(("+Inf", totals.get(f"{name}_count", 0.0)))
    return durations(name, buckets, totals.get(f"{name}_sum", 0.0))


def durations(name: str, buckets: Sequence[tuple[str, float]], total_s: float) -> Metric:
    """Return a histogram of seconds; ``buckets`` are cumulative."""
    return HistogramMetricFamily(*described(name), buckets=list(buckets), sum_value=total_s)


def go_errors(value: float) -> Metric:
    """Return the notifier's errors under the Go prometheus-elector's name, without ``_total``."""
    family = Metric(*described("notifier_calls_errors"), "unknown")
    family.add_sample(family.name, {}, value)
    return family
