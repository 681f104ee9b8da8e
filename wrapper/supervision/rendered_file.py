"""The output file as a Writer: Prometheus writes while it has the leader rendering loaded; pure.

A change of the role opens or closes it: ``config_loading`` then writes the other rendering and
reloads Prometheus. ``loaded_rendering`` tracks which rendering may be in force.
"""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.roles import Role
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.loaded_rendering import Outcome
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The state of the output file, and of the Prometheus that reads it."""

    configuration: ConfigurationState
    child: ChildState
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether Prometheus runs and may have the leader rendering loaded."""
        return self.child.status is None and self.configuration.loading.may_be_leader

    @property
    def is_open(self) -> bool:
        """Whether it is certain that no follower rendering is in force."""
        return not self.configuration.loading.may_be_follower

    @property
    def would_write(self) -> bool:
        """Whether the leader's rendering is not the same as the follower's."""
        return self.configuration.target(Role.LEADER).role is Role.LEADER

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return why the current promotion has failed, "" if it has not.

        A leader that has a leader's configuration in force stays the leader if a newer one cannot
        be loaded. So an invalid edit never stops the writer.
        """
        loading = self.configuration.loading
        if not loading.may_be_follower:
            return ""
        if problem := self.configuration.write_problem(Role.LEADER):
            return f"the leader rendering cannot be written: {problem}"
        if loading.written is None or loading.written.role is not Role.LEADER:
            return ""
        if loading.outcome is Outcome.LOADED:
            return ""
        if loading.outcome in {Outcome.FAILED, Outcome.REFUSED}:
            why = f": {loading.problem}" if loading.problem else ""
            return f"the leader rendering was refused{why}"
        limit_s = policy.reload_limit_s
        is_overdue = now >= loading.written_at + limit_s
        return f"the reload was not confirmed within {limit_s:g} s" if is_overdue else ""

    @property
    def closing_problem(self) -> str:
        """Why the follower rendering could not be written, "" if it could."""
        problem = self.configuration.write_problem(Role.FOLLOWER)
        return f"the follower rendering cannot be written: {problem}" if problem else ""
