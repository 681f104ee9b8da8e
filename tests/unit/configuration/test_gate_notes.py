"""Notes about settings that defeat the gate, with their place and without values."""

from __future__ import annotations

import pytest

from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.render import WholeFile
from wrapper.documents.source import Source

ENTRY = "remote_write: [{url: 'http://r'}]\n"


def notes(base: str, leader: str = ENTRY, identity: str = "prometheus-0") -> tuple[str, ...]:
    """Return the notes."""
    gate = GateSettings("http://127.0.0.1:9096", "/", 64 << 20, 15.0, identity)
    overrides = [Source("l.yml", leader.encode())]
    return WholeFile(gate).render(Source("p.yml", base.encode()), overrides).notes


@pytest.mark.parametrize(
    ("value", "is_noted"),
    [
        ("prometheus-0", True),
        ("eu/prometheus-0", True),
        ("prometheus-01", False),
        ("prometheus-1", False),
        ("my-prometheus-0", False),
        ("prometheus-0.local", False),
        ("eu", False),
        ("$POD_NAME", True),
        ("${HOSTNAME}", True),
        ("a-$(POD_NAME)", False),  # not replaced: a literal that is the same everywhere
        ("$REGION", False),
        ("$POD_NAMESPACE", False),
    ],
)
def test_label_of_one_replica_is_noted(value: str, *, is_noted: bool) -> None:
    """A label that differs between replicas is noted: each would have its own series."""
    base = f"global: {{external_labels: {{replica: '{value}'}}}}\n"
    found = notes(base)
    assert len(found) == is_noted
    if found:
        assert found[0].startswith("p.yml:1:37: this label differs between replicas")
        assert value not in found[0]
    assert notes(base, "rule_files: [a]") == ()


def test_labels_of_the_leader_only_are_noted() -> None:
    """External labels of the leader only are noted: what a follower's gate holds lacks them."""
    for label in ("{a: c}", "{a: b, d: e}"):
        text = f"global: {{external_labels: {label}}}\n{ENTRY}"
        [line] = notes("global: {external_labels: {a: b}}", text)
        assert "the leader's external_labels differ from the follower's" in line
        assert line.startswith("l.yml:1:")
    assert (
        notes("global: {external_labels: {a: b}}", "global: {external_labels: {a: b}}\n" + ENTRY)
        == ()
    )


@pytest.mark.parametrize(
    ("limit", "is_noted"),
    [("14s", True), ("15s", False), ("0s", False), ("1d", False), ("x", False)],
)
def test_short_age_limit_is_noted(limit: str, *, is_noted: bool) -> None:
    """A ``sample_age_limit`` shorter than the lease is noted: in a failover, samples are older."""
    text = f"remote_write: [{{url: 'http://r', queue_config: {{sample_age_limit: {limit}}}}}]"
    found = notes("{}", text)
    assert len(found) == is_noted
    if found:
        assert found[0].startswith("l.yml:1:67: sample_age_limit is shorter than --lease-duration")


def test_too_little_memory_is_noted() -> None:
    """Memory for less than twice what all shards of all entries send at once is noted."""
    queue = "queue_config: {max_shards: 200, max_samples_per_send: 2500}"
    one = f"{{url: 'http://r', {queue}}}"
    assert notes("{}", f"remote_write: [{one}]") == ()
    [line] = notes("{}", f"remote_write: [{one}, {{url: 'http://s', {queue}}}]")
    assert "--gate-memory is 67,108,864 bytes, less than twice that" in line
    assert "all shards together send 40,000,000 bytes at once" in line


def test_usual_settings_have_no_notes() -> None:
    """The defaults of Prometheus and of the flags lead to no notes."""
    assert notes("global: {external_labels: {cluster: eu}}") == ()
    assert notes("global: {external_labels: }") == ()
    assert notes("global: {external_labels: {a: b}}", identity="") == ()
