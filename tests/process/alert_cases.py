"""Test cases for the alert rules: two healthy replicas, and the changes that make an alert fire.

Values are in promtool's notation, one for each 15 s, beginning at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

STEP_S = 15
STEPS = 120 * 4  # two hours
LEADER, FOLLOWER = "prometheus-0", "prometheus-1"
FETCHED = "/targets/promgen.json"
Values = dict[str, str]  # by the name of a series and its own labels
GATE_MEMORY = 64 << 20
HELD_BYTES = 'gate_held_bytes{remote_name="store"}'
HELD_BATCHES = 'gate_held_batches{remote_name="store"}'
MARK = 'gate_mark_timestamp_seconds{remote_name="store"}'
BEHIND = 'gate_behind_seconds{remote_name="store"}'
REJECTED = 'gate_samples_rejected_total{reason="final",remote_name="store"}'
REJECTED_KNOWN = 'gate_samples_rejected_total{reason="known",remote_name="store"}'
UNCONFIRMED = 'gate_samples_unconfirmed_total{remote_name="store"}'


def steady(value: float) -> str:
    """Return a series whose value stays the same."""
    return f"{float(value)}+0x{STEPS}"


def growing(by: float) -> str:
    """Return a counter that grows by the same amount at every step."""
    return f"0+{by}x{STEPS}"


GONE = "_"  # no sample at all
AT_10 = 40  # steps: after ten minutes, so that every range has samples


def then(first: str, steps: int, second: str) -> str:
    """Return a series with the first value for this many steps, and then the second value."""
    return f"{first}x{steps - 1} {second}x{STEPS - steps}"


def healthy(pod: str, *, leads: bool) -> Values:
    """Return the series that a healthy replica and its Prometheus expose."""
    ours: Values = {
        "build_info": steady(1),
        "snapshot_age_seconds": steady(0.2),
        f'election_is_leader{{member_id="{pod}"}}': steady(leads),
        "start_time_seconds": steady(1e9),
        "may_write": steady(leads),
        "leader_known": steady(1),
        "leaderless_seconds_total": steady(3),
        "lease_expires_in_seconds": steady(9 if leads else 14),
        "lease_holder_overdue": steady(0),
        "lease_duration_seconds": steady(15),
        "lease_renew_deadline_seconds": steady(10),
        'lease_errors_total{reason="timeout"}': steady(2),
        "lease_transitions_total": steady(7),
        "config_valid": steady(1),
        "config_loaded": steady(1),
        "config_write_failures_total": steady(2),
        "fencing_kills_total": steady(0),
        "child_ready": steady(1),
        "child_healthy": steady(1),
        f'targets_last_success_time_seconds{{file="{FETCHED}"}}': growing(STEP_S),
        "targets_queue_unannounced_changes": "0+0x39 1+0x3 0+0x900",
        **gate(leads=leads),
    }
    values = {f"prometheus_elector_{name}": value for name, value in ours.items()}
    return {**values, **(writing() if leads else {}), "up": steady(1)}


def gate(*, leads: bool) -> Values:
    """Return the series of a replica's gate, which is open or holds the last seconds."""
    return {
        "gate_open": steady(leads),
        "gate_restarts_total": steady(2),
        "gate_memory_limit_bytes": steady(GATE_MEMORY),
        **({} if leads else {"gate_clock_offset_seconds": steady(-0.3)}),
        'gate_held_bytes{remote_name="other"}': steady(0 if leads else 1000),
        HELD_BYTES: steady(0 if leads else 400_000),
        HELD_BATCHES: steady(0 if leads else 20),
        MARK: growing(STEP_S),
        BEHIND: steady(4),
        REJECTED_KNOWN: growing(1),
        REJECTED: steady(3),
        UNCONFIRMED: steady(1),
    }


def writing() -> Values:
    """Return the series of a Prometheus whose remote_write works."""
    own = '{remote_name="store",url="http://store/write"}'
    return {
        f"prometheus_remote_storage_samples_failed_total{own}": steady(3),
        f"prometheus_remote_storage_samples_pending{own}": steady(40),
        f"prometheus_remote_storage_histograms_failed_total{own}": steady(3),
        f"prometheus_remote_storage_histograms_pending{own}": steady(0),
        f"prometheus_remote_storage_bytes_total{own}": growing(1000),
    }


