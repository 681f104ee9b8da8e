"""Histogram buckets and label values that the supervisor's counters and the metrics share."""

from __future__ import annotations

# The upper bounds, in seconds, of the Go peer's histogram (client_golang's DefBuckets). The
# counters of a snapshot have a count for each, as notifier_calls_duration_seconds_bucket_le_BOUND.
# As in Prometheus, a count includes those of the lower bounds.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Why a request about the lease failed; any other reason is counted as "other".
LEASE_ERRORS = (
    "connection",
    "damaged",
    "dns",
    "error",
    "file",
    "forbidden",
    "kubeconfig",
    "namespace",
    "not-found",
    "proxy",
    "refused",
    "removed",
    "server",
    "throttled",
    "timeout",
    "tls",
    "unauthorized",
    "other",
)

# Why a reload failed.
RELOAD_FAILURES = ("refused", "failed", "no_answer")
