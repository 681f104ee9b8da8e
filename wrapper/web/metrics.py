"""Expose the newest snapshot and the proxy's counters in Prometheus' formats.

The metric names of the Go prometheus-elector are kept. While the snapshot is stale, metrics of the
current state are absent, ``…_is_leader`` is 0, and ``…_snapshot_age_seconds`` shows why. The
supervisor and the proxy do the counting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from wrapper import __version__
from wrapper.base import clock
from wrapper.base.snapshot_channel import SnapshotReader, is_stale
from wrapper.model.snapshot import Snapshot
from wrapper.proxy.proxy_counters import DURATION_BUCKETS as REQUEST_BUCKETS
from wrapper.proxy.proxy_counters import ProxyCounters, Totals
from wrapper.web import gate_metrics, state_metrics
from wrapper.web.metric_table import (
    PREFIX,
    counter,
    described,
    durations,
    gauge,
    gauges,
    go_errors,
    histogram,
)

# Counters of a snapshot that are exposed unchanged.
_COUNTERS = ("config_write_failures_total", "notifier_calls_total", "pod_label_failures_total")

# Gauges from a snapshot's usage.
_USAGE_GAUGES = (
    "resident_memory_bytes",
    "virtual_memory_bytes",
    "open_fds",
    "max_fds",
    "threads",
    "start_time_seconds",
)

# client_golang exposes this as a counter under this name; the Python client would rename a counter.
_ERRORS_TYPE = f"# TYPE {PREFIX}notifier_calls_errors ".encode()


class SnapshotCollector(Collector):
    """Collects the metrics of the newest snapshot and of the proxy."""

    def __init__(self, reader: SnapshotReader, counters: ProxyCounters) -> None:
        self._reader = reader
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that has a value."""
        for metric in self._metrics():
            metric.samples = [_encodable(each) for each in metric.samples]
            yield metric

    def _metrics(self) -> Iterator[Metric]:
        snapshot, now = self._reader.read(), clock.now()
        yield gauges("build_info", "version", {__version__: 1})
        age_s = math.inf if snapshot is None else now - snapshot.stamped_at
        yield gauge("snapshot_age_seconds", age_s)
        if snapshot is not None:
            yield from _stale_safe(snapshot, now)
        if snapshot is not None and not is_stale(snapshot, now):
            yield from _fresh_only(snapshot, now)
        yield from _proxied(self._counters.totals())


def registry(
    reader: SnapshotReader, counters: ProxyCounters, *, with_runtime: bool
) -> CollectorRegistry:
    """Return our registry; ``with_runtime`` adds the metrics of this Python process."""
    ours = CollectorRegistry()
    ours.register(SnapshotCollector(reader, counters))
    if with_runtime:
        ProcessCollector(registry=ours)
        PlatformCollector(registry=ours)
        GCCollector(registry=ours)
    return ours


def expose(ours: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the format that ``accept`` requests."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # prometheus_client 0.26: the version is not a number
        encode, content_type = choose_encoder("")
    return encode(ours).replace(_ERRORS_TYPE + b"untyped", _ERRORS_TYPE + b"counter"), content_type


def _encodable(sample: Sample) -> Sample:
    """Return the sample with labels that have an encoding: a file's name may have any bytes."""
    labels = {
        name: value.encode(errors="backslashreplace").decode()
        for name, value in sample.labels.items()
    }
    return sample._replace(labels=labels)


def _stale_safe(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Yield the metrics that a stale snapshot also has; a stale leader does not count as one."""
    leads = snapshot.leads(now) and not is_stale(snapshot, now)
    yield gauges("election_is_leader", "member_id", {snapshot.identity: leads})
    yield gauge("election_last_transition_time_seconds", snapshot.last_transition_time)
    totals = snapshot.counters
    for name in _COUNTERS:
        yield counter(name, totals.get(name, 0.0))
    yield go_errors(totals.get("notifier_calls_errors", 0.0))
    yield histogram("notifier_calls_duration_seconds", totals)
    yield counter("web_restarts_total", max(totals.get("web_starts_total", 0.0) - 1, 0.0))
    yield from state_metrics.stale_safe(snapshot)
    yield from gate_metrics.stale_safe(snapshot.gate)


def _fresh_only(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    yield from state_metrics.fresh_only(snapshot, now)
    yield from gate_metrics.fresh_only(snapshot.gate)
    if snapshot.pod_is_labelled is not None:
        yield gauge("pod_has_label", snapshot.pod_is_labelled)
    for name in _USAGE_GAUGES:
        if name in snapshot.usage:
            yield gauge(f"child_{name}", snapshot.usage[name])
    if "cpu_seconds" in snapshot.usage:
        yield counter("child_cpu_seconds_total", snapshot.usage["cpu_seconds"])


def _proxied(totals: Totals) -> Iterator[Metric]:
    """Yield the proxy's metrics, summed over all workers."""
    labels = ("code", "method", "target")
    family = CounterMetricFamily(*described("proxy_requests_total"), labels=labels)
    for request, count in totals.requests.items():
        family.add_metric((str(request.code), request.method, request.target), count)
    yield family
    yield gauge("proxy_requests_in_flight", totals.in_flight)
    bounds = [*map(str, REQUEST_BUCKETS), "+Inf"]
    buckets = list(zip(bounds, accumulate(totals.buckets), strict=True))
    yield durations("proxy_request_duration_seconds", buckets, totals.seconds)
    yield counter("proxy_received_bytes_total", totals.received_bytes)
    yield counter("proxy_sent_bytes_total", totals.sent_bytes)
