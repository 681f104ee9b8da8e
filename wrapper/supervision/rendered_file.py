"""The Writer by way of the output file: the leader rendering makes Prometheus write; pure.

It is opened and closed by a change of the role: ``config_loading`` then brings the other rendering
to Prometheus. ``confirm`` holds which rendering may be in force.
"""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.roles import Role
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.confirm import Outcome
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The state of the file and of its Prometheus."""

    configuration: ConfigurationState
    child: ChildState
    safe_since: float | None

    @property
    def may_write(self) -> bool:
        """Whether Prometheus runs and may have the leader rendering loaded."""
        return self.child.status is None and self.configuration.loading.may_be_leader

    @property
    def is_open(self) -> bool:
        """Whether no follower rendering can be in force."""
        return not self.configuration.loading.may_be_follower

    @property
    def would_write(self) -> bool:
        """Whether the leader's rendering differs from the follower's."""
        return self.configuration.target(Role.LEADER).role is Role.LEADER

    def opening_problem(self, policy: Policy, now: float) -> str:
        """Return why the promotion under way has failed, "" if it has not.

        A leader that already has a leader's configuration in force stays the leader when a newer
        one cannot be loaded: an invalid edit never removes the writer.
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
        """Why the follower rendering cannot be written, "" if it can."""
        problem = self.configuration.write_problem(Role.FOLLOWER)
        return f"the follower rendering cannot be written: {problem}" if problem else ""
