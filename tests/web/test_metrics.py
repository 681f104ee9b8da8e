"""The metrics of a snapshot, some under the Go peer's names; a stale snapshot has few."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.web.conftest import FOLLOWER, LEASE_LEFT_S, following, leading
from wrapper import __version__
from wrapper.base import clock
from wrapper.base.snapshot_channel import SnapshotReader, SnapshotWriter
from wrapper.model.fetched_file import FeedState, QueueState
from wrapper.model.gate import COUNTERS, EndpointReport
from wrapper.model.label_values import DURATION_BUCKETS
from wrapper.model.roles import Cause
from wrapper.model.snapshot import Snapshot
from wrapper.proxy.proxy_counters import CountedRequest, ProxyCounters
from wrapper.web.metric_table import METRICS
from wrapper.web.metrics import expose, registry

RICH: dict[str, Any] = {
    "counters": {
        "config_write_failures_total": 5.0,
        "notifier_calls_total": 3.0,
        "notifier_calls_errors": 1.0,
        "pod_label_failures_total": 4.0,
        "web_starts_total": 3.0,
        "notifier_calls_duration_seconds_sum": 0.6,
        "notifier_calls_duration_seconds_count": 2.0,
        **{f"notifier_calls_duration_seconds_bucket_le_{x}": 2.0 for x in DURATION_BUCKETS[6:]},
        "notifier_calls_duration_seconds_bucket_le_0.25": 1.0,
        "role_transitions_total:acquired": 2.0,
        "lease_errors_total:timeout": 6.0,
        "leaderless_seconds_total": 7.5,
        "reloads_confirmed_total": 8.0,
        "reloads_failed_total:refused": 9.0,
        "reload_duration_seconds_sum": 0.3,
        "reload_duration_seconds_count": 8.0,
        "lease_renew_duration_seconds_sum": 0.4,
        "lease_renew_duration_seconds_count": 9.0,
        "fencing_kills_total": 1.0,
        "config_last_reload_success_timestamp_seconds": 1.75e9,
    },
    "usage": {
        "resident_memory_bytes": 1e8,
        "virtual_memory_bytes": 1e9,
        "cpu_seconds": 12.5,
        "open_fds": 40.0,
        "max_fds": 1024.0,
        "threads": 9.0,
        "start_time_seconds": 1.7e9,
    },
    "last_transition_time": 1.7e9,
    "pod_is_labelled": True,
    "follower_fingerprint": "0" * 11 + "a" + "f" * 52,
    "leader_fingerprint": "0" * 11 + "b" + "f" * 52,
    "wanted_fingerprint": "0" * 11 + "b" + "f" * 52,
    "loaded_fingerprint": "0" * 11 + "b" + "f" * 52,
    "lease_transitions": 4,
    "may_write": True,
    "cause": Cause.ACQUIRED,
    "start_time": 1.6e9,
    "lease_duration_s": 15.0,
    "lease_renew_deadline_s": 10.0,
    "remote_write_is_loaded": True,
    "targets": {
        "feeds": [
            asdict(
                FeedState("/t.json", "http://p", "targets", 2, 3, 1.5e9, 1.4e9, "", {"status": 4})
            )
        ],
        "queue": asdict(
            QueueState("q", is_connected=True, messages={"acknowledged": 6}, unannounced_changes=2)
        ),
    },
    "gate": {
        "is_open": True,
        "pid": 7,
        "has_handed_over": False,
        "is_handing_over": False,
        "memory_bytes": 1 << 26,
        "clock_offset_s": -0.25,
        "restarts": 2,
        "problem": "",
        "endpoints": [
            {
                **asdict(
                    EndpointReport(
                        "store",
                        mark=1_700_000_000_125,
                        held_bytes=3 << 20,
                        held_batches=30,
                        held_since=1.7e9,
                        behind_s=4.5,
                        problem="HTTP 503",
                        counters={name: count for count, name in enumerate(COUNTERS, 1)},
                    )
                ),
                "url": "http://store:9090/api/v1/write",
            }
        ],
    },
}

FRESH_GATE: dict[str, Any] = {
    **RICH["gate"],
    "is_open": False,
    "clock_offset_s": None,
    "endpoints": [{**asdict(EndpointReport("store")), "url": "http://store/write"}],
}


def exposed(
    snapshot: Snapshot | None, age_s: float = 0.0, accept: str = "", *, with_runtime: bool = False
) -> str:
    """Return the exposition for a snapshot of this age, and for one counted request."""
    figures = ProxyCounters()
    figures.begin()
    figures.end(200, b"GET", "local", seconds=0.02, received_bytes=7, sent_bytes=9)
    writer = SnapshotWriter()
    try:
        if snapshot is not None:
            writer.publish(replace(snapshot, stamped_at=clock.now() - age_s))
        ours = registry(SnapshotReader(writer.fileno()), figures, with_runtime=with_runtime)
        return expose(ours, accept)[0].decode()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "line",
    [
        'election_is_leader{member_id="prometheus-0"} 1.0',
        "election_last_transition_time_seconds 1.7e+09",
        "notifier_calls_total 3.0",
        "notifier_calls_errors 1.0",
        'notifier_calls_duration_seconds_bucket{le="0.1"} 0.0',
        'notifier_calls_duration_seconds_bucket{le="0.25"} 1.0',
        'notifier_calls_duration_seconds_bucket{le="1.0"} 2.0',
        'notifier_calls_duration_seconds_bucket{le="+Inf"} 2.0',
        "notifier_calls_duration_seconds_sum 0.6",
        "notifier_calls_duration_seconds_count 2.0",
        "config_valid 1.0",
        f'build_info{{version="{__version__}"}} 1.0',
        "pod_has_label 1.0",
        "pod_label_failures_total 4.0",
        "config_write_failures_total 5.0",
        "web_restarts_total 2.0",
        "start_time_seconds 1.6e+09",
        'role{role="leader"} 1.0',
        'role{role="follower"} 0.0',
        'role_transitions_total{reason="acquired"} 2.0',
        "may_write 1.0",
        "remote_write_loaded 1.0",
        "leader_known 1.0",
        "leaderless_seconds_total 7.5",
        "lease_holder_overdue 0.0",
        "lease_duration_seconds 15.0",
        "lease_renew_deadline_seconds 10.0",
        "lease_renew_duration_seconds_sum 0.4",
        "lease_renew_duration_seconds_count 9.0",
        'lease_errors_total{reason="timeout"} 6.0',
        "lease_transitions_total 4.0",
        "config_loaded 1.0",
        'config_hash{rendering="follower"} 10.0',
        'config_hash{rendering="leader"} 11.0',
        'config_hash{rendering="loaded"} 11.0',
        "config_last_reload_success_timestamp_seconds 1.75e+09",
        "reloads_confirmed_total 8.0",
        'reloads_failed_total{reason="refused"} 9.0',
        "reload_duration_seconds_count 8.0",
        "fencing_kills_total 1.0",
        "child_ready 1.0",
        "child_healthy 1.0",
        "child_resident_memory_bytes 1e+08",
        "child_cpu_seconds_total 12.5",
        "child_open_fds 40.0",
        "child_max_fds 1024.0",
        "child_start_time_seconds 1.7e+09",
        'proxy_requests_total{code="200",method="GET",target="local"} 1.0',
        "proxy_requests_in_flight 0.0",
        'proxy_request_duration_seconds_bucket{le="0.01"} 0.0',
        'proxy_request_duration_seconds_bucket{le="0.025"} 1.0',
        'proxy_request_duration_seconds_bucket{le="+Inf"} 1.0',
        "proxy_request_duration_seconds_sum 0.02",
        "proxy_request_duration_seconds_count 1.0",
        "proxy_received_bytes_total 7.0",
        "proxy_sent_bytes_total 9.0",
        'targets_last_success_time_seconds{file="/t.json"} 1.5e+09',
        'targets_last_change_time_seconds{file="/t.json"} 1.4e+09',
        'targets_groups{file="/t.json"} 2.0',
        'targets_members{file="/t.json"} 3.0',
        'targets_errors_total{file="/t.json",reason="status"} 4.0',
        "targets_queue_connected 1.0",
        'targets_queue_messages_total{result="acknowledged"} 6.0',
        "targets_queue_unannounced_changes 2.0",
        "gate_open 1.0",
        "gate_restarts_total 2.0",
        "gate_memory_limit_bytes 6.7108864e+07",
        "gate_clock_offset_seconds -0.25",
        'gate_held_bytes{remote_name="store"} 3.145728e+06',
        'gate_held_batches{remote_name="store"} 30.0',
        'gate_held_since_timestamp_seconds{remote_name="store"} 1.7e+09',
        'gate_mark_timestamp_seconds{remote_name="store"} 1.700000000125e+09',
        'gate_behind_seconds{remote_name="store"} 4.5',
        'gate_requests_total{outcome="passed",remote_name="store"} 1.0',
        'gate_requests_total{outcome="failed",remote_name="store"} 2.0',
        'gate_requests_total{outcome="held",remote_name="store"} 3.0',
        'gate_requests_total{outcome="refused_full",remote_name="store"} 4.0',
        'gate_requests_total{outcome="refused_closing",remote_name="store"} 5.0',
        'gate_batches_released_total{remote_name="store"} 6.0',
        'gate_batches_sent_on_total{remote_name="store"} 7.0',
        'gate_samples_left_out_total{remote_name="store"} 8.0',
        'gate_samples_rejected_total{reason="known",remote_name="store"} 9.0',
        'gate_samples_rejected_total{reason="final",remote_name="store"} 10.0',
        'gate_samples_unconfirmed_total{remote_name="store"} 11.0',
        'gate_passed_bytes_total{remote_name="store"} 12.0',
    ],
)
def test_values_of_a_leader_are_exposed(line: str) -> None:
    """Each value of a full snapshot is exposed in its own line."""
    assert f"prometheus_elector_{line}" in exposed(leading(**RICH)).splitlines()


def test_types_are_the_go_peers() -> None:
    """The Go peer's five metrics keep their types; errors stay a counter despite its name."""
    text = exposed(leading(**RICH))
    for name, kind in {
        "election_is_leader": "gauge",
        "election_last_transition_time_seconds": "gauge",
        "notifier_calls_total": "counter",
        "notifier_calls_errors": "counter",
        "notifier_calls_duration_seconds": "histogram",
    }.items():
        assert f"# TYPE prometheus_elector_{name} {kind}" in text.splitlines()


