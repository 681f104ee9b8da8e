"""The renderings of a configuration, and Prometheus' evidence of what it loaded; shapes only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wrapper.model.roles import Role

if TYPE_CHECKING:  # few have a gate, and a start should be quick
    from wrapper.model.gate import Endpoint


@dataclass(frozen=True, slots=True)
class Rendering:
    """The configuration of one role, as the bytes that Prometheus reads.

    ``fingerprint`` is the SHA-256 of ``content`` in hex; ``writes_remotely`` says that it has a
    non-empty ``remote_write``. ``endpoints`` are the receivers of the entries that go to the gate;
    ``is_gated`` says that all entries do.
    """

    role: Role
    content: bytes = field(repr=False, compare=False)
    fingerprint: str
    writes_remotely: bool
    endpoints: tuple[Endpoint, ...] = field(default=(), repr=False, compare=False)
    is_gated: bool = False

    @property
    def writes_ungated(self) -> bool:
        """Whether its Prometheus sends to a receiver itself, without the gate."""
        return self.writes_remotely and not self.is_gated


@dataclass(frozen=True, slots=True)
class Renderings:
    """Both renderings of one input."""

    follower: Rendering
    leader: Rendering

    def of(self, role: Role) -> Rendering:
        """Return the rendering of a role; without overrides, a leader's is the follower's."""
        return self.leader if role is Role.LEADER and self.has_overrides else self.follower

    @property
    def has_overrides(self) -> bool:
        """Whether the leader's rendering differs from the follower's."""
        return self.leader.fingerprint != self.follower.fingerprint

    @property
    def needs_leader(self) -> bool:
        """Whether one replica has to lead: by its rendering, or by its gate."""
        return self.has_overrides or bool(self.leader.endpoints)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is saved for the next start.

    ``good`` are the renderings of the last input that Prometheus had in force, in either role;
    ``leader`` is what it last had in force as the leader, None if that is ``good``'s.
    """

    good: Renderings
    leader: Rendering | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Prometheus says that it has loaded.

    ``image`` is a hash of ``/api/v1/status/config`` and ``writes_remotely`` whether that has a
    remote_write; ``is_successful`` and ``success_time`` are its
    ``prometheus_config_last_reload_*`` metrics; ``asked_at`` is before the first request.
    """

    image: str
    writes_remotely: bool
    is_successful: bool
    success_time: float
    asked_at: float
