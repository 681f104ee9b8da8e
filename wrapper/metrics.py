"""Metrics: the newest snapshot, and the proxy's figures, as Prometheus reads them.

The names of the Go prometheus-elector are kept. What speaks of the present is left out when the
snapshot is stale; ``…_is_leader`` is then 0, and ``…_snapshot_age_seconds`` says why. Where this
ends: what is counted, and when, is decided by who counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from wrapper import __version__, clock, targets_told
from wrapper.figures import DURATION_BUCKETS as REQUEST_BUCKETS
from wrapper.figures import ProxyFigures, Totals
from wrapper.metric_names import DURATION_BUCKETS
from wrapper.model import Snapshot
from wrapper.snapshot import SnapshotReader, is_stale

PREFIX = "prometheus_elector_"

# Every metric, by its exposed name without PREFIX, and what it means.
_HELP: dict[str, str] = {
    "build_info": "The version that runs here; always 1.",
    "snapshot_age_seconds": "How old the supervisor's last word is; +Inf before the first.",
    "election_is_leader": "Whether this member leads: 1, or 0 also when that is not known.",
    "election_last_transition_time_seconds": "When this member last changed its role, since 1970.",
    "lease_expires_in_seconds": "How long the lease lasts unless renewed; absent without a holder.",
    "config_valid": "Whether the configuration as it now is can be used (the last good one is).",
    "config_write_failures_total": "How many times a rendering could not be written.",
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
}
METRICS: dict[str, str] = {PREFIX + name: text for name, text in _HELP.items()} | targets_told.HELP

# What is read from a snapshot's counters, besides DURATION's sum, count and buckets.
COUNTERS = (
    "config_write_failures_total",
    "notifier_calls_total",
    "notifier_calls_errors",
    "pod_label_failures_total",
    "web_starts_total",
)
DURATION = "notifier_calls_duration_seconds"

# What is read from a snapshot's usage.
_USAGE_GAUGES = (
    "resident_memory_bytes",
    "virtual_memory_bytes",
    "open_fds",
    "max_fds",
    "threads",
    "start_time_seconds",
)

# client_golang calls this a counter, whatever its name; the Python client would rename it.
_ERRORS_TYPE = f"# TYPE {PREFIX}notifier_calls_errors ".encode()


class SnapshotCollector(Collector):
    """Renders what the supervisor last said, and the proxy's figures."""

    def __init__(self, reader: SnapshotReader, figures: ProxyFigures) -> None:
        self._reader = reader
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that there is a value for."""
        snapshot, now = self._reader.read(), clock.now()
        yield _labelled("build_info", "version", __version__, 1)
        age_s = math.inf if snapshot is None else now - snapshot.stamped_at
        yield _gauge("snapshot_age_seconds", age_s)
        if snapshot is not None:
            yield from _always(snapshot, now)
        if snapshot is not None and not is_stale(snapshot, now):
            yield from _while_fresh(snapshot, now)
        yield from _proxied(self._figures.totals())


def registry(
    reader: SnapshotReader, figures: ProxyFigures, *, with_runtime: bool
) -> CollectorRegistry:
    """Return a registry of our own; ``with_runtime`` adds this Python process."""
    ours = CollectorRegistry()
    ours.register(SnapshotCollector(reader, figures))
    if with_runtime:
        ProcessCollector(registry=ours)
        PlatformCollector(registry=ours)
        GCCollector(registry=ours)
    return ours


def expose(ours: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that is asked for, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(ours).replace(_ERRORS_TYPE + b"untyped", _ERRORS_TYPE + b"counter"), content_type


def _always(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Yield what stays true, and that a stale leader is none."""
    leads = snapshot.leads(now) and not is_stale(snapshot, now)
    yield _labelled("election_is_leader", "member_id", snapshot.identity, leads)
    yield _gauge("election_last_transition_time_seconds", snapshot.last_transition_time)
    counters = snapshot.counters
    failures = counters.get("config_write_failures_total", 0.0)
    yield _counter("config_write_failures_total", failures)
    yield _counter("notifier_calls_total", counters.get("notifier_calls_total", 0.0))
    yield _errors(counters.get("notifier_calls_errors", 0.0))
    yield _durations(snapshot)
    failures = counters.get("pod_label_failures_total", 0.0)
    yield _counter("pod_label_failures_total", failures)
    yield from targets_told.metrics(snapshot.targets)
    yield _counter("web_restarts_total", max(counters.get("web_starts_total", 0.0) - 1, 0.0))


def _while_fresh(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    if snapshot.written_role:  # else Prometheus reads its own file
        yield _gauge("config_valid", snapshot.configuration_is_valid)
    expires_at = snapshot.leads_until_at if snapshot.leads(now) else snapshot.lease_expires_at
    if expires_at is not None and snapshot.election != "none":
        yield _gauge("lease_expires_in_seconds", max(expires_at - now, 0.0))
    if snapshot.pod_is_labelled is not None:
        yield _gauge("pod_has_label", snapshot.pod_is_labelled)
    for name in _USAGE_GAUGES:
        if name in snapshot.usage:
            yield _gauge(f"child_{name}", snapshot.usage[name])
    if "cpu_seconds" in snapshot.usage:
        yield _counter("child_cpu_seconds_total", snapshot.usage["cpu_seconds"])


def _proxied(totals: Totals) -> Iterator[Metric]:
    """Yield what all workers have counted."""
    labels = ("code", "method", "target")
    family = CounterMetricFamily(*_described("proxy_requests_total"), labels=labels)
    for request, count in totals.requests.items():
        family.add_metric((str(request.code), request.method, request.target), count)
    yield family
    yield _gauge("proxy_requests_in_flight", totals.in_flight)
    bounds = [*map(str, REQUEST_BUCKETS), "+Inf"]
    buckets = list(zip(bounds, accumulate(totals.buckets), strict=True))
    yield HistogramMetricFamily(
        *_described("proxy_request_duration_seconds"), buckets=buckets, sum_value=totals.seconds
    )
    yield _counter("proxy_received_bytes_total", totals.received_bytes)
    yield _counter("proxy_sent_bytes_total", totals.sent_bytes)


# --- one metric each -------------------------------------------------------------------------


def _described(name: str) -> tuple[str, str]:
    return PREFIX + name, _HELP[name]


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(*_described(name), value=float(value))


def _counter(name: str, value: float) -> Metric:
    return CounterMetricFamily(*_described(name), value=value)


def _labelled(name: str, label: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(*_described(name), labels=(label,))
    family.add_metric((text,), float(value))
    return family


def _errors(value: float) -> Metric:
    """Return the errors under the Go peer's name, which lacks a counter's ``_total``."""
    family = Metric(*_described("notifier_calls_errors"), "unknown")
    family.add_sample(family.name, {}, value)
    return family


def _durations(snapshot: Snapshot) -> Metric:
    counters = snapshot.counters
    count = counters.get(f"{DURATION}_count", 0.0)
    buckets = [
        (str(bound), counters.get(f"{DURATION}_bucket_le_{bound}", 0.0))
        for bound in DURATION_BUCKETS
    ]
    total = counters.get(f"{DURATION}_sum", 0.0)
    return HistogramMetricFamily(
        *_described(DURATION), buckets=[*buckets, ("+Inf", count)], sum_value=total
    )