def test_the_table_has_every_metric() -> None:
    """METRICS has exactly the exposed metrics, each with its help."""
    lines = exposed(leading(**RICH)).splitlines()
    helps = dict(x.removeprefix("# HELP ").split(" ", 1) for x in lines if x.startswith("# HELP"))
    assert helps == METRICS


def test_the_reference_has_their_types_and_labels() -> None:
    """The reference has the types and labels that are exposed."""
    page = Path(__file__).parent.parent.parent / "wrapper/docs/reference.md"
    cells = r"^\| `(prometheus_elector_\w+)` \| (\w+) \| ([a-z_, ]*)\|"
    told = re.findall(cells, page.read_text(encoding="utf-8"), re.MULTILINE)
    text = exposed(leading(**RICH))
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE))
    labels = {
        family.name: {name for sample in family.samples for name in sample.labels} - {"le"}
        for family in parse_text(text)
    }
    assert {name: kind for name, kind, _ in told} == kinds
    for name, _, said in told:
        found = labels.get(name, labels.get(name.removesuffix("_total")))
        assert set(filter(None, said.strip().split(", "))) == found, name


@pytest.mark.parametrize(
    ("snapshot", "age_s"),
    [(leading(), 6.0), (leading(leads_until_at=clock.now() - 1), 0.0), (following(), 0.0)],
    ids=["stale", "lease run out", "follower"],
)
def test_is_leader_requires_a_fresh_snapshot_and_a_lease(snapshot: Snapshot, age_s: float) -> None:
    """is_leader is 0 for a follower, after the end of the lease, and for a stale snapshot."""
    assert 'is_leader{member_id="prometheus-0"} 0.0' in exposed(snapshot, age_s)


