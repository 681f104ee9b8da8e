"""Queries of the dashboard that several panels need."""

from __future__ import annotations

# Abbreviations in queries, and what they stand for.
SHORT = {
    "{@}": '{cluster=~"$cluster",namespace=~"$namespace",job=~"$job"}',
    "{~}": '{cluster=~"$cluster",namespace=~"$namespace"}',
    "{@,": '{cluster=~"$cluster",namespace=~"$namespace",job=~"$job",',
    "[@]": "[$__rate_interval]",
}
REPLICA_LABELS = "cluster, namespace, pod, instance, "


def own(query: str) -> str:
    """Return a query for metrics of the replicas' own Prometheus, by replica."""
    return f"({query}) and on (cluster, namespace, pod) prometheus_elector_start_time_seconds{{@}}"


def remote(name: str) -> str:
    """Return the rate of a counter of remote_write, of samples and of native histograms."""
    samples, histograms = (
        f"rate(prometheus_remote_storage_{of}_{name}{{~}}[@])" for of in ("samples", "histograms")
    )
    return f"({samples} + {histograms})"


def quantile(number: float, name: str, by: str = "") -> str:
    """Return a quantile of a histogram of ours, also if the scrape made a native one of it."""
    classic, native = (
        f"sum by ({labels}) (rate({series}{{@}}[@]))"
        for labels, series in ((f"{by}le", f"{name}_bucket"), (by.removesuffix(", "), name))
    )
    return f"histogram_quantile({number}, {classic}) or histogram_quantile({number}, {native})"


def average(name: str) -> str:
    """Return the average of a histogram of ours, also if the scrape made a native one of it."""
    native = f"rate({name}{{@}}[@])"
    return (
        f"rate({name}_sum{{@}}[@]) / rate({name}_count{{@}}[@]) "
        f"or histogram_sum({native}) / histogram_count({native})"
    )
