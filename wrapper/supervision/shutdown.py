"""Graceful shutdown: releases the lease, then stops Prometheus, then the web server; pure."""

from __future__ import annotations

import signal

from wrapper.model.actions import Action, Exit, SignalPrometheus, StopWeb
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

SUCCESSOR_WAIT_S = 1.0  # after the release, how long to wait for a new leader
FAILED = 70  # EX_SOFTWARE of sysexits.h; Prometheus itself does not use this status
EXIT_S = 20.0  # for a killed Prometheus to exit: on a busy machine, 1 GiB was freed in 0.5 s
KILLED_S = 2.0  # instead of EXIT_S if a thread has failed: it may be the one that reports the exit
PEER_DELAY_S = 0.3  # other replicas may see a new leader this much later than this one


def leave(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the action that stops Prometheus, if a stop was requested.

    Prometheus is stopped once the lease is released, and a new leader is known or the wait for it
    has ended.
    """
    if o.stopping.stop_at is None:
        return ()
    if o.child.killed_at is not None:
        return _exit_unreported(o, policy, now)
    if not policy.owns_child:
        return _leave_sidecar(o, policy, now)
    if o.stopping.is_urgent:
        return (SignalPrometheus(signal.SIGKILL, "received a second stop signal"),)
    if o.child.terminated_at is not None:
        is_overdue = now >= o.child.terminated_at + policy.prometheus_grace_s
        reason = f"it did not stop within {policy.prometheus_grace_s:g} s"
        return (SignalPrometheus(signal.SIGKILL, reason),) if is_overdue else ()
    if not _may_stop(o, policy, now):
        return ()
    return (SignalPrometheus(signal.SIGTERM, o.stopping.failure or "asked to stop"),)


def _may_stop(o: Observation, policy: Policy, now: float) -> bool:
    """Return whether the hand-over is complete, so that Prometheus may be stopped.

    Without an election there is no hand-over.
    """
    if o.writer.may_write and policy.fixed_role is None:
        return False
    if _awaits_label(o, policy, now):
        return False
    if o.lease.may_be_held:
        return _release_has_had_its_time(o, policy, now)
    released_at = o.lease.view.released_at
    if released_at is None or o.stopping.stop_at is None or released_at < o.stopping.stop_at:
        return True
    has_successor = o.lease.view.holder not in ("", policy.terms.identity)
    is_known = has_successor and now >= peers_informed_at(o)
    return is_known or now >= released_at + SUCCESSOR_WAIT_S


def peers_informed_at(o: Observation) -> float:
    """Return when all replicas should have seen the newest record of the lease."""
    return o.lease.view.changed_at + PEER_DELAY_S


def _awaits_label(o: Observation, policy: Policy, now: float) -> bool:
    """Return whether to wait for the pod's label to be removed, so that no client is sent here."""
    if o.label is None or not o.label.awaits_removal or o.stopping.stop_at is None:
        return False
    return now < o.stopping.stop_at + policy.terms.retry_period_s


def _release_has_had_its_time(o: Observation, policy: Policy, now: float) -> bool:
    if o.writer.safe_since is None or o.stopping.stop_at is None:
        return False
    return now >= max(o.writer.safe_since, o.stopping.stop_at) + policy.terms.retry_period_s


def _leave_sidecar(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the actions that end a sidecar: once Prometheus is demoted, or after the grace period.

    This program does not stop a sidecar's Prometheus.
    """
    is_overdue = (
        o.stopping.stop_at is not None and now >= o.stopping.stop_at + policy.demotion_grace_s
    )
    if o.stopping.is_urgent or is_overdue or _may_stop(o, policy, now):
        return end(o, FAILED if o.stopping.failure else 0, policy.web_grace_s, now)
    return ()


def _exit_unreported(o: Observation, policy: Policy, now: float) -> tuple[Action, ...]:
    """Return the actions that exit if Prometheus was killed but its exit is not reported.

    The signal may not be permitted, the process may wait for a disk inside the kernel, or the
    thread that reports the exit has ended. If Prometheus may still write, the lease is not
    released.
    """
    limit_s = KILLED_S if o.stopping.failure else EXIT_S
    is_overdue = o.child.killed_at is not None and now >= o.child.killed_at + limit_s
    return end(o, FAILED, policy.web_grace_s, now) if is_overdue else ()


def end(  # noqa: PLR0913 - each decides how it ends
    o: Observation,
    code: int,
    grace_s: float,
    now: float,
    *,
    waits: bool = False,
    re_executes: bool = False,
) -> tuple[Action, ...]:
    """Return the actions that stop the web server, and that exit once it has exited.

    ``code`` is the exit status. The web server gets ``grace_s`` seconds to exit. If ``waits`` is
    true, this program does not exit yet. ``re_executes`` is that of ``Exit``.
    """
    stop = () if o.web.stopped_at is not None else (StopWeb(),)
    stopped_at = now if o.web.stopped_at is None else o.web.stopped_at
    is_gone = o.web.pid is None or now >= stopped_at + grace_s
    return (*stop, Exit(code, re_executes)) if is_gone and not waits else stop