def test_a_stale_snapshot_exposes_only_totals_and_its_age() -> None:
    """For a stale snapshot, current values are omitted; totals and the age are exposed."""
    text = exposed(leading(**RICH), age_s=60.0)
    for name in (
        "config_valid",
        "lease_expires_in_seconds",
        "child_open_fds",
        "pod_has_label",
        "targets_queue_connected",
        "targets_groups",
        "targets_members",
    ):
        assert f"prometheus_elector_{name}" not in text, name
    assert 'prometheus_elector_targets_last_success_time_seconds{file="/t.json"} 1.5e+09' in text
    assert "prometheus_elector_snapshot_age_seconds 60.0" in text
    assert "prometheus_elector_notifier_calls_total 3.0" in text


def test_an_unknown_pod_label_is_not_exposed() -> None:
    """If the state of the pod's label is unknown, its metric is omitted."""
    assert "_pod_has_label 0.0" in exposed(replace(FOLLOWER, pod_is_labelled=False))
    assert "_pod_has_label" not in exposed(replace(FOLLOWER, pod_is_labelled=None))


def test_unknown_transitions_are_not_exposed() -> None:
    """Unknown lease transitions are omitted.

    A 0 before the first read would look like a reset, and then an increase.
    """
    text = exposed(replace(FOLLOWER, lease_transitions=None))
    assert "lease_transitions_total" not in text