def without_election() -> Values:
    """Return the series of a replica that always leads, because it has no election."""
    return without("lease", "leader", "targets", "gate", of=healthy("alone", leads=True))


def without(*names: str, of: Values) -> Values:
    """Return the series without those whose names begin with one of these names."""
    begins = tuple(map(_full, names))
    return {name: value for name, value in of.items() if not name.startswith(begins)}


def _full(name: str) -> str:
    return f"prometheus_elector_{name}"


def ending(values: Values, **after: str) -> Values:
    """Return series that all end after ten minutes, and the series in ``after``."""
    ends = {key: f"{value.rpartition('x')[0]}x{AT_10 - 1} stale" for key, value in values.items()}
    return ends | after


@dataclass(frozen=True)
class Case:
    """The condition under which an alert fires: the earliest second, and the labels.

    ``leader`` and ``follower`` are the values that differ from a healthy pair's; names are without
    ``prometheus_elector_`` where they have it. All times but those of a case with
    ``open_range_earlier_s`` hold whether or not a range includes the sample at its left end.
    """

    alert: str
    fires_at_s: int
    leader: Values = field(default_factory=dict)
    follower: Values = field(default_factory=dict)
    severity: str = "warning"
    of: str = ""  # the pod that the alert names; empty: it is about the whole election
    labels: dict[str, str] = field(default_factory=dict)
    why: str = ""
    still_at_s: int = 0  # a later time at which it fires as well
    over_at_s: int = 0  # a time at which it no longer fires; 0: this is not tested
    open_range_earlier_s: int = (
        0  # from Prometheus 3.0 on it fires this much earlier, because ranges are left-open
    )

    def __str__(self) -> str:
        return f"{self.alert}{' ' if self.why else ''}{self.why}"


@dataclass(frozen=True)
class Quiet:
    """A condition under which an alert must never fire."""

    alert: str
    why: str
    leader: Values = field(default_factory=dict)
    follower: Values = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.alert} {self.why}"


MINUTE = 60
LEADS = f'election_is_leader{{member_id="{LEADER}"}}'
FOLLOWS = f'election_is_leader{{member_id="{FOLLOWER}"}}'
STORE = '{remote_name="store",url="http://store/write"}'
FAILED = f"prometheus_remote_storage_samples_failed_total{STORE}"
SENT = f"prometheus_remote_storage_bytes_total{STORE}"
PENDING = f"prometheus_remote_storage_samples_pending{STORE}"
HISTOGRAMS_FAILED = f"prometheus_remote_storage_histograms_failed_total{STORE}"
HISTOGRAMS_PENDING = f"prometheus_remote_storage_histograms_pending{STORE}"
BY_STORE = {"remote_name": "store"}
TO_STORE = {"remote_name": "store", "url": "http://store/write"}
FETCHES = f'targets_last_success_time_seconds{{file="{FETCHED}"}}'
TIMEOUTS = 'lease_errors_total{reason="timeout"}'
FALLS = steady(0)
LEADING, FOLLOWING = healthy(LEADER, leads=True), healthy(FOLLOWER, leads=False)
STOPS_ANSWERING = then("1+0", AT_10, "0+0")
EVERY_THREE_MINUTES = "2+0x39 3+0x11 4+0x11 5+0x11 6+0x11 7+0x11"

