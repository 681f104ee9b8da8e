"""The settings: one frozen value with a field for each flag, and what follows from them; pure.

What holds of every ``Settings`` that was loaded (``loading``): each value is valid in itself, and
those that depend on each other fit (``fitting``). What files hold is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wrapper.options.flag_values import Address, Label
from wrapper.targets.feed import Feed

LEASE_SHARE = 0.95  # clocks may run at rates that differ by 5 %
KILL_TIME_S = 0.3  # what a kill and the end of what is under way may take

LockKind = Literal["kubernetes", "file", "none"]
_LOCK_KINDS: dict[str, LockKind] = {"kubernetes": "kubernetes", "file": "file", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked for: a field for each flag, durations in seconds, and who this replica is.

    ``child`` is the command after ``--``; without one this is a sidecar. ``is_check``: nothing is
    to be started, only looked at; ``is_once``: likewise, and ``targets_file`` is to be fetched.
    ``incarnation`` tells two pods of one name apart. ``namespace`` "" means that of the kubeconfig.
    ``pod_name`` and ``pod_uid`` are "" where they are not known, ``pod_namespace`` where it is the
    lease's.
    """

    child: tuple[str, ...]
    is_check: bool
    is_once: bool
    targets_file: str
    identity: str
    incarnation: str
    namespace: str
    pod_name: str
    pod_namespace: str
    pod_uid: str
    is_in_pod: bool
    unknown_variables: tuple[str, ...]

    config: str
    leader_config: tuple[str, ...]
    config_envsubst: bool
    config_envsubst_allow_unset: bool
    config_check: str
    output: str
    output_mode: int
    rehash_period_s: float
    init: bool

    print: str
    start: bool
    syntax_only: bool

    lease_lock: str
    role: str
    lease_name: str
    lease_namespace: str
    lease_pod_label: Label | None
    kubeconfig: str
    lease_duration_s: float
    lease_renew_deadline_s: float
    lease_retry_period_s: float
    demotion_grace_s: float
    cool_down_s: float

    prometheus_grace_s: float
    readiness_http_url: str
    readiness_poll_period_s: float
    readiness_timeout_s: float
    healthcheck_http_url: str
    healthcheck_period_s: float
    healthcheck_timeout_s: float
    healthcheck_failure_threshold: int
    healthcheck_success_threshold: int
    notify_http_url: str
    notify_http_method: str
    notify_timeout_s: float
    notify_retry_max_attempts: int
    notify_retry_delay_s: float
    prometheus_http_config: str

    targets_url: tuple[Feed, ...]
    targets_interval_s: float
    targets_timeout_s: float
    targets_max_size: int
    targets_http_config: str
    targets_allow_empty: bool
    targets_shard: str
    targets_broker: str
    targets_queue: str
    from_: str
    reload: bool

    api_listen_address: Address
    web_config_file: str
    peers: tuple[str, ...]
    api_workers: int
    api_shutdown_grace_delay_s: float
    api_proxy_enabled: bool
    api_proxy_prometheus_local_port: int
    api_proxy_prometheus_remote_port: int
    api_proxy_prometheus_service_name: str
    api_proxy_connect_timeout_s: float
    api_proxy_idle_timeout_s: float
    api_proxy_admin: bool
    api_proxy_max_body: int
    runtime_metrics: bool

    log_level: str
    log_format: str

    @property
    def last_moment_s(self) -> float:
        """When a leader's Prometheus must be dead or demoted; the supervisor and the kernel agree.

        In seconds after the sending of the last renewal that was acknowledged.
        """
        return self.lease_duration_s * LEASE_SHARE - KILL_TIME_S

    @property
    def margin_s(self) -> float:
        """The time between the end of leadership and the last moment."""
        return self.last_moment_s - self.lease_renew_deadline_s

    @property
    def owns_child(self) -> bool:
        """Whether this program starts Prometheus itself."""
        return bool(self.child) and not self.init

    @property
    def is_stand_in(self) -> bool:
        """Whether the input is the child's own configuration file."""
        return self.owns_child and not self.config

    @property
    def has_input(self) -> bool:
        """Whether it is known what configuration to read."""
        return bool(self.config) or self.is_stand_in

    @property
    def is_plain(self) -> bool:
        """Whether Prometheus reads its own file as it is: nobody asked for anything else."""
        renders = self.leader_config or self.config_envsubst or self.config_check or self.output
        elects = self.lease_name or self.lock_word not in {"auto", "none"}
        return self.is_stand_in and not (renders or elects)

    @property
    def lock_word(self) -> str:
        """What --lease-lock says, without a path: one kind, or ``auto``."""
        return self.lease_lock.partition(":")[0]

    def lock_kind(self, *, has_overrides: bool) -> LockKind:
        """Return what elects the leader; ``auto`` depends on whether the leader has overrides."""
        if self.lock_word != "auto":
            return _LOCK_KINDS[self.lock_word]
        if self.lease_name:
            return "kubernetes"
        return "file" if has_overrides else "none"

    def lock_path(self, *, has_overrides: bool, uid: int) -> str | None:
        """Return the lock file of this user's replicas; None where no file elects the leader."""
        if self.lock_kind(has_overrides=has_overrides) != "file":
            return None
        return self.lease_lock.partition(":")[2] or lock_path(uid)


def lock_path(uid: int) -> str:
    """Return the lock file that all replicas of one user find by themselves.

    It depends on nothing but the user: were it taken from the environment ($XDG_RUNTIME_DIR,
    $TMPDIR), two replicas started in different sessions would each win an election of their own.
    """
    return f"/tmp/prometheus-elector-{uid}/election.lock"  # noqa: S108 - its owner is checked
