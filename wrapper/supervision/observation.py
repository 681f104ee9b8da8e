"""What the supervisor knows, as one frozen value of named parts; pure.

A part that has rules of its own is a module of its own: there stands what it holds, and how that
changes. The whole changes in ``reducer`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wrapper.election.pod_label_state import PodLabel
from wrapper.model.roles import Role
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.fencing import Fencing
from wrapper.supervision.lease_state import LeaseState
from wrapper.supervision.leaving import Leaving
from wrapper.supervision.pending_requests import Asked
from wrapper.supervision.promotion import Promotion
from wrapper.supervision.rendered_file import RenderedFile
from wrapper.supervision.requested_reload import RequestedReload
from wrapper.supervision.targets_state import TargetsState
from wrapper.supervision.web_state import WebState
from wrapper.supervision.writer import Writer


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is known at one moment, and who this replica was decided to be since when.

    ``safe_since`` is since when the writer is surely closed. ``label`` is None where no
    label is kept.
    """

    configuration: ConfigurationState
    role_since: float
    role: Role = Role.FOLLOWER
    safe_since: float | None = None
    child: ChildState = field(default_factory=ChildState)
    fencing: Fencing = field(default_factory=Fencing)
    lease: LeaseState = field(default_factory=LeaseState)
    promotion: Promotion = field(default_factory=Promotion)
    leaving: Leaving = field(default_factory=Leaving)
    asked: Asked = field(default_factory=Asked)
    label: PodLabel | None = None
    web: WebState = field(default_factory=WebState)
    reload: RequestedReload = field(default_factory=RequestedReload)
    targets: TargetsState = field(default_factory=TargetsState)

    @property
    def writer(self) -> Writer:
        """What makes this replica's Prometheus a writer, as far as is known."""
        return RenderedFile(self.configuration, self.child, self.role, self.safe_since)

    @property
    def wants_evidence(self) -> bool:
        """Whether asking Prometheus what it has loaded would tell something new."""
        return self.configuration.loading.wants_evidence or self.reload.is_pending
