"""The settings: frozen values, in a group for each part of the program; pure.

Guarantee: in settings from ``loading``, each value is valid (``flag_values``), and values that
depend on each other fit (``flag_constraints``).

Durations are in seconds. No file is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from wrapper.model.fetched_file import Feed, FileKind
from wrapper.options.flag_fields import flag_field
from wrapper.options.flag_values import Address, Label
from wrapper.options.log_options import LogOptions
from wrapper.options.web_options import WebOptions

LEASE_SHARE = 0.95  # the rates of two clocks may differ by 5 %
KILL_TIME_S = 0.3  # time to kill Prometheus and to end its requests
REQUEST_SHARE = 0.8  # part of the retry period, so that a request ends before the next is due

LockKind = Literal["kubernetes", "file", "none"]


class Mode(StrEnum):
    """How this program starts and configures its Prometheus; only the settings decide that."""

    OWNER = "owner"  # starts Prometheus with a rendering of --config
    STAND_IN = "stand-in"  # starts Prometheus with a rendering of Prometheus' own --config.file
    PLAIN = "plain"  # starts Prometheus, which reads its own file unchanged
    SIDECAR = "sidecar"  # another program starts Prometheus
    INIT = "init"  # only writes the file, for a Prometheus that starts later

    @property
    def owns_child(self) -> bool:
        """Whether this program starts Prometheus itself."""
        return self not in {Mode.SIDECAR, Mode.INIT}

    @property
    def reads_child_config(self) -> bool:
        """Whether the input is the child's own configuration file."""
        return self in {Mode.STAND_IN, Mode.PLAIN}

    @property
    def is_plain(self) -> bool:
        """Whether Prometheus reads its own file unchanged."""
        return self is Mode.PLAIN

    @property
    def is_init(self) -> bool:
        """Whether this program only writes the file for Prometheus."""
        return self is Mode.INIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """This replica.

    - ``identity``: its name on the lease;
    - ``incarnation``: what distinguishes two pods of the same name;
    - ``pod_name``, ``pod_uid``: "" if not known;
    - ``pod_namespace``: "" for the lease's namespace;
    - ``is_in_pod``: whether this program runs in a pod.
    """

    identity: str
    incarnation: str
    pod_name: str
    pod_namespace: str
    pod_uid: str
    is_in_pod: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """The input files, and the output."""

    config: str = flag_field("config")
    leader_config: tuple[str, ...] = flag_field("leader-config")
    envsubst: bool = flag_field("config-envsubst")
    allow_unset: bool = flag_field("config-envsubst-allow-unset")
    promtool: str = flag_field("config-check")
    output: str = flag_field("output")
    output_mode: int = flag_field("output-mode")
    rehash_period_s: float = flag_field("rehash-period")


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock that elects the leader. ``path`` is that of a lock file; "" for another kind."""

    kind: LockKind
    path: str = ""


NO_LOCK = Lock("none")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """The options of the election. ``namespace`` "" means that of the kubeconfig."""

    lock: str = flag_field("lease-lock")
    role: str = flag_field("role")
    name: str = flag_field("lease-name")
    namespace: str = flag_field("lease-namespace")
    pod_label: Label | None = flag_field("lease-pod-label")  # noqa: RUF009 - a field as the others
    kubeconfig: str = flag_field("kubeconfig")
    duration_s: float = flag_field("lease-duration")
    renew_deadline_s: float = flag_field("lease-renew-deadline")
    retry_period_s: float = flag_field("lease-retry-period")

    @property
    def last_moment_s(self) -> float:
        """The time by which a leader's Prometheus must be demoted or dead.

        In seconds after the last acknowledged renewal was sent. The supervisor and the kernel's
        timer both use it.
        """
        return self.duration_s * LEASE_SHARE - KILL_TIME_S

    @property
    def margin_s(self) -> float:
        """The time from the renew deadline to the last moment."""
        return self.last_moment_s - self.renew_deadline_s

    @property
    def request_timeout_s(self) -> float:
        """The time limit of one request to the API server."""
        return self.retry_period_s * REQUEST_SHARE

    @property
    def lock_word(self) -> str:
        """The value of --lease-lock without a path: a kind, or ``auto``."""
        return self.lock.partition(":")[0]

    @property
    def is_on_kubernetes(self) -> bool:
        """Whether a Lease elects the leader."""
        return self.lock_word == "kubernetes" or (self.lock_word == "auto" and bool(self.name))

    def lock_of(self, uid: int, has_overrides: bool) -> Lock:
        """Return the lock that elects the leader among this user's replicas.

        With ``auto``, the lock depends on whether the leader has overrides.
        """
        if self.is_on_kubernetes:
            return Lock("kubernetes")
        is_file = has_overrides if self.lock_word == "auto" else self.lock_word == "file"
        return Lock("file", self.lock.partition(":")[2] or lock_path(uid)) if is_file else NO_LOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The options of the gate, which listens on a loopback address."""

    enabled: bool = flag_field("remote-write-gate")
    address: Address = flag_field("remote-write-gate-listen-address")  # noqa: RUF009 - a field as the others
    memory_bytes: int = flag_field("gate-memory")


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """Readiness and health checks. With an empty URL, there is no check.

    The thresholds count consecutive answers.
    """

    readiness_url: str = flag_field("readiness-http-url")
    readiness_period_s: float = flag_field("readiness-poll-period")
    readiness_timeout_s: float = flag_field("readiness-timeout")
    health_url: str = flag_field("healthcheck-http-url")
    health_period_s: float = flag_field("healthcheck-period")
    health_timeout_s: float = flag_field("healthcheck-timeout")
    failure_threshold: int = flag_field("healthcheck-failure-threshold", default=3)
    success_threshold: int = flag_field("healthcheck-success-threshold", default=3)


