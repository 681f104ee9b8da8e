"""What is known of the lease, also of the one that was held before; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wrapper.model.actions import Action
from wrapper.model.events import Event, LeaseReported
from wrapper.model.lease import LeaseView


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The elector's view, and what outlasts it.

    ``last_renewed_at`` stays when the lease is lost. ``release_ordered_at`` is when the elector was
    last told to give it back.
    """

    view: LeaseView = field(default_factory=LeaseView)
    last_renewed_at: float | None = None
    release_ordered_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether the lease is held, also when leadership has run out."""
        return self.view.renewed_at is not None


def fold(lease: LeaseState, happened: Event | Action) -> LeaseState:
    """Return it with one event taken in."""
    if not isinstance(happened, LeaseReported):
        return lease
    view = happened.view
    renewed_at = lease.last_renewed_at if view.renewed_at is None else view.renewed_at
    return replace(lease, view=view, last_renewed_at=renewed_at)
