"""The renderings of a configuration, and what Prometheus reports as loaded; data types only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wrapper.model.roles import Role

if TYPE_CHECKING:  # few have a gate, and a start should be quick
    from wrapper.model.gate import Endpoint


@dataclass(frozen=True, slots=True)
class Rendering:
    """The configuration of one role, as the bytes that Prometheus reads.

    - ``content``: the bytes.
    - ``fingerprint``: the SHA-256 of ``content``, in hex.
    - ``writes_remotely``: whether ``content`` has a non-empty ``remote_write``.
    - ``endpoints``: the receivers of those ``remote_write`` entries that are sent through the gate.
    - ``is_gated``: whether all ``remote_write`` entries are sent through the gate.
    """

    role: Role
    content: bytes = field(repr=False, compare=False)
    fingerprint: str
    writes_remotely: bool
    endpoints: tuple[Endpoint, ...] = field(default=(), repr=False, compare=False)
    is_gated: bool = False

    @property
    def writes_ungated(self) -> bool:
        """Whether Prometheus sends samples to a receiver directly, not through the gate."""
        return self.writes_remotely and not self.is_gated


@dataclass(frozen=True, slots=True)
class Renderings:
    """Both renderings of one version of the inputs."""

    follower: Rendering
    leader: Rendering

    def of(self, role: Role) -> Rendering:
        """Return the rendering of a role; without overrides, both roles use the follower's."""
        return self.leader if role is Role.LEADER and self.has_overrides else self.follower

    @property
    def has_overrides(self) -> bool:
        """Whether the leader's rendering differs from the follower's."""
        return self.leader.fingerprint != self.follower.fingerprint

    @property
    def needs_leader(self) -> bool:
        """Whether the replicas need a leader: it has overrides, or its gate has endpoints."""
        return self.has_overrides or bool(self.leader.endpoints)


@dataclass(frozen=True, slots=True)
class SavedRenderings:
    """The renderings that are saved for the next start.

    ``good`` are both renderings of the last input of which Prometheus had one in force, in any
    role. ``leader`` is the leader rendering that was last in force, None if it is that of ``good``.
    """

    good: Renderings
    leader: Rendering | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Prometheus reports as its loaded configuration, and about its last reload.

    - ``shown_hash``: the SHA-256, in hex, of the answer of ``/api/v1/status/config``.
    - ``writes_remotely``: whether that answer has a ``remote_write``.
    - ``is_successful``: the metric ``prometheus_config_last_reload_successful``.
    - ``success_time``: the metric ``prometheus_config_last_reload_success_timestamp_seconds``.
    - ``asked_at``: the time just before the first request, on CLOCK_BOOTTIME.
    """

    shown_hash: str
    writes_remotely: bool
    is_successful: bool
    success_time: float
    asked_at: float
