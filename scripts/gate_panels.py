"""The dashboard's panels about the gate: what it passes on, holds, and what is lost."""

from __future__ import annotations

from grafana import BY_REPLICA, IDLE, REPLICA, Panel, bars, timeline, words

RECEIVER = f"{REPLICA} {{{{remote_name}}}}"

GATE = (
    timeline(
        "Whose gate is open",
        "Only the leader's gate passes samples on. The others hold them.",
        {REPLICA: "prometheus_elector_gate_open{@}"},
        words("holds", "open", no_is=IDLE, yes_is="blue"),
    ),
    Panel(
        "Receiver behind",
        "How far the receiver is behind, in sample time. A few seconds are normal.",
        {
            RECEIVER: "prometheus_elector_gate_behind_seconds{@} "
            "and ignoring (remote_name) prometheus_elector_gate_open{@} == 1"
        },
        unit="s",
    ),
    Panel(
        "Held in memory",
        "Samples that the gate holds until the receiver has acknowledged them, and the limit.",
        {
            RECEIVER: "prometheus_elector_gate_held_bytes{@}",
            f"limit {REPLICA}": "prometheus_elector_gate_memory_limit_bytes{@}",
        },
        unit="bytes",
    ),
    Panel(
        "Mark",
        "Age of the time up to which the receiver has acknowledged all samples.",
        {RECEIVER: "time() - prometheus_elector_gate_mark_timestamp_seconds{@}"},
        unit="s",
    ),
    Panel(
        "Requests at the gate",
        "By outcome. Prometheus retries failed and refused requests.",
        {
            "{{pod}} {{outcome}}": "sum by (cluster, namespace, pod, instance, outcome) "
            "(rate(prometheus_elector_gate_requests_total{@}[@]))"
        },
        unit="reqps",
        width=8,
    ),
    bars(
        "Sent after a change of leader",
        "Held batches that the new leader sent, and samples that the receiver already had.",
        {
            "batches {{pod}}": f"{BY_REPLICA} "
            "(increase(prometheus_elector_gate_batches_sent_on_total{@}[@]))",
            "samples left out {{pod}}": f"{BY_REPLICA} "
            "(increase(prometheus_elector_gate_samples_left_out_total{@}[@]))",
            "samples refused as known {{pod}}": f"{BY_REPLICA} "
            '(increase(prometheus_elector_gate_samples_rejected_total{@,reason="known"}[@]))',
        },
        width=8,
    ),
    bars(
        "Samples lost",
        "Refused permanently by the receiver, or not counted as stored. There should be none.",
        {
            "refused {{pod}} {{remote_name}}": "increase("
            'prometheus_elector_gate_samples_rejected_total{@,reason="final"}[@])',
            "not counted {{pod}} {{remote_name}}": "increase("
            "prometheus_elector_gate_samples_unconfirmed_total{@}[@])",
        },
        width=8,
    ),
    Panel(
        "The leader's clock",
        "How far it is ahead of each standby's clock.",
        {REPLICA: "prometheus_elector_gate_clock_offset_seconds{@}"},
        unit="s",
        defaults={},
    ),
    bars(
        "Restarts of the gate",
        "Each restart loses the samples that the gate held.",
        {REPLICA: "increase(prometheus_elector_gate_restarts_total{@}[@])"},
    ),
)
