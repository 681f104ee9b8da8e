"""The settings: frozen values in groups, each as a part of the program takes it; pure.

What holds of every ``Settings`` that was loaded (``loading``): each value is valid in itself, and
those that depend on each other fit (``fitting``). What files hold is not known here. Durations are
in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from wrapper.model.fetched_file import Feed
from wrapper.options.flag_groups import of
from wrapper.options.flag_values import Label
from wrapper.options.web_options import WebOptions

LEASE_SHARE = 0.95  # clocks may run at rates that differ by 5 %
KILL_TIME_S = 0.3  # what a kill and the end of what is under way may take
REQUEST_SHARE = 0.8  # of the retry period: one request has ended before the next is due

LockKind = Literal["kubernetes", "file", "none"]


class Mode(StrEnum):
    """What this program is to its Prometheus; it is decided once, by the settings alone."""

    OWNER = "owner"  # it starts it, and renders what it reads
    STAND_IN = "stand-in"  # likewise, made from the file that Prometheus would have read
    PLAIN = "plain"  # it starts it, and Prometheus reads its own file as it is
    SIDECAR = "sidecar"  # others start it
    INIT = "init"  # it is not started yet: its file is written

    @property
    def owns_child(self) -> bool:
        """Whether this program starts Prometheus itself."""
        return self not in {Mode.SIDECAR, Mode.INIT}

    @property
    def is_stand_in(self) -> bool:
        """Whether the input is the child's own configuration file."""
        return self in {Mode.STAND_IN, Mode.PLAIN}

    @property
    def is_plain(self) -> bool:
        """Whether Prometheus reads its own file as it is: nobody asked for anything else."""
        return self is Mode.PLAIN

    @property
    def is_init(self) -> bool:
        """Whether nothing is done but to write what Prometheus will read."""
        return self is Mode.INIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Who this is; ``incarnation`` tells two pods of one name apart.

    ``pod_name`` and ``pod_uid`` are "" where they are not known, ``pod_namespace`` where it is the
    lease's.
    """

    identity: str
    incarnation: str
    pod_name: str
    pod_namespace: str
    pod_uid: str
    is_in_pod: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """What is read, and where what is rendered goes."""

    config: str = of("config")
    leader_config: tuple[str, ...] = of("leader-config")
    envsubst: bool = of("config-envsubst")
    allow_unset: bool = of("config-envsubst-allow-unset")
    promtool: str = of("config-check")
    output: str = of("output")
    output_mode: int = of("output-mode")
    rehash_period_s: float = of("rehash-period")


@dataclass(frozen=True, slots=True)
class Lock:
    """What elects the leader; ``path`` is the lock file's, "" for another kind."""

    kind: LockKind
    path: str = ""


NO_LOCK = Lock("none")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """The election; ``namespace`` "" means that of the kubeconfig."""

    lock: str = of("lease-lock")
    role: str = of("role")
    name: str = of("lease-name")
    namespace: str = of("lease-namespace")
    pod_label: Label | None = of("lease-pod-label")  # noqa: RUF009 - a field as the others
    kubeconfig: str = of("kubeconfig")
    duration_s: float = of("lease-duration")
    renew_deadline_s: float = of("lease-renew-deadline")
    retry_period_s: float = of("lease-retry-period")

    @property
    def last_moment_s(self) -> float:
        """When a leader's Prometheus must be dead or demoted; the supervisor and the kernel agree.

        In seconds after the sending of the last renewal that was acknowledged.
        """
        return self.duration_s * LEASE_SHARE - KILL_TIME_S

    @property
    def margin_s(self) -> float:
        """The time between the end of leadership and the last moment."""
        return self.last_moment_s - self.renew_deadline_s

    @property
    def request_timeout_s(self) -> float:
        """The limit of one request to the API server."""
        return self.retry_period_s * REQUEST_SHARE

    @property
    def lock_word(self) -> str:
        """What --lease-lock says, without a path: one kind, or ``auto``."""
        return self.lock.partition(":")[0]

    @property
    def is_on_kubernetes(self) -> bool:
        """Whether a Lease elects the leader."""
        return self.lock_word == "kubernetes" or (self.lock_word == "auto" and bool(self.name))

    def lock_of(self, uid: int, has_overrides: bool) -> Lock:
        """Return what elects the leader among this user's replicas.

        ``auto`` depends on whether the leader has overrides.
        """
        if self.is_on_kubernetes:
            return Lock("kubernetes")
        is_file = has_overrides if self.lock_word == "auto" else self.lock_word == "file"
        return Lock("file", self.lock.partition(":")[2] or lock_path(uid)) if is_file else NO_LOCK


