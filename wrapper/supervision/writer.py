"""The interface of a Writer: what lets a replica's Prometheus write, and what prevents it; pure.

Fence, candidacy, shutdown and snapshot depend on this interface only; ``rendered_file`` implements
it, and other parts of the plan open and close it. Each implementation guarantees: Prometheus counts
as a possible writer from the decision that opens it until it is *known* to be closed.
"""

from __future__ import annotations

from typing import Protocol

from wrapper.supervision.policy import Policy


class Writer(Protocol):
    """The state of a writer at one moment."""

    @property
    def may_write(self) -> bool:
        """Whether Prometheus may write."""

    @property
    def safe_since(self) -> float | None:
        """Since when Prometheus certainly cannot write, None while it may or is not yet known."""

    @property
    def is_open(self) -> bool:
        """Whether Prometheus certainly has the leader's configuration in force."""

    @property
    def would_write(self) -> bool:
        """Whether opening it makes a writer: not if leader and follower load the same."""

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return why opening it has failed, "" while it may succeed, or has."""

    @property
    def closing_problem(self) -> str:
        """Why closing it has failed, "" while it may succeed, or has."""