@dataclass(frozen=True, slots=True)
class Notifier:
    """The way to reload Prometheus: over HTTP, or by SIGHUP if ``url`` is empty."""

    url: str = flag_field("notify-http-url")
    method: str = flag_field("notify-http-method")
    timeout_s: float = flag_field("notify-timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """The time limits of the plan. The fields are those of ``Policy`` in ``supervision``."""

    demotion_grace_s: float = flag_field("demotion-grace")
    prometheus_grace_s: float = flag_field("prometheus-grace")
    web_grace_s: float = flag_field("api-shutdown-grace-delay")
    reload_retry_s: float = flag_field("notify-retry-delay")
    reload_attempts: int = flag_field("notify-retry-max-attempts")
    cool_down_s: float = flag_field("cool-down")

    @property
    def reload_limit_s(self) -> float:
        """The longest time that a reload may stay unconfirmed."""
        return self.reload_retry_s * self.reload_attempts


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """The options that all feeds share.

    - ``shard``: the only shard whose groups are used; "" for all groups;
    - ``allows_empty``: an empty answer may replace the file at once;
    - ``largest``: the largest answer, in bytes;
    - ``is_once``: the command ``targets`` fetches, which does not remember its last run.
    """

    interval_s: float = flag_field("targets-interval")
    shard: str = flag_field("targets-shard")
    allows_empty: bool = flag_field("targets-allow-empty")
    largest: int = flag_field("targets-max-size")
    is_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOptions:
    """The files to fetch, with their URLs and times."""

    feed_options: FeedOptions
    feeds: tuple[Feed, ...] = flag_field("targets-url")
    timeout_s: float = flag_field("targets-timeout")
    http_config: str = flag_field("targets-http-config")
    broker: str = flag_field("targets-broker")
    queue: str = flag_field("targets-queue")

    @property
    def fetches_rules(self) -> bool:
        """Whether a feed has rules, whose changes need a reload of Prometheus."""
        return any(feed.kind is FileKind.RULES for feed in self.feeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """The options of ``check``, and of ``targets``, which fetches ``url`` into ``file``."""

    print: str = flag_field("print")
    start: bool = flag_field("start")
    syntax_only: bool = flag_field("syntax-only")
    file: str
    url: str = flag_field("from")
    reload: bool = flag_field("reload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings.

    ``child`` is the command after ``--``; without one, this is a sidecar. ``is_check`` means the
    command ``check``, and ``is_once`` the command ``targets``.
    """

    child: tuple[str, ...]
    is_check: bool
    is_once: bool
    mode: Mode
    replica: Replica
    files: FileOptions
    lease: LeaseOptions
    gate: Gate
    health_checks: HealthChecks
    notifier: Notifier
    time_limits: TimeLimits
    targets: TargetsOptions
    command: CommandOptions
    web: WebOptions
    log: LogOptions
    unknown_variables: tuple[str, ...]

    @property
    def has_input(self) -> bool:
        """Whether there is a configuration to read."""
        return bool(self.files.config) or self.mode.reads_child_config


def mode_of(child: tuple[str, ...], files: FileOptions, lease: LeaseOptions, *, init: bool) -> Mode:
    """Return how this program starts and configures its Prometheus."""
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
    """Return the default lock file of a user's replicas.

    It depends only on the user. If it depended on the environment ($XDG_RUNTIME_DIR, $TMPDIR),
    replicas of different sessions would use different files, and each would elect itself.
    """
    return f"/tmp/prometheus-elector-{uid}/election.lock"  # noqa: S108 - its owner is checked
