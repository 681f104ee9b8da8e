"""The interface of a Writer: what makes a replica's samples reach the receivers; pure.

An *open* writer lets samples through; a *closed* one does not. ``rendered_file`` and
``gate_writer`` implement this interface. ``candidacy``, ``shutdown`` and ``snapshot_builder``
depend only on the interface. Other parts of the plan open and close the writers, and ``fence``
stops each kind in its own way.

Guarantee of each implementation: it counts as possibly writing from the decision to open it, until
it is *known* to be closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wrapper.supervision.policy import Policy


class Writer(Protocol):
    """The state of a writer at one time."""

    @property
    def may_write(self) -> bool:
        """Whether samples may reach the receivers through this writer."""

    @property
    def safe_since(self) -> float | None:
        """Since when the writer is known to be closed; None while it may write, or is not known."""

    @property
    def is_open(self) -> bool:
        """Whether the writer is known to be open."""

    @property
    def would_write(self) -> bool:
        """Whether it would write if it were open; not if leader and follower load the same."""

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return why it could not be opened, "" if it is open or may still open."""


@dataclass(frozen=True, slots=True)
class AllWriters:
    """Several writers, combined: they may write while any may, and are open once all are open."""

    members: tuple[Writer, ...]
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether samples may reach the receivers through any of them."""
        return any(each.may_write for each in self.members)

    @property
    def is_open(self) -> bool:
        """Whether each writer that would write is open."""
        return all(each.is_open for each in self.members if each.would_write)

    @property
    def would_write(self) -> bool:
        """Whether any of them would write if it were open."""
        return any(each.would_write for each in self.members)

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return the first problem, "" if there is none."""
        return next(filter(None, (each.opening_problem(policy, now) for each in self.members)), "")