@dataclass(frozen=True, slots=True)
class Probing:
    """Where and how often to ask about Prometheus; an empty URL is not asked.

    The thresholds count answers in a row.
    """

    readiness_url: str = of("readiness-http-url")
    readiness_period_s: float = of("readiness-poll-period")
    readiness_timeout_s: float = of("readiness-timeout")
    health_url: str = of("healthcheck-http-url")
    health_period_s: float = of("healthcheck-period")
    health_timeout_s: float = of("healthcheck-timeout")
    failure_threshold: int = of("healthcheck-failure-threshold", default=3)
    success_threshold: int = of("healthcheck-success-threshold", default=3)


@dataclass(frozen=True, slots=True)
class Notifier:
    """How Prometheus is told to reload: by SIGHUP where ``url`` is empty, else over HTTP."""

    url: str = of("notify-http-url")
    method: str = of("notify-http-method")
    timeout_s: float = of("notify-timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long what is under way may take; the fields are those of ``Policy``."""

    demotion_grace_s: float = of("demotion-grace")
    prometheus_grace_s: float = of("prometheus-grace")
    web_grace_s: float = of("api-shutdown-grace-delay")
    reload_retry_s: float = of("notify-retry-delay")
    reload_attempts: int = of("notify-retry-max-attempts")
    cool_down_s: float = of("cool-down")

    @property
    def reload_limit_s(self) -> float:
        """How long a reload may stay unconfirmed."""
        return self.reload_retry_s * self.reload_attempts


@dataclass(frozen=True, slots=True)
class FeedTerms:
    """What holds for all feeds; ``shard`` "" for all groups.

    ``is_once``: the command asks, which remembers nothing.
    """

    interval_s: float = of("targets-interval")
    shard: str = of("targets-shard")
    allows_empty: bool = of("targets-allow-empty")
    largest: int = of("targets-max-size")
    is_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOptions:
    """Which files are fetched, from where, and when."""

    terms: FeedTerms
    feeds: tuple[Feed, ...] = of("targets-url")
    timeout_s: float = of("targets-timeout")
    http_config: str = of("targets-http-config")
    broker: str = of("targets-broker")
    queue: str = of("targets-queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """What ``check`` does, and what ``targets`` fetches: ``url`` into ``file``."""

    print: str = of("print")
    start: bool = of("start")
    syntax_only: bool = of("syntax-only")
    file: str
    url: str = of("from")
    reload: bool = of("reload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked for.

    ``child`` is the command after ``--``; without one this is a sidecar. ``is_check``: nothing is
    to be started, only looked at; ``is_once``: likewise, and a file is to be fetched.
    """

    child: tuple[str, ...]
    is_check: bool
    is_once: bool
    mode: Mode
    replica: Replica
    files: FileOptions
    lease: LeaseOptions
    probing: Probing
    notifier: Notifier
    patience: TimeLimits
    targets: TargetsOptions
    command: CommandOptions
    web: WebOptions
    unknown_variables: tuple[str, ...]

    @property
    def has_input(self) -> bool:
        """Whether it is known what configuration to read."""
        return bool(self.files.config) or self.mode.is_stand_in


def mode_of(child: tuple[str, ...], files: FileOptions, lease: LeaseOptions, *, init: bool) -> Mode:
    """Return what this program is to its Prometheus."""
    if init:
        return Mode.INIT
    if not child:
        return Mode.SIDECAR
    if files.config:
        return Mode.OWNER
    renders = files.leader_config or files.envsubst or files.promtool or files.output
    elects = lease.name or lease.lock_word not in {"auto", "none"}
    return Mode.STAND_IN if renders or elects else Mode.PLAIN


def lock_path(uid: int) -> str:
    """Return the lock file that all replicas of one user find by themselves.

    It depends on nothing but the user: were it taken from the environment ($XDG_RUNTIME_DIR,
    $TMPDIR), two replicas started in different sessions would each win an election of their own.
    """
    return f"/tmp/prometheus-elector-{uid}/election.lock"  # noqa: S108 - its owner is checked
