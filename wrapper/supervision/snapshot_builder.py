"""Builds the snapshot for the web process from the observation and the plan; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from wrapper.election import lease_rules
from wrapper.model.gate import EndpointReport
from wrapper.model.lease import LeaseView
from wrapper.model.roles import Role
from wrapper.model.snapshot import Snapshot
from wrapper.supervision.candidacy import holder_is_overdue
from wrapper.supervision.loaded_rendering import Outcome
from wrapper.supervision.observation import Observation
from wrapper.supervision.plan import Plan
from wrapper.supervision.policy import Policy


@dataclass(frozen=True, slots=True)
class Constants:
    """The values of the snapshot that do not change while the supervisor runs."""

    identity: str
    election: str
    prometheus_url: str
    child_start_time: float | None
    start_time: float = 0.0


def summarize(  # noqa: PLR0913 - a snapshot has all that is known
    o: Observation,
    decided: Plan,
    policy: Policy,
    constants: Constants,
    *,
    counters: Mapping[str, float],
    last_transition_time: float,
    configuration_time: float,
    now: float,
) -> Snapshot:
    """Return the snapshot for ``now``."""
    written = o.configuration.loading.written
    return Snapshot(
        stamped_at=now,
        identity=constants.identity,
        role=decided.role,
        reason=decided.reason[:LONGEST],
        election=constants.election,
        is_ready=o.child.is_ready,
        is_healthy=o.child.health.is_healthy and o.child.status is None,
        is_stopping=o.stopping.stop_at is not None or o.child.status is not None,
        leads_until_at=leads_until(o, decided, policy, now),
        lease_expires_at=o.lease.view.free_at
        if o.lease.view.holder and not o.lease.is_held
        else None,
        holder=_holder(o, decided, policy, constants),
        holder_url=(o.lease.view.last.url or "") if o.lease.view.last else "",
        lease_transitions=_transitions(o.lease.view),
        lease_problem=_lease_problem(o, policy),
        last_transition_time=last_transition_time,
        prometheus_url=constants.prometheus_url,
        child_pid=o.child.pid,
        child_start_time=constants.child_start_time,
        configuration_is_valid=not o.configuration.rejection,
        configuration_problem="\n".join(_problems(o, decided.role)),
        configuration_time=configuration_time,
        follower_fingerprint=o.configuration.renderings.follower.fingerprint,
        leader_fingerprint=o.configuration.renderings.leader.fingerprint,
        wanted_fingerprint=o.configuration.target(decided.role).fingerprint,
        written_role=written.role.value if written else "",
        written_fingerprint=written.fingerprint if written else "",
        loaded_fingerprint=_loaded(o),
        may_write=o.writer.may_write or _follower_writes(o),
        pod_is_labelled=o.label.is_on if o.label else None,
        counters=counters,
        usage=o.child.usage,
        cause=decided.cause,
        start_time=constants.start_time,
        lease_duration_s=policy.terms.duration_s,
        lease_renew_deadline_s=policy.terms.renew_deadline_s,
        remote_write_is_loaded=_writes_remotely(o),
        paused_until_time=_paused_until(o, now),
        targets=_targets(o),
        needs_restart=o.lease.view.needs_restart,
        watch_problem=o.lease.view.watch_problem[:LONGEST],
        failure=o.stopping.failure[:LONGEST],
        holder_is_overdue=holder_is_overdue(o, policy, now),
        gate=_gate(o, decided, policy, now),
    )


_FIXED_LEADER_S = 3600.0  # without election, a leader leads until its snapshot is stale

# A snapshot is built in each round of the loop and has a maximum size. So the texts from files and
# servers are limited here: of an input with 100,000 mistakes, the snapshot has the first hundred.
MOST_PROBLEMS = 100
LONGEST = 1000  # characters


def _problems(o: Observation, role: Role) -> list[str]:
    """Return the problems of the configuration, one line each; the number is limited."""
    *lines, rest = [*o.configuration.rejection.split("\n", MOST_PROBLEMS), ""][: MOST_PROBLEMS + 1]
    if rest:
        count = rest.count("\n") + 1
        rest = f"and {count:,} more; prometheus-elector check prints them all"
    return [line[:LONGEST] for line in filter(None, (*lines, rest, _load_problem(o, role)))]


def _load_problem(o: Observation, role: Role) -> str:
    """Return why a role's valid rendering is not written or loaded, "" if it is.

    A write that failed does not count if the file already has the rendering, for example because
    the role has changed back since.
    """
    loading, problem = o.configuration.loading, o.configuration.failed_write.problem
    if problem and loading.written != o.configuration.target(role):
        return f"the output file cannot be written: {problem}"
    is_refused = loading.outcome is Outcome.FAILED and loading.problem
    return f"the reload of Prometheus failed: {loading.problem}" if is_refused else ""


def leads_until(o: Observation, decided: Plan, policy: Policy, now: float) -> float | None:
    """Return when leadership ends unless the lease is renewed; None for a follower."""
    if decided.role is not Role.LEADER:
        return None
    if policy.fixed_role is not None:
        return now + _FIXED_LEADER_S
    return lease_rules.leads_until(o.lease.view, policy.terms)


def _lease_problem(o: Observation, policy: Policy) -> str:
    """Return why it is not known who holds the lease, "" if it is, or if there is no election."""
    view = o.lease.view
    is_unread = policy.fixed_role is None and not view.heard_at and not view.problem
    return "the lease has not been read yet" if is_unread else view.problem[:LONGEST]


def _transitions(view: LeaseView) -> int | None:
    """Return the number in the lease, 0 if there is no lease, None if it has not been read yet."""
    if view.last is not None:
        return view.last.transitions
    return 0 if view.heard_at else None


def _targets(o: Observation) -> dict[str, Any]:
    """Return the state of the fetched files and of the message broker's queue; {} without any."""
    state: dict[str, Any] = {"feeds": list(o.targets.feeds.values())}
    if o.targets.queue is not None:
        state["queue"] = o.targets.queue
    return state if o.targets.feeds or o.targets.queue else {}


