"""The metrics of fetched files of targets and rules, and of the queue of Promgen's broker.

They are made from a snapshot's ``targets``, and are absent without any. Counters and timestamps
stay true of an old snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from wrapper.web.metric_table import described

_GAUGES = {
    "last_success_time_seconds": "last_success_time",
    "last_change_time_seconds": "last_change_time",
    "groups": "groups",
    "members": "targets",
}


def metrics(targets: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield every metric that there is a value for."""
    feeds, queue = targets.get("feeds", ()), targets.get("queue")
    if feeds:
        yield from _of_feeds(feeds)
    if queue is not None:
        yield GaugeMetricFamily(*_described("queue_connected"), value=queue["is_connected"])
        messages = CounterMetricFamily(*_described("queue_messages_total"), labels=("result",))
        for result, count in queue["messages"].items():
            messages.add_metric((result,), count)
        yield messages
        changes = queue["unannounced_changes"]
        yield GaugeMetricFamily(*_described("queue_unannounced_changes"), value=changes)


def _of_feeds(feeds: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    for name, field in _GAUGES.items():
        gauge = GaugeMetricFamily(*_described(name), labels=("file",))
        for feed in feeds:
            gauge.add_metric((feed["file"],), feed[field])
        yield gauge
    errors = CounterMetricFamily(*_described("errors_total"), labels=("file", "reason"))
    for feed in feeds:
        for reason, count in feed["errors"].items():
            errors.add_metric((feed["file"], reason), count)
    yield errors


def _described(name: str) -> tuple[str, str]:
    return described(f"targets_{name}")
