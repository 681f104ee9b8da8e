"""Print the Grafana dashboard as JSON; `scripts/render-k8s` puts it into the chart.

Metrics of a replica are selected by cluster, namespace and job. Metrics of its Prometheus may have
another job, and are selected by the pod.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gate_panels import GATE
from grafana import (
    BAD,
    BY_REPLICA,
    DATASOURCE,
    ELECTION,
    GOOD,
    IDLE,
    REPLICA,
    WARN,
    Panel,
    bars,
    placed,
    stat,
    steps,
    timeline,
    words,
)
from queries import REPLICA_LABELS, SHORT, average, own, quantile, remote

ROWS: dict[str, tuple[Panel, ...]] = {
    "Who writes": (
        stat(
            "Leader",
            "The current leader.",
            "max by (cluster, namespace, job, member_id) "
            "(prometheus_elector_election_is_leader{@}) == 1",
            options={"textMode": "name"},
            defaults={**steps(GOOD), "displayName": "${__field.labels.member_id}"},
        ),
        stat(
            "Replicas that lead",
            "It should be one for each election.",
            "sum by (cluster, namespace, job) (prometheus_elector_election_is_leader{@})",
            defaults=steps(BAD, (1, GOOD), (2, BAD)),
        ),
        stat(
            "Prometheus ready",
            "Replicas that are able to lead. With fewer than two, none can take over.",
            "sum by (cluster, namespace, job) "
            "(prometheus_elector_child_ready{@} * prometheus_elector_child_healthy{@})",
            defaults=steps(BAD, (1, WARN), (2, GOOD)),
        ),
        stat(
            "Lease of the leader",
            "Time until the leader must step down unless it renews: 8 to 10 s by default.",
            "max by (cluster, namespace, job) (prometheus_elector_lease_expires_in_seconds{@} "
            "and ignoring (member_id) prometheus_elector_election_is_leader{@} == 1)",
            unit="s",
            defaults=steps(BAD, (2, WARN), (4, GOOD)),
        ),
        stat(
            "Configuration",
            "Whether the current configuration of all replicas is valid.",
            "min by (cluster, namespace, job) (prometheus_elector_config_valid{@})",
            defaults=words("invalid", "valid", no_is=BAD, yes_is=GOOD),
        ),
        stat(
            "Leads since",
            "When the current leader was elected.",
            "max by (cluster, namespace, job) ("
            "prometheus_elector_election_last_transition_time_seconds{@} "
            "and ignoring (member_id) prometheus_elector_election_is_leader{@} == 1) * 1000",
            unit="dateTimeFromNow",
            defaults=steps(IDLE),
        ),
        timeline(
            "Who led",
            "As each replica reports it. Two at a time, for longer than a scrape, are an error.",
            {
                "{{member_id}}": "max by (cluster, namespace, job, member_id) "
                "(prometheus_elector_election_is_leader{@})"
            },
            words("follows", "leads", no_is=IDLE, yes_is=GOOD),
        ),
        timeline(
            "Whose Prometheus may write",
            "From before the leader's configuration is loaded until it is confirmed as replaced.",
            {REPLICA: "prometheus_elector_may_write{@}"},
            words("cannot write", "may write", no_is=IDLE, yes_is="blue"),
        ),
        Panel(
            "Samples sent",
            "To all storages, with native histograms, without refused and retried samples.",
            {
                REPLICA: own(
                    f"{BY_REPLICA} ({remote('total')} "
                    f"- {remote('failed_total')} - {remote('retried_total')})"
                )
            },
            unit="cps",
        ),
        Panel(
            "Samples refused, retried, pending",
            "Refused samples are lost. Pending samples are lost if the leader changes.",
            {
                "refused/s {{pod}} {{remote_name}}": own(remote("failed_total")),
                "retried/s {{pod}} {{remote_name}}": own(remote("retried_total")),
                "pending {{pod}} {{remote_name}}": own(
                    "prometheus_remote_storage_samples_pending{~} "
                    "+ prometheus_remote_storage_histograms_pending{~}"
                ),
            },
        ),
        bars(
            "Hand-overs by reason",
            "Each change of role. A hand-over has two: the old leader's reason, and acquired.",
            {
                "{{reason}}": "sum by (reason) "
                "(increase(prometheus_elector_role_transitions_total{@}[@]))"
            },
        ),
        bars(
            "Time without a leader",
            "As seen by the replica that had no leader for the shortest time.",
            {
                ELECTION: "min by (cluster, namespace, job) "
                "(increase(prometheus_elector_leaderless_seconds_total{@}[@]))"
            },
            unit="s",
        ),
    ),
    "Lease": (
        Panel(
            "Lease remaining",
            "For the leader until it must step down, for the others until they may take over.",
            {REPLICA: "prometheus_elector_lease_expires_in_seconds{@}"},
            unit="s",
            width=8,
        ),
        Panel(
            "Time to renew",
            "The 99th percentile of renewals.",
            {
                REPLICA: quantile(
                    0.99, "prometheus_elector_lease_renew_duration_seconds", REPLICA_LABELS
                )
            },
            unit="s",
            width=8,
        ),
        Panel(
            "Failed requests for the lease",
            "By reason.",
            {
                "{{pod}} {{reason}}": "sum by (cluster, namespace, pod, instance, reason) "
                "(rate(prometheus_elector_lease_errors_total{@}[@]))"
            },
            unit="reqps",
            width=8,
        ),
    ),
    "Gate": GATE,
    "Prometheus' configuration": (
        timeline(
            "Configuration valid",
            "Whether the current input is valid. If not, the last valid one stays in use.",
            {REPLICA: "prometheus_elector_config_valid{@}"},
            words("invalid", "valid", no_is=BAD, yes_is=GOOD),
        ),
        timeline(
            "Configuration loaded",
            "Whether Prometheus is confirmed to have loaded the configuration of its role.",
            {REPLICA: "prometheus_elector_config_loaded{@}"},
            words("not loaded", "loaded", no_is=WARN, yes_is=GOOD),
        ),
        bars(
            "Reloads",
            "Confirmed by what Prometheus reports as loaded, or failed, by reason.",
            {
                "confirmed": "sum(increase(prometheus_elector_reloads_confirmed_total{@}[@]))",
                "{{reason}}": "sum by (reason) "
                "(increase(prometheus_elector_reloads_failed_total{@}[@]))",
                "not written": "sum"
                "(increase(prometheus_elector_config_write_failures_total{@}[@]))",
            },
        ),
        Panel(
            "Time to reload",
            "From the write of the file until Prometheus has loaded it, on average.",
            {REPLICA: average("prometheus_elector_reload_duration_seconds")},
            unit="s",
        ),
    ),
    "Prometheus": (
        Panel(
            "Memory",
            "Resident memory.",
            {REPLICA: "prometheus_elector_child_resident_memory_bytes{@}"},
            unit="bytes",
            width=8,
        ),
        Panel(
            "CPU",
            "Cores in use.",
            {REPLICA: "rate(prometheus_elector_child_cpu_seconds_total{@}[@])"},
            width=8,
        ),
        Panel(
            "Open files",
            "Share of the maximum that Prometheus may open.",
            {REPLICA: "prometheus_elector_child_open_fds{@} / prometheus_elector_child_max_fds{@}"},
            unit="percentunit",
            width=8,
        ),
        timeline(
            "Ready and healthy",
            "As Prometheus reports it. Only a ready and healthy one contends for the lease.",
            {REPLICA: "prometheus_elector_child_ready{@} * prometheus_elector_child_healthy{@}"},
            words("not ready", "ready", no_is=WARN, yes_is=GOOD),
        ),
        Panel(
            "Running for",
            "Prometheus and prometheus-elector, which start and exit together.",
            {
                f"Prometheus {REPLICA}": "time() - prometheus_elector_child_start_time_seconds{@}",
                f"elector {REPLICA}": "time() - prometheus_elector_start_time_seconds{@}",
            },
            unit="s",
        ),
    ),
    "Proxy": (
        Panel(
            "Requests",
            "By status code, and by the Prometheus that answered.",
            {
                "{{code}} {{target}}": "sum by (code, target) "
                "(rate(prometheus_elector_proxy_requests_total{@}[@]))"
            },
            unit="reqps",
            width=6,
        ),
        Panel(
            "Duration",
            "Until the last byte of the answer: median and 99th percentile.",
            {
                f"{number}": quantile(number, "prometheus_elector_proxy_request_duration_seconds")
                for number in (0.5, 0.99)
            },
            unit="s",
            width=6,
        ),
        Panel(
            "In flight",
            "Requests that the proxy is currently serving.",
            {REPLICA: "prometheus_elector_proxy_requests_in_flight{@}"},
            width=6,
        ),
        Panel(
            "Traffic",
            "Headers included.",
            {
                "received": "sum(rate(prometheus_elector_proxy_received_bytes_total{@}[@]))",
                "sent": "sum(rate(prometheus_elector_proxy_sent_bytes_total{@}[@]))",
            },
            unit="Bps",
            width=6,
        ),
    ),
    "prometheus-elector": (
        Panel(
            "Age of the state",
            "Seconds since the supervisor last published it. Above 5 s, its metrics are absent.",
            {REPLICA: "prometheus_elector_snapshot_age_seconds{@}"},
            unit="s",
            width=8,
        ),
        Panel(
            "Restarts in an hour",
            "Restarts of prometheus-elector, and of its web server.",
            {
                f"elector {REPLICA}": "changes(prometheus_elector_start_time_seconds{@}[1h])",
                f"web {REPLICA}": "increase(prometheus_elector_web_restarts_total{@}[1h])",
            },
            width=8,
        ),
        Panel(
            "Versions",
            "Replicas by version.",
            {"{{version}}": "count by (version) (prometheus_elector_build_info{@})"},
            width=8,
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the whole dashboard as Grafana 9 and later read it."""
    return {
        "uid": "prometheus-elector",
        "title": "prometheus-elector",
        "description": "Which replica writes, since when, and why the leader changed.",
        "tags": ["prometheus"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(variables())},
        "panels": list(placed({title: list(map(written_out, row)) for title, row in ROWS.items()})),
    }


def written_out(panel: Panel) -> Panel:
    """Return a panel with its queries as Grafana reads them."""
    queries = dict(panel.queries)
    for short, text in SHORT.items():
        queries = {legend: query.replace(short, text) for legend, query in queries.items()}
    return replace(panel, queries=queries)


def variables() -> Iterator[dict[str, Any]]:
    """Yield the variables at the top: the data source, and the elections to show."""
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }
    within = {"cluster": "", "namespace": '{cluster=~"$cluster"}', "job": SHORT["{~}"]}
    for name, selected in within.items():
        query = f"label_values(prometheus_elector_build_info{selected}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "query": query,
            "datasource": DATASOURCE,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"], "selected": True},
        }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1)
    sys.stdout.write("\n")