def _gate(o: Observation, decided: Plan, policy: Policy, now: float) -> dict[str, Any]:
    """Return the gate's state, {} without a gate.

    It has the endpoints of the desired configuration. An endpoint that was removed while samples
    were held for it also stays, with its counters and without a URL.
    """
    gate = o.gate
    if gate is None:
        return {}
    reports = {each.name: each for each in gate.report.endpoints}
    urls = {each.name: each.shown_url for each in o.configuration.target(decided.role).endpoints}
    urls |= {each: "" for each in reports if each not in urls and _has_lost(reports[each])}
    marks = gate.marks
    return {
        "is_open": gate.report.is_open,
        "awaits_samples": bool(o.endpoints) and gate.awaits_samples(now),
        "pid": gate.pid,
        "has_handed_over": gate.has_handed_over,
        "is_handing_over": gate.order.hands_over,
        "memory_bytes": policy.gate_memory_bytes,
        "clock_offset_s": gate.report.clock_offset_s,
        "restarts": gate.restarts,
        "problem": ""
        if gate.pid is not None
        else "it exited or has not started yet, and is being restarted",
        "endpoints": [
            _shown(reports.get(name, EndpointReport(name))) | {"url": url, "mark": marks.get(name)}
            for name, url in urls.items()
        ],
    }


_SHOWN = tuple(each.name for each in fields(EndpointReport))


def _shown(endpoint: EndpointReport) -> dict[str, Any]:
    """Return its fields; `asdict` would copy each counter, on each turn."""
    return {name: getattr(endpoint, name) for name in _SHOWN}


def _has_lost(endpoint: EndpointReport) -> bool:
    return endpoint.counters.get("samples_given_up", 0.0) > 0


def _paused_until(o: Observation, now: float) -> float | None:
    pause = o.stopping.pause
    return pause.until_time if pause and o.stopping.keeps_out(now) else None


def _holder(o: Observation, decided: Plan, policy: Policy, constants: Constants) -> str:
    if policy.fixed_role is None:
        return o.lease.view.holder
    return constants.identity if decided.role is Role.LEADER else ""


def _loaded(o: Observation) -> str:
    loading = o.configuration.loading
    return loading.written.fingerprint if loading.written and loading.is_loaded else ""


def _follower_writes(o: Observation) -> bool:
    """Return whether Prometheus may write to a receiver without the gate as a follower.

    It does so if a follower's configuration that may be in force has a remote_write of its own.
    """
    loading = o.configuration.loading
    possible = (*loading.possibly_in_force, *filter(None, [loading.incoming]))
    writes = any(each.role is Role.FOLLOWER and each.writes_ungated for each in possible)
    return o.child.status is None and writes


def _writes_remotely(o: Observation) -> bool | None:
    """Return whether Prometheus has a remote_write in force, None if that is not known."""
    loading = o.configuration.loading
    return loading.written.writes_remotely if loading.written and loading.is_settled else None
