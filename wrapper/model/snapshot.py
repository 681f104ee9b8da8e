"""The snapshot: what the supervisor tells the web process, as one value; shapes only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wrapper.model.roles import Cause, Role

NOBODY, NOT_KNOWN = "nobody", "not known"


def named(leader: str | None) -> str:
    """Return a leader's name for people: "" is nobody, None is not known."""
    return NOT_KNOWN if leader is None else leader or NOBODY


LONGEST_HISTORY_S = 7 * 86400.0  # older entries are neither kept nor drawn


class HandOver(NamedTuple):
    """A change of the leader as this replica saw it; "" is nobody, None is not known."""

    time: float
    leader: str | None
    previous: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The supervisor's state as of ``stamped_at``; all values can be written as JSON.

    ``leads_until_at`` is when leadership ends unless renewed, None if this replica does not lead.
    ``prometheus_url`` is this replica's own Prometheus, ``holder_url`` the leader's if the lease
    has it. ``configuration_time`` is when the status of the configuration last changed,
    ``wanted_fingerprint`` is of the rendering that this replica should load;
    ``configuration_problem`` has a line for each problem. ``pod_is_labelled`` is None if the pod is
    not labelled, or the label is not known. ``counters`` are totals since the supervisor started,
    by metric name; ``usage`` is the child's last measured resource usage. ``targets`` has a mapping
    for each fetched file (``feeds``), and for the broker's queue, if any (``queue``): the fields of
    ``FeedState`` and ``QueueState``. ``gate`` has ``is_open``, ``pid``, ``has_handed_over``,
    ``is_handing_over``, ``memory_bytes``, ``clock_offset_s``, ``restarts``, ``problem`` and
    ``endpoints``: for each the fields of ``EndpointReport``, and its ``url`` without secrets.
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
    lease_transitions: int
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

    # ``remote_write_is_loaded`` is None if not known; ``history`` begins with the oldest.
    cause: Cause = Cause.LOST
    start_time: float = 0.0
    lease_duration_s: float = 0.0
    lease_renew_deadline_s: float = 0.0
    remote_write_is_loaded: bool | None = None
    history: tuple[HandOver, ...] = ()
    paused_until_time: float | None = None
    needs_restart: bool = False  # only a restart ends ``lease_problem``: liveness fails
    holder_is_overdue: bool = False  # it stopped renewing a lease that expires only much later
    failure: str = ""  # why this program stops without a request: liveness fails
    gate: Mapping[str, Any] = field(default_factory=dict)  # the gate's state; empty without one

    def leads(self, now: float) -> bool:
        """Tell whether this replica leads at ``now``, by the snapshot's lease."""
        return self.leads_until_at is not None and now < self.leads_until_at