def test_file_names_may_have_any_bytes() -> None:
    """A file name may have any bytes; two such names stay distinct."""
    feeds = [{**RICH["targets"]["feeds"][0], "file": f"/caf{byte}.json"} for byte in "\udce8\udce9"]
    text = exposed(leading(**RICH | {"targets": {**RICH["targets"], "feeds": feeds}}))
    assert r'targets_groups{file="/caf\\udce8.json"} 2.0' in text
    assert r'targets_groups{file="/caf\\udce9.json"} 2.0' in text


def test_without_a_snapshot_the_age_is_infinite() -> None:
    """Before the first snapshot, the age is infinite, and no role is exposed."""
    text = exposed(None)
    assert "prometheus_elector_snapshot_age_seconds +Inf" in text
    assert "is_leader" not in text


def test_a_stale_snapshot_exposes_totals_and_marks_of_the_gate() -> None:
    """For a stale snapshot, the gate's totals and marks are exposed, and no current values."""
    stale = exposed(leading(**RICH), age_s=60.0)
    for name in ("open ", "clock_offset", "held_bytes", "held_since", "behind"):
        assert f"\nprometheus_elector_gate_{name}" not in stale, name
    assert 'gate_mark_timestamp_seconds{remote_name="store"}' in stale
    assert 'gate_requests_total{outcome="held",remote_name="store"} 3.0' in stale


def test_without_a_gate_there_are_no_metrics_of_one() -> None:
    """Without a gate, its metrics are omitted, so that alerts do not fire."""
    assert "prometheus_elector_gate_" not in exposed(leading(**RICH | {"gate": {}}))


def test_unknown_values_of_a_gate_are_omitted() -> None:
    """Unknown values of a gate are omitted; its counters begin at 0."""
    text = exposed(leading(**RICH | {"gate": FRESH_GATE}))
    lines = [x for x in text.splitlines() if x.startswith("prometheus_elector_gate_")]
    for name in ("clock_offset", "held_since", "mark", "behind"):
        assert not any(name in line for line in lines), name
    assert 'prometheus_elector_gate_held_bytes{remote_name="store"} 0.0' in lines
    assert (
        'prometheus_elector_gate_samples_rejected_total{reason="final",remote_name="store"} 0.0'
        in lines
    )


def test_the_gates_counters_are_all_exposed() -> None:
    """Each counter of the gate is exposed exactly once."""
    text = exposed(leading(**RICH))
    values = set(
        re.findall(r"^prometheus_elector_gate_\w+_total\{.*\} (\d+)\.0$", text, re.MULTILINE)
    )
    assert values == {str(number) for number in range(1, len(COUNTERS) + 1)}


def test_an_invalid_configuration_is_exposed() -> None:
    """config_valid is 0 while the configuration is invalid."""
    text = exposed(replace(FOLLOWER, configuration_is_valid=False))
    assert "prometheus_elector_config_valid 0.0" in text


def test_config_valid_is_omitted_without_a_rendering() -> None:
    """If Prometheus reads its own file, config_valid is omitted."""
    assert "prometheus_elector_config_valid" not in exposed(replace(FOLLOWER, written_role=""))


@pytest.mark.parametrize(
    ("tell", "least_s"),
    [
        (leading, LEASE_LEFT_S - 5),
        (following, LEASE_LEFT_S - 5),
        (lambda: following(lease_expires_at=clock.now() - 9), 0.0),
    ],
    ids=["own", "another's", "run out"],
)
def test_the_lease_shows_its_remaining_time(tell: Callable[[], Snapshot], least_s: float) -> None:
    """The remaining time of the lease is exposed, and is never negative."""
    lines = exposed(tell()).splitlines()
    (line,) = (x for x in lines if x.startswith("prometheus_elector_lease_expires_in_seconds "))
    assert least_s <= float(line.split()[1]) <= least_s + 5


