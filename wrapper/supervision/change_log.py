"""Logs changes of the observation, each change once.

It also stores the wall time of the last change of the role, and of the configuration's status.

Limitation: the performer, not this module, logs why it stops or kills Prometheus.
"""

from __future__ import annotations

import logging

from wrapper.base import clock
from wrapper.documents.problems import MOST_LOGGED
from wrapper.model.configuration import Renderings
from wrapper.model.events import (
    ChildExited,
    ConfigurationRead,
    Event,
    GateExited,
    ReloadAnswered,
    RenderingsSaved,
    RenderingWritten,
    SignalReceived,
    WriteFailed,
)
from wrapper.model.roles import Role
from wrapper.supervision.candidacy import holder_is_overdue
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy

LOG = logging.getLogger(__name__)
FAR_S = 15.0  # Prometheus' usual scrape interval
_NO_ANSWER, _LOADED, _REFUSED = 0, 200, 500  # the status of a reload over HTTP


class ChangeLog:
    """Logs the changes that events and plans cause."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.last_transition_time = 0.0
        self.configuration_time = clock.wall()
        self._reason = self._write_problem = self._reload_problem = ""

    def log(
        self, happened: Event | Plan, before: Observation, after: Observation, now: float
    ) -> None:
        """Log what an event, or a plan, has changed."""
        if isinstance(happened, Plan):
            self._log_role(happened, before, now)
        self._log_configuration(happened, before, after)
        self._log_write(happened)
        self._log_reload(happened)
        _log_exit(happened, before)
        _log_gate(happened, before, after)

    def _log_role(self, plan: Plan, before: Observation, now: float) -> None:
        """Log a change of the role, or of its reason."""
        if plan.role is not before.role:
            self.last_transition_time = clock.wall()
            LOG.info("role changed", extra=self._of_role(before, plan))
        elif plan.reason != self._reason:
            is_bad = holder_is_overdue(before, self._policy, now)
            text = f"{'still' if self._reason else 'starting as'} {plan.role}"
            extra = {"role": plan.role, "reason": plan.reason}
            LOG.log(logging.WARNING if is_bad else logging.INFO, text, extra=extra)
        self._reason = plan.reason

    def _of_role(self, before: Observation, plan: Plan) -> dict[str, object]:
        """Return the fields of the log line: role, reason, and the lease record at that time."""
        fields: dict[str, object] = {
            "identity": self._policy.terms.identity,
            "role": plan.role,
            "cause": plan.cause,
            "reason": plan.reason,
        }
        record = before.lease.view.last
        if record is None:
            return fields
        lease = {
            "lease_holder": record.holder,
            "lease_transitions": record.transitions,
            "lease_renew_time": record.renew_time,
        }
        return {**fields, **lease}

    def _log_configuration(
        self, event: Event | Plan, before: Observation, after: Observation
    ) -> None:
        """Log new inputs, and each change of whether they are valid."""
        if (
            isinstance(event, RenderingsSaved)
            and event.problem != before.configuration.saving.problem
        ):
            _log_saving(event.problem)
        if isinstance(event, ConfigurationRead):
            self.configuration_time = clock.wall()
            LOG.info("configuration read", extra={"fingerprints": _short(event.renderings)})
            _warn_of_mistakes(before.configuration.renderings, event.renderings)
        if after.configuration.rejection == before.configuration.rejection:
            return
        self.configuration_time = clock.wall()
        for reason in after.configuration.rejection.splitlines()[:MOST_LOGGED]:
            LOG.error("configuration rejected; keeping the last good one", extra={"reason": reason})
        if not after.configuration.rejection and not isinstance(event, SignalReceived):
            LOG.info("configuration no longer rejected")

    def _log_write(self, event: Event | Plan) -> None:
        """Log once that writes of the output file fail, and once that they succeed again."""
        if isinstance(event, WriteFailed) and event.problem != self._write_problem:
            extra = {"role": event.rendering.role, "reason": event.problem}
            LOG.error("output file cannot be written; retrying", extra=extra)
            self._write_problem = event.problem
        elif isinstance(event, RenderingWritten) and self._write_problem:
            LOG.info("output file written after earlier failures")
            self._write_problem = ""

    def _log_reload(self, event: Event | Plan) -> None:
        """Log once that reload requests get an error response, and once that one succeeds again.

        A configuration that Prometheus refuses, and a request without an answer, are not logged
        here.
        """
        if not isinstance(event, ReloadAnswered) or event.status in (_NO_ANSWER, _REFUSED):
            return
        problem = "" if event.status == _LOADED else event.problem or f"HTTP {event.status}"
        if problem and problem != self._reload_problem:
            LOG.error("reload of Prometheus failed; retrying", extra={"reason": problem})
        elif self._reload_problem and not problem:
            LOG.info("reload of Prometheus succeeded after earlier failures")
        self._reload_problem = problem


def _log_exit(happened: Event | Plan, before: Observation) -> None:
    """Log that Prometheus has exited, unless this program has asked it to."""
    is_requested = before.child.is_being_ended or before.stopping.stop_at is not None
    if isinstance(happened, ChildExited) and not is_requested:
        extra = {"status": happened.status, "hint": "the messages of Prometheus above say why"}
        LOG.error("Prometheus has exited", extra=extra)


def _log_gate(happened: Event | Plan, before: Observation, after: Observation) -> None:
    """Log exits of the gate, its opening and closing, incomplete hand-overs, and clock skew."""
    if before.gate is None or after.gate is None:
        return
    is_ending = after.child.status is not None or after.stopping.stop_at is not None
    if isinstance(happened, GateExited) and before.gate.pid is not None and not is_ending:
        held = sum(each.held_bytes for each in before.gate.report.endpoints)
        extra = {"status": happened.status, "held_bytes_lost": held}
        LOG.warning("gate exited; restarting it", extra=extra)
    is_demoted = isinstance(happened, Plan) and happened.role is Role.FOLLOWER
    if is_demoted and before.gate.order.hands_over and not before.gate.has_handed_over:
        text = "hand-over did not finish in time; the next leader sends some samples again"
        LOG.warning(
            text, extra={"hint": "a longer --demotion-grace, or shorter batch_send_deadline"}
        )
    if after.gate.report.is_open is not before.gate.report.is_open:
        LOG.info("gate opened" if after.gate.report.is_open else "gate closed")
    was, is_ = before.gate.report.clock_offset_s, after.gate.report.clock_offset_s
    if is_far(is_) and not is_far(was):
        text = "the leader's wall clock differs from this machine's; check its time synchronization"
        LOG.warning(text, extra={"offset_s": is_})


def is_far(offset_s: float | None) -> bool:
    """Return whether two clocks differ by more than the usual scrape interval, ``FAR_S``."""
    return offset_s is not None and abs(offset_s) > FAR_S


def _log_saving(problem: str) -> None:
    """Log whether the configuration in force was saved for the next start."""
    if problem:
        text = "last good configuration cannot be saved for the next start; retrying"
        LOG.warning(text, extra={"reason": problem})
    else:
        LOG.info("last good configuration saved for the next start")


def _short(renderings: Renderings) -> str:
    """Return both fingerprints, shortened to 12 characters."""
    follower, leader = renderings.follower.fingerprint, renderings.leader.fingerprint
    return f"follower {follower[:12]}, leader {leader[:12]}"


def _warn_of_mistakes(before: Renderings, after: Renderings) -> None:
    """Log a warning for each change of the configuration that is probably a mistake."""
    if before.needs_leader and not after.needs_leader:
        LOG.warning("the leader no longer has any overrides: all replicas load the same file")
    if _all_write(after) and not _all_write(before):
        LOG.warning("the follower's part has a remote_write: every replica writes")


def _all_write(renderings: Renderings) -> bool:
    return renderings.needs_leader and renderings.follower.writes_ungated
