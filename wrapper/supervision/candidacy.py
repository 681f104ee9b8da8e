"""Decides which role this replica should have, and what the elector does with the lease; pure.

A replica leads if it holds the lease and there is no *obstacle*: a reason why it must not lead.

Guarantee: the lease is released only when Prometheus can no longer write. A release also waits for
the pod's label to be removed, for at most ``LABEL_WAIT_S``.
"""

from __future__ import annotations

from wrapper.election import lease_rules
from wrapper.model.roles import Cause, Reason, Role, Stance
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

# A leader steps down if its gate is down for longer. After a gate has lost held samples, its
# replica does not lead for this time.
GATE_RESTART_S = 3.0
LABEL_WAIT_S = 0.1  # the label delays a release by at most this time


def obstacle_to_leading(o: Observation, policy: Policy, now: float) -> Reason | None:
    """Return why this replica must not lead, None if it may lead."""
    return (
        _obstacle_in_prometheus(o)
        or _obstacle_in_gate(o, now)
        or _obstacle_in_new_gate(o, policy, now)
        or _obstacle_to_fencing(o, policy)
        or _obstacle_for_now(o, now)
        or _failed_promotion(o, policy, now)
    )


def _obstacle_in_prometheus(o: Observation) -> Reason | None:
    if o.stopping.failure:
        return Reason(Cause.THREAD_ENDED, o.stopping.failure)
    if o.stopping.stop_at is not None:
        return Reason(Cause.STOPPING, "asked to stop")
    if not o.child.is_ready:
        text = f"Prometheus is not ready{_because(o.child.readiness_detail)}"
        return Reason(Cause.NOT_READY, text)
    if o.configuration.rollback.awaits_first_load:
        text = "Prometheus exited with the newest configuration; it is tried again first"
        return Reason(Cause.NOT_READY, text)
    if not o.child.health.is_healthy:
        return Reason(Cause.UNHEALTHY, f"Prometheus is unhealthy{_because(o.child.health.detail)}")
    return None


def _obstacle_in_gate(o: Observation, now: float) -> Reason | None:
    """Return the obstacle if the gate does not run. A leader first waits for the gate's restart.

    If the gate lost held samples, the leader steps down at once. A standby that holds the same
    samples then leads and sends them. Otherwise the marks of the restarted gate would advance past
    the lost samples, and the standbys would drop them.
    """
    gate = o.gate
    if gate is None:
        return None
    if gate.lost_at is not None and now < gate.lost_at + GATE_RESTART_S:
        text = "the gate exited with unsent samples; another replica may hold the same samples"
        return Reason(Cause.GATE_DOWN, text)
    if gate.pid is not None:
        return None
    down_since = o.role_since if gate.exited_at is None else gate.exited_at
    if o.role is Role.LEADER and now < down_since + GATE_RESTART_S:
        return None
    return Reason(Cause.GATE_DOWN, "the gate is not running; see the log")


def _obstacle_in_new_gate(o: Observation, policy: Policy, now: float) -> Reason | None:
    """Return the obstacle if other replicas may hold samples from before this gate started.

    Those replicas take the lease first. If this replica led, its marks would soon advance past
    these samples; the other gates would drop them, and they would be lost. If the lease stays free
    for a retry period, no other replica holds such samples.
    """
    gate, view = o.gate, o.lease.view
    if gate is None or o.role is Role.LEADER or o.lease.is_held:
        return None
    names = [each.name for each in o.endpoints]
    if now >= view.free_at + policy.terms.retry_period_s or not gate.lacks_samples(names):
        return None
    text = "the gate has just started; replicas that hold earlier samples go first"
    return Reason(Cause.GATE_NEW, text)


def _obstacle_to_fencing(o: Observation, policy: Policy) -> Reason | None:
    if not o.rendered_file.would_write and o.gate is not None:
        return None  # only the gate writes, and it has its own dead-man's switch
    if o.fencing.obstacle:
        return Reason(Cause.UNFENCED, f"Prometheus cannot be fenced: {o.fencing.obstacle}")
    if o.fencing.obstacle is None and policy.owns_child:
        return Reason(Cause.UNFENCED, "checking whether Prometheus can be fenced")
    return None


def _obstacle_for_now(o: Observation, now: float) -> Reason | None:
    if o.stopping.steps_down_until is not None and now < o.stopping.steps_down_until:
        return Reason(Cause.STEPPING_DOWN, "asked to step down")
    if o.stopping.keeps_out(now):
        return Reason(Cause.STEPPING_DOWN, "asked to step down; paused from the election")
    if now < o.promotion.cools_until:
        text = f"cooling down after a failed promotion{_because(o.promotion.problem)}"
        return Reason(Cause.COOLING_DOWN, text)
    return None


