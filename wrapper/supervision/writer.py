"""The interface of a Writer: what lets a replica's Prometheus write, and what prevents it; pure.

Candidacy, shutdown and snapshot depend on this interface only; ``rendered_file`` and
``gate_writer`` implement it, other parts of the plan open and close them, and ``fence`` stops each
in its own way. Each implementation guarantees: Prometheus counts
as a possible writer from the decision that opens it until it is *known* to be closed.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class AllWriters:
    """Several writers as one: it may write while any may, and is open once all are."""

    members: tuple[Writer, ...]
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether Prometheus may write by any of them."""
        return any(each.may_write for each in self.members)

    @property
    def is_open(self) -> bool:
        """Whether each that would write is open."""
        return all(each.is_open for each in self.members if each.would_write)

    @property
    def would_write(self) -> bool:
        """Whether opening any of them makes a writer."""
        return any(each.would_write for each in self.members)

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return the first one's problem."""
        return next(filter(None, (each.opening_problem(policy, now) for each in self.members)), "")

    @property
    def closing_problem(self) -> str:
        """The first one's problem."""
        return next(filter(None, (each.closing_problem for each in self.members)), "")