@pytest.mark.parametrize("snapshot", [FOLLOWER, leading(election="none")])
def test_without_a_lease_there_is_no_remaining_time(snapshot: Snapshot) -> None:
    """Without a holder, or without an election, the remaining time is omitted."""
    assert "lease_expires_in_seconds" not in exposed(snapshot)


def test_the_deadline_is_the_remaining_time_by_the_wall_clock() -> None:
    """The deadline of the lease is the wall time plus the remaining time."""
    lines = dict(x.rsplit(" ", 1) for x in exposed(leading()).splitlines() if x[0] != "#")
    at = float(lines["prometheus_elector_lease_deadline_timestamp_seconds"])
    left = float(lines["prometheus_elector_lease_expires_in_seconds"])
    assert abs(at - left - clock.wall()) < 5


@pytest.mark.parametrize("name", ["leader_known", "leaderless_seconds", "lease_duration_seconds"])
def test_election_metrics_are_omitted_without_an_election(name: str) -> None:
    """Without an election, the metrics of the election are omitted."""
    assert f"prometheus_elector_{name}" not in exposed(leading(election="none"))


def test_unknown_remote_write_is_omitted() -> None:
    """If it is unknown whether a remote_write is loaded, the metric is omitted."""
    assert "remote_write_loaded" not in exposed(FOLLOWER)


def test_config_loaded_is_0_for_another_rendering() -> None:
    """config_loaded is 0 if Prometheus has not loaded the rendering of its role."""
    assert "config_loaded 0.0" in exposed(leading(**RICH | {"loaded_fingerprint": "f" * 64}))


@pytest.mark.parametrize(
    ("snapshot", "known"), [(leading(), 1.0), (following(), 1.0), (FOLLOWER, 0.0)]
)
def test_leader_known_is_exposed(snapshot: Snapshot, known: float) -> None:
    """leader_known is 1 if this or another replica leads, and 0 if the lease has no holder."""
    assert f"prometheus_elector_leader_known {known}" in exposed(snapshot)


def test_a_holder_that_does_not_renew_is_exposed() -> None:
    """lease_holder_overdue is 1 if the holder has long not renewed its lease."""
    lines = exposed(following(holder_is_overdue=True)).splitlines()
    assert "prometheus_elector_lease_holder_overdue 1.0" in lines


def test_both_formats_have_the_same_metrics() -> None:
    """The text format and OpenMetrics have the same metric families."""
    text = exposed(leading(**RICH))
    openmetrics = exposed(leading(**RICH), accept="application/openmetrics-text; version=1.0.0")
    found = {family.name for family in parse_openmetrics(openmetrics)}  # type: ignore[no-untyped-call]
    assert found == {family.name for family in parse_text(text)}


@pytest.mark.parametrize(
    "accept",
    ["application/openmetrics-text; version=x", "text/plain;version=1..0;escaping=", ";;=,"],
)
def test_an_invalid_accept_header_gets_the_text_format(accept: str) -> None:
    """A client with an invalid Accept header gets the text format."""
    families = {each.name for each in parse_text(exposed(FOLLOWER, accept=accept))}
    assert families == {each.name for each in parse_text(exposed(FOLLOWER))}


def test_unusual_methods_do_not_become_labels() -> None:
    """Unknown methods share one label value, so that clients cannot add series."""
    figures = ProxyCounters()
    for method in (b"GET", b"BREW", b"WHEN"):
        figures.begin()
        figures.end(200, method, "local")
    totals = figures.totals()
    assert totals.requests == {
        CountedRequest(200, "GET", "local"): 1,
        CountedRequest(200, "other", "local"): 2,
    }
    assert totals.in_flight == 0


@pytest.mark.parametrize("with_runtime", [False, True])
def test_runtime_metrics_are_exposed_on_request(with_runtime: bool) -> None:
    """Metrics of the Python process are exposed only with --runtime-metrics."""
    text = exposed(FOLLOWER, with_runtime=with_runtime)
    assert ("process_resident_memory_bytes" in text) is with_runtime
    assert ("python_info" in text) is with_runtime
