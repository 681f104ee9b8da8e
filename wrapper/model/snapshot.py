"""The snapshot: the state that the supervisor publishes to the web process; data types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wrapper.model.roles import Cause, Role

NOBODY, NOT_KNOWN = "nobody", "not known"


def named(leader: str | None) -> str:
    """Return the leader's name to show; ``leader`` is "" for nobody, None if not known."""
    return NOT_KNOWN if leader is None else leader or NOBODY


LONGEST_HISTORY_S = 7 * 86400.0  # older entries are dropped, and the status page omits them


class HandOver(NamedTuple):
    """A change of the leader as this replica saw it.

    ``time`` is wall time. A leader is "" for nobody, None if not known.
    """

    time: float
    leader: str | None
    previous: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The supervisor's state at the time ``stamped_at``; all values can be written as JSON.

    Fields that end in ``_at`` are times on CLOCK_BOOTTIME; those in ``_time`` are wall time.

    - ``leads_until_at``: when leadership ends unless the lease is renewed; None if this replica
      does not lead.
    - ``prometheus_url``: the URL of this replica's own Prometheus.
    - ``holder_url``: the URL of the leader's Prometheus, "" if the lease does not have it.
    - ``lease_transitions``: None until the lease has been read.
    - ``configuration_problem``: one line for each problem.
    - ``configuration_time``: when the status of the configuration last changed.
    - ``wanted_fingerprint``: of the rendering that this replica should load.
    - ``pod_is_labelled``: None if this program does not label the pod, or the label is not known.
    - ``counters``: totals since the supervisor started, by metric name.
    - ``usage``: the last measured resource usage of the Prometheus process.
    - ``targets``: under ``feeds`` a mapping for each fetched file, with the fields of
      ``FeedState``; under ``queue`` the fields of ``QueueState``, if there is a message broker.
    - ``remote_write_is_loaded``: None if not known.
    - ``history``: the changes of the leader, the oldest first.
    - ``gate``: the gate's state, empty without a gate: ``is_open``, ``awaits_samples``, ``pid``,
      ``has_handed_over``, ``is_handing_over``, ``memory_bytes``, ``clock_offset_s``, ``restarts``,
      ``problem`` and ``endpoints``. Each endpoint has the fields of ``EndpointReport``, and its
      ``url`` without secrets.
    """

    stamped_at: float
    identity: str
    role: Role
    reason: str
    election: str
    is_ready: bool
    is_healthy: bool
    is_stopping: bool
    leads_until_at: float | None
    lease_expires_at: float | None
    holder: str
    holder_url: str
    lease_transitions: int | None
    lease_problem: str
    last_transition_time: float
    prometheus_url: str
    child_pid: int | None
    child_start_time: float | None
    configuration_is_valid: bool
    configuration_problem: str
    configuration_time: float
    follower_fingerprint: str
    leader_fingerprint: str
    wanted_fingerprint: str
    written_role: str
    written_fingerprint: str
    loaded_fingerprint: str
    may_write: bool
    pod_is_labelled: bool | None
    counters: Mapping[str, float]
    usage: Mapping[str, float]
    targets: Mapping[str, Any] = field(default_factory=dict)

    cause: Cause = Cause.LOST
    start_time: float = 0.0
    lease_duration_s: float = 0.0
    lease_renew_deadline_s: float = 0.0
    remote_write_is_loaded: bool | None = None
    history: tuple[HandOver, ...] = ()
    paused_until_time: float | None = None
    needs_restart: bool = False  # only a restart solves ``lease_problem``: liveness fails
    watch_problem: str = ""  # the lease can be used, but its changes are found late
    holder_is_overdue: bool = False  # it stopped renewing a lease that expires only much later
    failure: str = ""  # why this program stops without a request: liveness fails
    gate: Mapping[str, Any] = field(default_factory=dict)

    def leads(self, now: float) -> bool:
        """Return whether this replica leads at ``now``, according to ``leads_until_at``."""
        return self.leads_until_at is not None and now < self.leads_until_at
