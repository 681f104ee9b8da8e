"""Finds valid settings with which a failover loses samples in spite of the gate; pure.

The guarantee of the gate has two conditions: all replicas send the same series, and samples may
wait for as long as a failover takes.

Limitation: the configurations of the other replicas are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from yaml.nodes import MappingNode, Node, ScalarNode

from wrapper.base.durations import go_duration, parse_prometheus_duration
from wrapper.configuration.gate_settings import GateSettings
from wrapper.documents.problems import Problem
from wrapper.documents.yaml_nodes import entries, value_of

_LABELS = "external_labels"
_OF_ONE_REPLICA = re.compile(r"\$\{?(POD_NAME|POD_UID|POD_IP|HOSTNAME|HOST_IP|NODE_NAME)\b")
_SHARDS, _SAMPLES = 50, 2000  # Prometheus' defaults
_SAMPLE_BYTES = 40  # of one sample in a request, compressed by snappy
_MANY_SERIES = (
    "this label differs between replicas, so the receiver stores separate series for each replica, "
    "and every failover leaves a gap; with the gate, give all replicas the same "
    "external_labels"
)
_DIFFERS = (
    "the leader's external_labels differ from the follower's, but samples that a follower's gate "
    "holds have the follower's; set external_labels only in the follower's part"
)


def gate_notes(
    follower: MappingNode, leader: MappingNode, gated: Iterable[MappingNode], gate: GateSettings
) -> Iterator[str]:
    """Yield a line ``NAME:LINE:COLUMN: cause; cure`` for each such setting."""
    labels = _labels(follower)
    for _, value in labels.values():
        if isinstance(value, ScalarNode) and _is_of_one_replica(value.value, gate.identity):
            yield str(Problem.at(value, _MANY_SERIES))
    for name, (_, value) in _labels(leader).items():
        if name not in labels or labels[name][1].value != value.value:
            yield str(Problem.at(value, _DIFFERS))
    at_once = 0
    entry: Node | None = None
    for entry in gated:
        queue = value_of(entry, "queue_config")
        yield from _note_age(queue, gate.lease_s)
        at_once += _number(queue, "max_shards", _SHARDS) * _samples(queue) * _SAMPLE_BYTES
    if entry is not None and gate.memory_bytes < 2 * at_once:
        text = (
            f"all shards together send {at_once:,} bytes at once (max_shards times "
            f"max_samples_per_send times {_SAMPLE_BYTES}), and --gate-memory is "
            f"{gate.memory_bytes:,} bytes, less than twice that; raise "
            "--gate-memory, or lower max_shards"
        )
        yield str(Problem.at(entry, text))


def _labels(section: MappingNode) -> dict[str, tuple[ScalarNode, Node]]:
    value = value_of(value_of(section, "global"), _LABELS)
    return entries(value) if isinstance(value, MappingNode) else {}


def _is_of_one_replica(value: str, identity: str) -> bool:
    """Return whether a label's value has this replica's identity, or a variable for one."""
    if _OF_ONE_REPLICA.search(value):
        return True
    named = rf"(?<![\w.-]){re.escape(identity)}(?![\w.-])"
    return bool(identity) and re.search(named, value) is not None


def _note_age(queue: Node | None, lease_s: float) -> Iterator[str]:
    value = value_of(queue, "sample_age_limit")
    try:
        limit_s = parse_prometheus_duration(getattr(value, "value", ""))
    except (ValueError, TypeError):
        return  # Prometheus refuses it, or there is none
    if value is not None and 0 < limit_s < lease_s:
        text = (
            f"sample_age_limit is shorter than --lease-duration ({go_duration(lease_s)}), so that "
            "Prometheus drops samples that wait for a failover; remove it, or raise it to minutes"
        )
        yield str(Problem.at(value, text))


def _samples(queue: Node | None) -> int:
    return _number(queue, "max_samples_per_send", _SAMPLES)


def _number(queue: Node | None, name: str, default: int) -> int:
    text = str(getattr(value_of(queue, name), "value", ""))
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else default
