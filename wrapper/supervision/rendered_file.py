"""The Writer by way of the output file: the leader rendering makes Prometheus write; pure.

It is opened and closed by writing the rendering of the role to the output file and reloading
Prometheus. ``confirm`` holds which rendering may be in force.
"""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.model.actions import Action, ReloadPrometheus, WriteRendering
from wrapper.model.configuration import Rendering
from wrapper.model.roles import Role
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.confirm import Outcome
from wrapper.supervision.policy import Policy

BARRIER_PAUSE_S = 0.5
WRITE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The state of the file and of its Prometheus; ``role`` is the current one."""

    configuration: ConfigurationState
    child: ChildState
    role: Role
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

    def open(self, policy: Policy, now: float) -> tuple[Action, ...]:
        """Write the leader rendering, then have Prometheus load it."""
        return self._bring(Role.LEADER, policy, now)

    def close(self, policy: Policy, now: float) -> tuple[Action, ...]:
        """Write the follower rendering, then have Prometheus load it."""
        return self._bring(Role.FOLLOWER, policy, now)

    def _bring(self, role: Role, policy: Policy, now: float) -> tuple[Action, ...]:
        loading, target = self.configuration.loading, self.configuration.target(role)
        if policy.is_plain or self.child.killed_at is not None or loading.incoming is not None:
            return ()
        if policy.owns_child and not self.child.was_ready:
            return ()  # it may still be reading the file that it was started with
        if loading.written != target:
            return self._write(target, role, now)
        return (ReloadPrometheus(target.fingerprint),) if self._is_due(policy, now) else ()

    def _write(self, target: Rendering, role: Role, now: float) -> tuple[Action, ...]:
        failed = self.configuration.failed_write
        is_too_soon = failed.problem and role is self.role and now < failed.at + WRITE_RETRY_S
        return () if is_too_soon else (WriteRendering(target),)

    def _is_due(self, policy: Policy, now: float) -> bool:
        """Tell whether to send a reload, for the first time or again."""
        loading = self.configuration.loading
        if not self.child.was_ready or loading.is_loaded:
            return False
        if loading.reload_sent_at is None:
            return True
        pause_s = BARRIER_PAUSE_S if loading.wants_barrier else policy.reload_retry_s
        return now >= loading.reload_sent_at + pause_s
