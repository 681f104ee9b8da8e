"""What is logged of changes: before and after are compared, and each change is said once.

It also keeps the wall time of the last change of role, and of what is said of the configuration.
Where it ends: why Prometheus is stopped or killed is logged by what does it.
"""

from __future__ import annotations

import logging

from wrapper.base import clock
from wrapper.documents.problems import MOST_LOGGED
from wrapper.model.configuration import Renderings
from wrapper.model.events import (
    ConfigurationRead,
    Event,
    ReloadAnswered,
    RenderingsKept,
    RenderingWritten,
    SignalReceived,
    WriteFailed,
)
from wrapper.supervision.candidacy import holder_is_overdue
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy

LOG = logging.getLogger(__name__)
_NO_ANSWER, _LOADED, _REFUSED = 0, 200, 500  # of a reload over HTTP


class ChangeLog:
    """Logs what events and decisions change."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.last_transition_time = 0.0
        self.configuration_time = clock.wall()
        self._reason = self._said_of_writing = self._said_of_reloads = ""

    def took(
        self, happened: Event | Plan, before: Observation, after: Observation, now: float
    ) -> None:
        """Log what an event, or a decision, has changed."""
        if isinstance(happened, Plan):
            self._say_role(happened, before, now)
        self._say_configuration(happened, before, after)
        self._say_writing(happened)
        self._say_reload(happened)

    def _say_role(self, plan: Plan, before: Observation, now: float) -> None:
        """Log each change of role, and of the reason for it, once."""
        if plan.role is not before.role:
            self.last_transition_time = clock.wall()
            LOG.info("role changed", extra=self._of_role(before, plan))
        elif plan.reason != self._reason:
            is_bad = holder_is_overdue(before, self._policy, now)
            extra = {"role": plan.role, "reason": plan.reason}
            LOG.log(logging.WARNING if is_bad else logging.INFO, "role unchanged", extra=extra)
        self._reason = plan.reason

    def _of_role(self, before: Observation, plan: Plan) -> dict[str, object]:
        """Return who has which role and why, and the lease record that it follows from."""
        said: dict[str, object] = {
            "identity": self._policy.terms.identity,
            "role": plan.role,
            "cause": plan.cause,
            "reason": plan.reason,
        }
        record = before.lease.view.last
        if record is None:
            return said
        lease = {
            "lease_holder": record.holder,
            "lease_transitions": record.transitions,
            "lease_renew_time": record.renew_time,
        }
        return {**said, **lease}

    def _say_configuration(
        self, event: Event | Plan, before: Observation, after: Observation
    ) -> None:
        """Log a new input, and each change in whether it can be used."""
        if (
            isinstance(event, RenderingsKept)
            and event.problem != before.configuration.keeping.problem
        ):
            _say_keeping(event.problem)
        if isinstance(event, ConfigurationRead):
            self.configuration_time = clock.wall()
            LOG.info("configuration read", extra={"fingerprints": _short(event.renderings)})
            _say_surprises(before.configuration.renderings, event.renderings)
        if after.configuration.rejection == before.configuration.rejection:
            return
        self.configuration_time = clock.wall()
        for reason in after.configuration.rejection.splitlines()[:MOST_LOGGED]:
            LOG.error("configuration rejected; the last good one stays", extra={"reason": reason})
        if not after.configuration.rejection and not isinstance(event, SignalReceived):
            LOG.info("configuration is good again")

    def _say_writing(self, event: Event | Plan) -> None:
        """Log once that renderings cannot be written, and once that they can again."""
        if isinstance(event, WriteFailed) and event.problem != self._said_of_writing:
            extra = {"role": event.rendering.role, "reason": event.problem}
            LOG.error("the rendering cannot be written; it is tried again", extra=extra)
            self._said_of_writing = event.problem
        elif isinstance(event, RenderingWritten) and self._said_of_writing:
            LOG.info("renderings can be written again")
            self._said_of_writing = ""

    def _say_reload(self, event: Event | Plan) -> None:
        """Log once that a reload over HTTP is not even tried, and once that it is again.

        A configuration that Prometheus refuses, and no answer, are told elsewhere.
        """
        if not isinstance(event, ReloadAnswered) or event.status in (_NO_ANSWER, _REFUSED):
            return
        problem = "" if event.status == _LOADED else event.problem or f"HTTP {event.status}"
        if problem and problem != self._said_of_reloads:
            LOG.error("Prometheus is not reloaded; it is tried again", extra={"reason": problem})
        elif self._said_of_reloads and not problem:
            LOG.info("Prometheus is reloaded again")
        self._said_of_reloads = problem


def _say_keeping(problem: str) -> None:
    """Log whether the next start will find what Prometheus has in force now."""
    if problem:
        text = "the configuration in force cannot be kept for the next start; it is tried again"
        LOG.warning(text, extra={"reason": problem})
    else:
        LOG.info("the configuration in force is kept for the next start")


def _short(renderings: Renderings) -> str:
    """Return both fingerprints, as much of them as tells them apart."""
    follower, leader = renderings.follower.fingerprint, renderings.leader.fingerprint
    return f"follower {follower[:12]}, leader {leader[:12]}"


def _say_surprises(before: Renderings, after: Renderings) -> None:
    """Warn of what a new input changes and can hardly be meant."""
    if before.has_overrides and not after.has_overrides:
        LOG.warning("the leader has no overrides any more: every replica reads the same")
    if _all_write(after) and not _all_write(before):
        LOG.warning("the follower's part has a remote_write: every replica writes, whoever leads")


def _all_write(renderings: Renderings) -> bool:
    return renderings.has_overrides and renderings.follower.writes_remotely