CASES = (
    Case(
        "PrometheusElectorNobodyLeads",
        10 * MINUTE + 30,
        {LEADS: then("1+0", AT_10, "0+0"), "leader_known": then("1+0", AT_10, "0+0")},
        {"leader_known": then("1+0", AT_10, "0+0")},
        severity="critical",
    ),
    Case(
        "PrometheusElectorHolderOverdue",
        10 * MINUTE,
        {},
        {"lease_holder_overdue": then("0+0", AT_10, "1+0")},
        severity="critical",
    ),
    Case("PrometheusElectorLeaderNotSeen", 5 * MINUTE, {LEADS: steady(0)}),
    Case(
        "PrometheusElectorTimeWithoutLeader",
        10 * MINUTE + STEP_S,
        {"leaderless_seconds_total": "3+0x39 43 53+0x900"},
        {"leaderless_seconds_total": "5+0x39 45 55+0x900"},
        still_at_s=24 * MINUTE,
        over_at_s=25 * MINUTE,
    ),
    Case(
        "PrometheusElectorTimeWithoutLeader",
        20 * MINUTE,
        {"leaderless_seconds_total": "3+0x39 20+0x19 40+0x19 60+0x900"},
        {"leaderless_seconds_total": "3+0x39 20+0x19 40+0x19 60+0x900"},
        why="in several gaps",
    ),
    Case("PrometheusElectorTwoLeaders", 2 * MINUTE, {}, {FOLLOWS: steady(1)}, severity="critical"),
    Case(
        "PrometheusElectorTwoWriters", 2 * MINUTE, {}, {"may_write": steady(1)}, severity="critical"
    ),
    Case(
        "PrometheusElectorFlapping",
        10 * MINUTE + 33 * STEP_S,
        {"lease_transitions_total": "7+0x39 8+0x10 9+0x10 10+0x10 11+0x900"},
        {"lease_transitions_total": "7+0x39 8+0x10 9+0x10 10+0x10 11+0x900"},
        still_at_s=24 * MINUTE,
        over_at_s=25 * MINUTE,
    ),
    Case(
        "PrometheusElectorNoStandby", 15 * MINUTE, {}, {"child_ready": steady(0)}, why="not ready"
    ),
    Case("PrometheusElectorNoStandby", 15 * MINUTE, {}, {"child_ready": GONE}, why="not there"),
    Case(
        "PrometheusElectorNoStandby",
        15 * MINUTE,
        {"child_healthy": steady(0)},
        {"child_ready": steady(0)},
        why="nobody at all",
    ),
    Case(
        "PrometheusElectorLeaseNearItsEnd",
        10 * MINUTE,
        {"lease_expires_in_seconds": "9+0x39 3.9 9+0x900"},
        of=LEADER,
        still_at_s=19 * MINUTE,
        over_at_s=21 * MINUTE,
    ),
    Case(
        "PrometheusElectorLeaseOutOfReach",
        10 * MINUTE + 5 * MINUTE,
        {},
        {TIMEOUTS: EVERY_THREE_MINUTES},
        of=FOLLOWER,
        labels={"reason": "timeout"},
    ),
    Case(
        "PrometheusElectorLeaderCannotWrite",
        10 * MINUTE + 5 * MINUTE,
        {FAILED: EVERY_THREE_MINUTES},
        severity="critical",
        of=LEADER,
        labels=TO_STORE,
        why="refused",
    ),
    Case(
        "PrometheusElectorLeaderCannotWrite",
        # The last samples that were sent are in the range for five minutes more.
        10 * MINUTE + 5 * MINUTE - STEP_S + 5 * MINUTE,
        {SENT: then("0+1000", AT_10, "39000+0"), PENDING: steady(1)},
        severity="critical",
        of=LEADER,
        labels=TO_STORE,
        why="no answer",
        still_at_s=119 * MINUTE,
        open_range_earlier_s=STEP_S,
    ),
    Case(
        "PrometheusElectorLeaderCannotWrite",
        STEP_S + 5 * MINUTE,
        {FAILED: growing(500), SENT: growing(1000), PENDING: steady(40)},
        severity="critical",
        of=LEADER,
        labels=TO_STORE,
        why="answered without counts of what was stored",
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorLeaderCannotWrite",
        10 * MINUTE + 5 * MINUTE,
        {HISTOGRAMS_FAILED: EVERY_THREE_MINUTES},
        severity="critical",
        of=LEADER,
        labels=TO_STORE,
        why="native histograms refused",
    ),
    Case(
        "PrometheusElectorLeaderCannotWrite",
        STEP_S + 5 * MINUTE,
        {SENT: steady(5000), PENDING: steady(0), HISTOGRAMS_PENDING: steady(1)},
        severity="critical",
        of=LEADER,
        labels=TO_STORE,
        why="no answer to native histograms",
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorGateReceiverBehind",
        10 * MINUTE + 5 * MINUTE,
        {BEHIND: then("4+0", AT_10, "301+0")},
        of=LEADER,
        labels=BY_STORE,
    ),
    Case(
        "PrometheusElectorGateMarkNotMoving",
        # The mark last moved one step before. After 5 min without a change, the alert waits 5 min.
        10 * MINUTE - STEP_S + 5 * MINUTE + 5 * MINUTE,
        {},
        {MARK: then("0+15", AT_10, "585+0")},
        of=FOLLOWER,
        labels=BY_STORE,
        why="any more",
    ),
    Case(
        "PrometheusElectorGateMarkNotMoving",
        5 * MINUTE,
        {},
        {MARK: GONE},
        of=FOLLOWER,
        labels=BY_STORE,
        why="since none was ever learnt",
    ),
    Case(
        "PrometheusElectorGateMemoryNearlyFull",
        10 * MINUTE + 15 * MINUTE,
        {},
        {
            HELD_BYTES: then("0+0", AT_10, f"{0.5 * GATE_MEMORY}+0"),
            'gate_held_bytes{remote_name="other"}': steady(0.41 * GATE_MEMORY),
        },
        of=FOLLOWER,
    ),
    Case(
        "PrometheusElectorGateSamplesLost",
        10 * MINUTE,
        {REJECTED: then("3+0", AT_10, "5+0")},
        of=LEADER,
        labels=BY_STORE,
        why="because they were refused",
        still_at_s=24 * MINUTE,
        over_at_s=25 * MINUTE,
    ),
    Case(
        "PrometheusElectorGateSamplesLost",
        10 * MINUTE,
        {UNCONFIRMED: then("1+0", AT_10, "2+0")},
        of=LEADER,
        labels=BY_STORE,
        why="because they were not counted",
        still_at_s=24 * MINUTE,
        over_at_s=25 * MINUTE,
    ),
    Case(
        "PrometheusElectorGateClocksDiffer",
        10 * MINUTE + 5 * MINUTE,
        {},
        {"gate_clock_offset_seconds": then("0.3+0", AT_10, "-15.1+0")},
        of=FOLLOWER,
    ),
    Case(
        "PrometheusElectorGateRestarts",
        12 * MINUTE,
        {},
        {"gate_restarts_total": "2+0x39 3+0x3 4+0x3 5+0x900"},
        of=FOLLOWER,
        still_at_s=69 * MINUTE,
        over_at_s=70 * MINUTE,
    ),
    Case(
        "PrometheusElectorConfigurationInvalid",
        MINUTE,
        {},
        {"config_valid": FALLS},
        of=FOLLOWER,
    ),
    Case("PrometheusElectorReloadNotConfirmed", 2 * MINUTE, {"config_loaded": FALLS}, of=LEADER),
    Case(
        "PrometheusElectorConfigurationNotWritten",
        10 * MINUTE,
        {"config_write_failures_total": then("2+0", AT_10, "3+0")},
        of=LEADER,
        still_at_s=19 * MINUTE,
        over_at_s=20 * MINUTE,
    ),
    Case(
        "PrometheusElectorTargetsStale",
        10 * MINUTE + STEP_S + 5 * MINUTE,
        {FETCHES: steady(0)},
        of=LEADER,
        labels={"file": FETCHED},
    ),
    Case(
        "PrometheusElectorTargetsQueueSilent",
        10 * MINUTE + 5 * MINUTE,
        {"targets_queue_unannounced_changes": then("0+0", AT_10, "3+0")},
        of=LEADER,
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorSupervisorSilent",
        MINUTE,
        {},
        {"snapshot_age_seconds": steady(float("inf"))},
        severity="critical",
        of=FOLLOWER,
        why="from its start",
    ),
    Case(
        "PrometheusElectorSupervisorSilent",
        MINUTE,
        {},
        {"snapshot_age_seconds": steady(10.5)},
        severity="critical",
        of=FOLLOWER,
        why="now",
    ),
    Case(
        "PrometheusElectorNoReplicaAnswers",
        10 * MINUTE + 2 * MINUTE,
        ending(LEADING, up=STOPS_ANSWERING),
        ending(FOLLOWING, up=STOPS_ANSWERING),
        severity="critical",
        why="though they are targets",
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorNoReplicaAnswers",
        10 * MINUTE + 2 * MINUTE,
        ending(LEADING),
        ending(FOLLOWING),
        severity="critical",
        why="since they are no targets any more",
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorReplicaDown",
        10 * MINUTE + 5 * MINUTE,
        {},
        ending(FOLLOWING, up=STOPS_ANSWERING),
        of=FOLLOWER,
        still_at_s=119 * MINUTE,
    ),
    Case(
        "PrometheusElectorFenced",
        10 * MINUTE,
        {"fencing_kills_total": f"0+0x{AT_10 - 1} 1 stale"},
        of=LEADER,
        still_at_s=24 * MINUTE,
        over_at_s=26 * MINUTE,
    ),
    Case(
        "PrometheusElectorRestarts",
        12 * MINUTE,
        {},
        {"start_time_seconds": "1+0x39 2+0x3 3+0x3 4+0x900"},
        of=FOLLOWER,
        still_at_s=69 * MINUTE,
        over_at_s=70 * MINUTE,
    ),
    Case("PrometheusElectorPrometheusNotReady", 30 * MINUTE, {"child_healthy": FALLS}, of=LEADER),
)

