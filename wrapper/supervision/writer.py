"""A Writer: what makes a replica's Prometheus write, and what keeps it from that; pure.

Fence, candidacy, departure and what the outside is told ask this and nothing else. What it is made
of is its own: ``rendered_file`` is the one there is. The guarantee that each has to give: it counts
as a possible writer from the decision that opens it until it is *known* to be closed.
"""

from __future__ import annotations

from typing import Protocol

from wrapper.model.actions import Action
from wrapper.supervision.policy import Policy


class Writer(Protocol):
    """What is known of it at one moment."""

    @property
    def may_write(self) -> bool:
        """Whether it is a possible writer."""

    @property
    def safe_since(self) -> float | None:
        """Since when it surely cannot write, None while it may, or that is news."""

    @property
    def is_open(self) -> bool:
        """Whether it surely writes as a leader does, and in no other way."""

    @property
    def would_write(self) -> bool:
        """Whether opening it makes a writer: not where a leader does what a follower does."""

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return why opening it is to be given up, "" while it may come, or has."""

    @property
    def closing_problem(self) -> str:
        """Why it cannot be closed, "" while that may come, or has."""

    def open(self, policy: Policy, now: float) -> tuple[Action, ...]:
        """Return what to do now to open it, or to keep it as a leader's should be."""

    def close(self, policy: Policy, now: float) -> tuple[Action, ...]:
        """Return what to do now to close it, or to keep it as a follower's should be."""
