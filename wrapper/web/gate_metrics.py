"""The metrics of the gate; absent without a gate.

``stale_safe`` yields counters, constants and timestamps, which are still correct in a stale
snapshot. ``fresh_only`` yields values that are correct only in a fresh one.

The label is ``remote_name``, as in Prometheus' own metrics of remote_write. The name ``endpoint``
is not free: the Prometheus Operator gives each target a label ``endpoint``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric

from wrapper.web.metric_table import counter, described, gauge, gauges

_LABEL = "remote_name"
Gate = Mapping[str, Any]
# Metric: counter of the gate.
_COUNTERS = {
    "gate_batches_released_total": "batches_released",
    "gate_batches_sent_on_total": "batches_sent_on",
    "gate_samples_left_out_total": "samples_left_out",
    "gate_samples_unconfirmed_total": "samples_unconfirmed",
    "gate_passed_bytes_total": "bytes_passed",
}
# Metric: its second label, and the gate's counter for each value of that label.
_PARTED = {
    "gate_requests_total": (
        "outcome",
        {
            "passed": "requests_passed",
            "failed": "requests_failed",
            "held": "requests_held",
            "refused_full": "requests_refused_full",
            "refused_closing": "requests_refused_closing",
        },
    ),
    "gate_samples_rejected_total": (
        "reason",
        {"known": "samples_rejected_known", "final": "samples_given_up"},
    ),
}


def stale_safe(gate: Gate) -> Iterator[Metric]:
    """Yield counters, constants and timestamps."""
    if not gate:
        return
    yield counter("gate_restarts_total", gate["restarts"])
    yield gauge("gate_memory_limit_bytes", gate["memory_bytes"])
    marks = {each["name"]: each["mark"] for each in gate["endpoints"]}
    yield _known("gate_mark_timestamp_seconds", marks, 1000)
    for name, field in _COUNTERS.items():
        family = CounterMetricFamily(*described(name), labels=(_LABEL,))
        for each in gate["endpoints"]:
            family.add_metric((each["name"],), each["counters"].get(field, 0.0))
        yield family
    for name, (label, fields) in _PARTED.items():
        family = CounterMetricFamily(*described(name), labels=(_LABEL, label))
        for each in gate["endpoints"]:
            for value, field in fields.items():
                family.add_metric((each["name"], value), each["counters"].get(field, 0.0))
        yield family


def fresh_only(gate: Gate) -> Iterator[Metric]:
    """Yield the values that are correct only in a fresh snapshot."""
    if not gate:
        return
    yield gauge("gate_open", gate["is_open"])
    if gate["clock_offset_s"] is not None:
        yield gauge("gate_clock_offset_seconds", gate["clock_offset_s"])
    for name, field in (
        ("gate_held_bytes", "held_bytes"),
        ("gate_held_batches", "held_batches"),
        ("gate_held_since_timestamp_seconds", "held_since"),
        ("gate_behind_seconds", "behind_s"),
    ):
        yield _known(name, {each["name"]: each[field] for each in gate["endpoints"]})


def _known(name: str, values: Mapping[str, float | None], divisor: int = 1) -> Metric:
    """Return a gauge for each endpoint whose value is known."""
    known = {each: value / divisor for each, value in values.items() if value is not None}
    return gauges(name, _LABEL, known)