# States that are just below a threshold, or harmless.
QUIET = (
    Quiet(
        "PrometheusElectorNobodyLeads",
        "when the leader's own supervisor is silent, but a follower knows it",
        {LEADS: FALLS, "leader_known": GONE},
    ),
    Quiet(
        "PrometheusElectorNobodyLeads",
        "when a hand-over takes half a minute by the scrapes",
        {"leader_known": "1+0x39 0 0 1+0x900"},
        {"leader_known": "1+0x39 0 0 1+0x900"},
    ),
    Quiet(
        "PrometheusElectorLeaderNotSeen",
        "when nobody leads",
        {LEADS: FALLS, "leader_known": FALLS},
        {"leader_known": FALLS},
    ),
    Quiet(
        "PrometheusElectorTimeWithoutLeader",
        "when a replica that starts has not seen the leader yet",
        {},
        {"leaderless_seconds_total": then("0+0", AT_10, "100+0")},
    ),
    Quiet(
        "PrometheusElectorTwoLeaders",
        "when the two are scraped before and after a hand-over",
        {LEADS: "1+0x40 0+0x900"},
        {FOLLOWS: "0+0x35 1+0x900"},
    ),
    Quiet(
        "PrometheusElectorFlapping",
        "when there are three hand-overs in fifteen minutes",
        {"lease_transitions_total": "7+0x39 8+0x3 9+0x3 10+0x900"},
        {"lease_transitions_total": "7+0x39 8+0x3 9+0x3 10+0x900"},
    ),
    Quiet(
        "PrometheusElectorLeaseNearItsEnd",
        "when a follower sees the lease of another that vanished",
        {},
        {"lease_expires_in_seconds": "14+0x39 0 14+0x900"},
    ),
    Quiet(
        "PrometheusElectorLeaseNearItsEnd",
        "when two renewals were late",
        {"lease_expires_in_seconds": "9+0x39 4.1 9+0x900"},
    ),
    Quiet(
        "PrometheusElectorLeaseOutOfReach",
        "when one request fails",
        {TIMEOUTS: then("2+0", AT_10, "3+0")},
    ),
    Quiet(
        "PrometheusElectorLeaderCannotWrite",
        "when all that can be sent has been, and nothing waits",
        {SENT: steady(5000), PENDING: steady(0)},
    ),
    Quiet(
        "PrometheusElectorLeaderCannotWrite",
        "when it writes to nobody because it does not lead",
        {FAILED: growing(1), "may_write": FALLS},
    ),
    Quiet(
        "PrometheusElectorLeaderCannotWrite",
        "when one batch is refused",
        {FAILED: then("3+0", AT_10, "503+0")},
    ),
    Quiet(
        "PrometheusElectorGateReceiverBehind",
        "when a receiver of the leader is just less behind, or a standby knows of an old mark only",
        {BEHIND: steady(300)},
        {BEHIND: steady(900)},
    ),
    Quiet(
        "PrometheusElectorGateReceiverBehind",
        "when a new leader catches up within five minutes",
        {BEHIND: "4+0x39 900-30x20 4+0x900"},
    ),
    Quiet(
        "PrometheusElectorGateMarkNotMoving",
        "where nothing is held, or the gate is open",
        {MARK: steady(1), HELD_BATCHES: steady(20)},
        {MARK: steady(1), HELD_BATCHES: steady(0)},
    ),
    Quiet(
        "PrometheusElectorGateMarkNotMoving",
        "while nobody leads",
        {MARK: steady(1), "gate_open": FALLS, HELD_BATCHES: steady(20), "leader_known": FALLS},
        {MARK: steady(1), "leader_known": FALLS},
    ),
    Quiet(
        "PrometheusElectorGateMarkNotMoving",
        "when it moves every four minutes",
        {},
        {MARK: "0+0x15 240+0x15 480+0x15 720+0x15 960+0x15 1200+0x15 1440+0x15 1680+0x15"},
    ),
    Quiet(
        "PrometheusElectorGateMemoryNearlyFull",
        "when the leader sends what it held, or a standby has some left",
        {HELD_BYTES: steady(GATE_MEMORY)},
        {HELD_BYTES: steady(0.89 * GATE_MEMORY)},
    ),
    Quiet(
        "PrometheusElectorGateMemoryNearlyFull",
        "when a standby is full for ten minutes",
        {},
        {HELD_BYTES: f"0+0x39 {GATE_MEMORY}+0x39 0+0x900"},
    ),
    Quiet(
        "PrometheusElectorGateSamplesLost",
        "when the receiver had the samples",
        {REJECTED_KNOWN: then("3+0", AT_10, "500+0")},
    ),
    Quiet(
        "PrometheusElectorGateClocksDiffer",
        "when they differ by a scrape interval",
        {},
        {"gate_clock_offset_seconds": steady(15)},
    ),
    Quiet(
        "PrometheusElectorGateRestarts",
        "when it is restarted twice",
        {"gate_restarts_total": "2+0x39 3+0x3 4+0x900"},
    ),
    Quiet(
        "PrometheusElectorReloadNotConfirmed",
        "while Prometheus is still reading its log",
        {"config_loaded": FALLS, "child_ready": FALLS},
    ),
    Quiet(
        "PrometheusElectorTargetsStale",
        "when they are fetched every ten minutes",
        {FETCHES: "0+0x39 600+0x39 1200+0x39 1800+0x39 2400+0x39"},
    ),
    Quiet(
        "PrometheusElectorTargetsQueueSilent",
        "when two changes are found without a message",
        {"targets_queue_unannounced_changes": then("0+0", AT_10, "2+0")},
    ),
    Quiet(
        "PrometheusElectorTargetsQueueSilent",
        "when the third is found just before its message comes",
        {"targets_queue_unannounced_changes": "0+0x39 3+0x18 0+0x900"},
    ),
    Quiet(
        "PrometheusElectorSupervisorSilent",
        "when it is slow",
        {"snapshot_age_seconds": steady(10)},
    ),
    Quiet(
        "PrometheusElectorNoReplicaAnswers",
        "where one answers",
        ending(LEADING, up=STOPS_ANSWERING),
    ),
    Quiet(
        "PrometheusElectorNoReplicaAnswers",
        "when all are started again within two minutes",
        ending(LEADING),
        {"build_info": f"1+0x{AT_10 - 1} stale _x6 1+0x900"},
    ),
    Quiet(
        "PrometheusElectorRestarts",
        "when a replica is restarted twice",
        {"start_time_seconds": "1+0x39 2+0x3 3+0x900"},
    ),
)


def series(namespace: str, job: str, pod: str, values: Values) -> Iterator[dict[str, str]]:
    """Yield promtool's input for one replica."""
    target = f'namespace="{namespace}",job="{job}",pod="{pod}",instance="{pod}:9095"'
    for key, value in values.items():
        if value == GONE:
            continue
        name, _, own = key.partition("{")
        labels = f"{target},{own.removesuffix('}')}" if own else target
        yield {"series": f"{name}{{{labels}}}", "values": value}
