"""The observation: everything that the supervisor knows, as one immutable value; pure.

It consists of parts. A part that changes by its own rules is defined in its own module, with these
rules. The other parts are defined here. Only ``reducer`` creates a changed observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wrapper.election.pod_label_state import PodLabel
from wrapper.model.gate import Endpoint
from wrapper.model.lease import LeaseView
from wrapper.model.roles import Role
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.gate_writer import GateWriter
from wrapper.supervision.promotion_failures import Promotion
from wrapper.supervision.rendered_file import RenderedFile
from wrapper.supervision.requested_reload import RequestedReload
from wrapper.supervision.stop_requests import StopRequests
from wrapper.supervision.writer import AllWriters, Writer


@dataclass(frozen=True, slots=True)
class Fencing:
    """Whether Prometheus can be fenced, and the state of the dead-man's switch.

    ``obstacle`` is why killing Prometheus would not stop its writes: "" if it would, None before
    the check. ``switch_at`` is when the dead-man's switch kills, None while it is disarmed.
    """

    obstacle: str | None = None
    switch_at: float | None = None


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The elector's view of the lease, and what stays known after the lease is lost.

    ``last_renewed_at`` is the time of the last renewal, even if the lease was lost since.
    ``release_ordered_at`` is when the elector was last ordered to release the lease.
    """

    view: LeaseView = field(default_factory=LeaseView)
    last_renewed_at: float | None = None
    release_ordered_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this replica holds the lease, even if its leadership has expired."""
        return self.view.renewed_at is not None

    @property
    def may_be_held(self) -> bool:
        """Whether this replica holds the lease, or its last attempt to acquire it is unanswered.

        The next read shows whether that attempt has succeeded.
        """
        sent, is_unread = self.view.sent, self.view.seen is None
        return self.is_held or (is_unread and sent is not None and bool(sent.holder))


@dataclass(frozen=True, slots=True)
class PendingRequests:
    """What signals have requested since the last plan, except to stop or to step down.

    - ``configuration``: read the inputs again.
    - ``pause``: read the pause file.
    - ``signals``: forward these signals to Prometheus.
    """

    configuration: bool = False
    pause: bool = False
    signals: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WebState:
    """The web server: its process, and ``failures``: its successive exits soon after a start."""

    pid: int | None = None
    failures: int = 0
    started_at: float = 0.0
    exited_at: float | None = None
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True)
class TargetsState:
    """The last report on each fetched file, by its path, and on the message broker's queue."""

    feeds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    queue: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the supervisor knows at one time, and the role that the last plan decided.

    ``safe_since`` is since when the writer is known to be closed, None while it may write.
    ``label`` is None if this program does not label the pod; ``gate`` is None without a gate.
    """

    configuration: ConfigurationState
    role_since: float
    role: Role = Role.FOLLOWER
    safe_since: float | None = None
    child: ChildState = field(default_factory=ChildState)
    fencing: Fencing = field(default_factory=Fencing)
    lease: LeaseState = field(default_factory=LeaseState)
    promotion: Promotion = field(default_factory=Promotion)
    stopping: StopRequests = field(default_factory=StopRequests)
    pending: PendingRequests = field(default_factory=PendingRequests)
    label: PodLabel | None = None
    web: WebState = field(default_factory=WebState)
    gate: GateState | None = None
    reload: RequestedReload = field(default_factory=RequestedReload)
    targets: TargetsState = field(default_factory=TargetsState)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that the leader's Prometheus sends to through the gate."""
        return self.configuration.target(Role.LEADER).endpoints

    @property
    def rendered_file(self) -> RenderedFile:
        """The output file as a writer."""
        return RenderedFile(self.configuration, self.child, self.safe_since)

    @property
    def gate_writer(self) -> Writer | None:
        """The gate as a writer, None without one."""
        if self.gate is None:
            return None
        return GateWriter(self.gate, bool(self.endpoints), self.safe_since)

    @property
    def writer(self) -> Writer:
        """All writers of this replica, combined."""
        gate, file = self.gate_writer, self.rendered_file
        return file if gate is None else AllWriters((file, gate), self.safe_since)

    @property
    def wants_evidence(self) -> bool:
        """Whether to query what Prometheus has loaded."""
        return self.configuration.loading.wants_evidence or self.reload.is_pending