def _because(detail: str) -> str:
    return f": {detail}" if detail else ""


def _failed_promotion(o: Observation, policy: Policy, now: float) -> Reason | None:
    """Return why the current promotion has failed, None if it has not."""
    failure = o.writer.opening_problem(policy, now) if o.role is Role.LEADER else ""
    return Reason(Cause.PROMOTION_FAILED, failure) if failure else None


def role_of(
    o: Observation, policy: Policy, now: float, obstacle: Reason | None
) -> tuple[Role, Reason]:
    """Return the desired role and the reason for it."""
    if obstacle:
        return Role.FOLLOWER, obstacle
    if lease_rules.leads(o.lease.view, policy.terms, now):
        if _may_be_released(o):
            text = "a release of the lease may be in flight; the lease must be renewed first"
            return Role.FOLLOWER, Reason(Cause.GIVEN_BACK, text)
        return Role.LEADER, Reason(Cause.ACQUIRED, "holds the lease")
    if o.lease.is_held:
        text = f"the lease was not renewed in time{_because(o.lease.view.problem)}"
        return Role.FOLLOWER, Reason(Cause.NOT_RENEWED, text)
    cause = Cause.NOT_RENEWED if o.lease.view.problem else Cause.LOST
    return Role.FOLLOWER, Reason(cause, _why_following(o, policy, now))


def _may_be_released(o: Observation) -> bool:
    """Return whether a request to release the lease may be in flight.

    Its answer may be late or lost, and another replica may already lead. Only a renewal that was
    sent after the order to release proves that this replica still holds the lease.
    """
    ordered_at, renewed_at = o.lease.release_ordered_at, o.lease.view.renewed_at
    return ordered_at is not None and renewed_at is not None and renewed_at <= ordered_at


def _why_following(o: Observation, policy: Policy, now: float) -> str:
    if o.lease.view.problem:
        return f"the lease cannot be used: {o.lease.view.problem}"
    if holder_is_overdue(o, policy, now):
        return _why_overdue(o, policy)
    if o.lease.view.holder == policy.terms.identity:
        return "an earlier process with this identity holds the lease; waiting for it to expire"
    if o.lease.view.holder:
        return f"{o.lease.view.holder} holds the lease"
    return "trying to acquire the lease"


def holder_is_overdue(o: Observation, policy: Policy, now: float) -> bool:
    """Return whether the holder has stopped renewing a lease that expires only much later."""
    return bool(policy.shorten_lease) and lease_rules.is_overdue(o.lease.view, policy.terms, now)


def _why_overdue(o: Observation, policy: Policy) -> str:
    """Return who holds the lease, when it expires, and how to make it expire earlier."""
    view = o.lease.view
    is_deleted = view.seen is not None and view.seen.record is None
    cure = "restart this replica" if is_deleted else f"run {policy.shorten_lease}"
    duration_s = view.last.duration_s if view.last else 0.0
    return (
        f"{view.holder} holds the lease{', which was deleted,' if is_deleted else ''} but has not "
        f"renewed it for {lease_rules.MANY * policy.terms.duration_s:g} s; the lease expires only "
        f"after its leaseDurationSeconds of {duration_s:.0f}; if {view.holder} is gone for good, "
        f"{cure}"
    )


def stance_of(o: Observation, obstacle: Reason | None, now: float) -> Stance:
    """Return what the elector does with the lease.

    The lease is released only when Prometheus cannot write and the snapshot shows this replica as a
    follower. So the round that ends leadership still holds the lease; otherwise two replicas would
    claim to lead.
    """
    if not obstacle:
        return Stance.CONTEND
    is_too_soon = o.writer.may_write or o.role is Role.LEADER or now < awaits_label_until(o, now)
    return Stance.HOLD if is_too_soon else Stance.RELEASE


def awaits_label_until(o: Observation, now: float) -> float:
    """Return until when a release of the lease waits for the pod's label to be removed.

    Return ``now`` or an earlier time if the release need not wait: Prometheus may still write, the
    pod is not labelled, or no answer about the label is expected.
    """
    if o.writer.may_write or o.label is None or not o.label.awaits_removal:
        return now
    return (now if o.writer.safe_since is None else o.writer.safe_since) + LABEL_WAIT_S
