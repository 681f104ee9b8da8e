"""The settings that the plan depends on, as one immutable value; pure."""

from __future__ import annotations

from dataclasses import dataclass

from wrapper.election.lease_rules import LeaseTerms
from wrapper.model.roles import Role


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that the plan depends on; durations are in seconds.

    - ``terms``: the durations of the lease, and this replica's identity.
    - ``fixed_role``: the role of ``--role`` if there is no election, else None.
    - ``owns_child``: whether this program has started Prometheus; false for a sidecar.
    - ``is_plain``: Prometheus reads its own file, which this program does not render.
    - ``can_re_execute``: Prometheus can be restarted with the configuration that was last in force.
    - ``shorten_lease``: the command that shortens the lease of a holder that no longer exists, ""
      if it is never needed.
    - ``failure_threshold``, ``success_threshold``: numbers of health probes of Prometheus.
    - ``gate_memory_bytes``: how many bytes the gate may hold, 0 without a gate.
    - ``is_lock_file``: the lease is a lock file, which is free once this process and Prometheus
      have ended.
    """

    terms: LeaseTerms
    fixed_role: Role | None = None
    owns_child: bool = True
    is_plain: bool = False
    can_re_execute: bool = False
    serves_web: bool = True
    demotion_grace_s: float = 8.0
    prometheus_grace_s: float = 20.0
    web_grace_s: float = 15.0
    reload_retry_s: float = 10.0
    reload_attempts: int = 5
    cool_down_s: float = 10.0
    shorten_lease: str = ""
    failure_threshold: int = 3
    success_threshold: int = 3
    step_down_pause_s: float = 30.0
    gate_memory_bytes: int = 0
    is_lock_file: bool = False

    @property
    def reload_limit_s(self) -> float:
        """How long to wait until a reload is confirmed, over all attempts."""
        return self.reload_retry_s * self.reload_attempts
