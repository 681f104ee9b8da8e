"""Plans how Prometheus gets a role's rendering: write the output file, then reload; pure.

Edits of the inputs reach Prometheus in this way. A change of the role does too, if the renderings
of the two roles differ. ``loaded_rendering`` tracks which rendering may be in force.
"""

from __future__ import annotations

from wrapper.model.actions import Action, ReloadPrometheus, WriteRendering
from wrapper.model.configuration import Rendering
from wrapper.model.roles import Role
from wrapper.supervision.observation import Observation
from wrapper.supervision.policy import Policy

# While something is not as desired, between two plans; and before another reload, if the content
# alone proves nothing (``loaded_rendering``), or if there was no thread to send the last one.
BUSY_PAUSE_S = 0.5
WRITE_RETRY_S = 1.0  # after a failed write


def load_actions(o: Observation, policy: Policy, role: Role, now: float) -> tuple[Action, ...]:
    """Return the next action to bring the rendering of a role in force: a write, or a reload."""
    loading, target = o.configuration.loading, o.configuration.target(role)
    if policy.is_plain or o.child.killed_at is not None or loading.incoming is not None:
        return ()
    if policy.owns_child and not o.child.was_ready:
        return ()  # Prometheus may still be reading the file that it was started with
    if loading.written != target:
        return _write(o, target, role, now)
    return (ReloadPrometheus(target.fingerprint),) if _is_due(o, policy, now) else ()


def _write(o: Observation, target: Rendering, role: Role, now: float) -> tuple[Action, ...]:
    failed = o.configuration.failed_write
    is_too_soon = failed.problem and role is o.role and now < failed.at + WRITE_RETRY_S
    return () if is_too_soon else (WriteRendering(target),)


def _is_due(o: Observation, policy: Policy, now: float) -> bool:
    """Return whether to send a reload now, for the first time or as a retry."""
    loading = o.configuration.loading
    if not o.child.was_ready or loading.is_loaded:
        return False
    if loading.reload_sent_at is None:
        return True
    is_soon = loading.needs_another_reload or loading.is_unsent
    pause_s = BUSY_PAUSE_S if is_soon else policy.reload_retry_s
    return now >= loading.reload_sent_at + pause_s
