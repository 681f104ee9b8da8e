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
from wrapper.options.flag_fields import of
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
    def is_stand_in(self) -> bool:
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
    """The lock that elects the leader. ``path`` is that of a lock file; "" for another kind."""

    kind: LockKind
    path: str = ""


NO_LOCK = Lock("none")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """The options of the election. ``namespace`` "" means that of the kubeconfig."""

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

    enabled: bool = of("remote-write-gate")
    address: Address = of("remote-write-gate-listen-address")  # noqa: RUF009 - a field as the others
    memory_bytes: int = of("gate-memory")


@dataclass(frozen=True, slots=True)
class Probing:
    """Readiness and health checks. With an empty URL, there is no check.

    The thresholds count consecutive answers.
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
    """The way to reload Prometheus: over HTTP, or by SIGHUP if ``url`` is empty."""

    url: str = of("notify-http-url")
    method: str = of("notify-http-method")
    timeout_s: float = of("notify-timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """The time limits of the plan. The fields are those of ``Policy`` in ``supervision``."""

    demotion_grace_s: float = of("demotion-grace")
    prometheus_grace_s: float = of("prometheus-grace")
    web_grace_s: float = of("api-shutdown-grace-delay")
    reload_retry_s: float = of("notify-retry-delay")
    reload_attempts: int = of("notify-retry-max-attempts")
    cool_down_s: float = of("cool-down")

    @property
    def reload_limit_s(self) -> float:
        """The longest time that a reload may stay unconfirmed."""
        return self.reload_retry_s * self.reload_attempts


@dataclass(frozen=True, slots=True)
class FeedTerms:
    """The options that all feeds share.

    - ``shard``: the only shard whose groups are used; "" for all groups;
    - ``allows_empty``: an empty answer may replace the file at once;
    - ``largest``: the largest answer, in bytes;
    - ``is_once``: the command ``targets`` fetches, which does not remember its last run.
    """

    interval_s: float = of("targets-interval")
    shard: str = of("targets-shard")
    allows_empty: bool = of("targets-allow-empty")
    largest: int = of("targets-max-size")
    is_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOptions:
    """The files to fetch, with their URLs and times."""

    terms: FeedTerms
    feeds: tuple[Feed, ...] = of("targets-url")
    timeout_s: float = of("targets-timeout")
    http_config: str = of("targets-http-config")
    broker: str = of("targets-broker")
    queue: str = of("targets-queue")

    @property
    def fetches_rules(self) -> bool:
        """Whether a feed has rules, whose changes need a reload of Prometheus."""
        return any(feed.kind is FileKind.RULES for feed in self.feeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """The options of ``check``, and of ``targets``, which fetches ``url`` into ``file``."""

    print: str = of("print")
    start: bool = of("start")
    syntax_only: bool = of("syntax-only")
    file: str
    url: str = of("from")
    reload: bool = of("reload")


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
    probing: Probing
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
        return bool(self.files.config) or self.mode.is_stand_in


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
