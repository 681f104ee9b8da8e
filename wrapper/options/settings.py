"""Flags and environment → one frozen value, or all that is wrong with them at once; pure.

What holds of every ``Settings``: each value is valid in itself, and those that depend on each other
fit (``_RULES``); above all, between the renew deadline and the last moment there is time to step
down. What files hold, and whether they exist, is not known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wrapper.options.command_line import (
    CHILD,
    CommandLine,
    Given,
    complain,
    parse_command_line,
    parse_environment,
    question,
    unknown_variables,
)
from wrapper.options.durations import go_duration
from wrapper.options.flag_values import Address, Label, read_value
from wrapper.options.flags import FLAGS, Flag
from wrapper.options.usage import usage
from wrapper.targets.feed import Feed, has_known_ending

__all__ = ["FLAGS", "Address", "Label", "Settings", "SettingsError", "load", "question", "usage"]

LEASE_SHARE = 0.95  # clocks may run at rates that differ by 5 %
KILL_TIME_S = 0.3  # what a kill and the end of what is under way may take
LEAST_MARGIN_S = 0.001
JITTER = 1.2  # client-go's JitterFactor
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(?:\.{_DNS_LABEL.pattern})*")

LockKind = Literal["kubernetes", "file", "none"]
_LOCK_KINDS: dict[str, LockKind] = {"kubernetes": "kubernetes", "file": "file", "none": "none"}


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` are lines that each name one cause and its cure.

    ``settings`` are those asked for, with the default where a value was refused: good enough to
    look for further problems, for nothing else.
    """

    def __init__(self, problems: tuple[str, ...], settings: Settings) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.settings = settings


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


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    hostname: str,
    incarnation: str,
    pod_namespace: str = "",
) -> Settings:
    """Return the settings that the words after the program's name and the environment give.

    ``incarnation`` is a random word, used where POD_UID is not set; ``pod_namespace`` is the
    namespace that the service account's folder names. Raises SettingsError with all problems.
    """
    line = parse_command_line(argv)
    values = _read_values(line, environ)
    values["output_mode"] = values["output_mode"] or _default_mode(values["init"], line.child)
    settings = Settings(
        child=line.child,
        is_check=line.is_check,
        is_once=line.is_targets,
        targets_file=line.file,
        identity=environ.get("POD_NAME") or hostname,
        incarnation=environ.get("POD_UID") or incarnation,
        namespace=values["lease_namespace"] or pod_namespace,
        pod_name=environ.get("POD_NAME", ""),
        pod_namespace=environ.get("POD_NAMESPACE") or pod_namespace,
        pod_uid=environ.get("POD_UID", ""),
        is_in_pod=bool(environ.get("KUBERNETES_SERVICE_HOST")),
        unknown_variables=unknown_variables(environ),
        **values,
    )
    problems = (*line.problems, *_misfits(settings, line.broken))
    if problems:
        raise SettingsError(problems, settings)
    return settings


def _read_values(line: CommandLine, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return a value for each field; where its text is refused, the default."""
    given = parse_environment(environ) | line.given
    values = {}
    for flag in FLAGS:
        values[flag.field] = () if flag.is_repeatable else read_value(flag, flag.default)
        if flag.name in given:
            try:
                values[flag.field] = _read(flag, given[flag.name])
            except ValueError as error:
                line.refuse(complain(given[flag.name], str(error)), flag.name)
    return values


def _read(flag: Flag, given: Given) -> Any:
    if flag.is_parted:
        return tuple(read_value(flag, word) for text in given.texts for word in text.split())
    if flag.is_repeatable:
        return tuple(read_value(flag, text) for text in given.texts if text)
    return read_value(flag, given.text)


def _default_mode(is_init: bool, child: tuple[str, ...]) -> int:
    """Return the output's permissions: others may read it where Prometheus may be another user."""
    return 0o600 if child and not is_init else 0o644


# --- rules between several settings --------------------------------------------------------------


def _misfits(settings: Settings, broken: set[str]) -> Iterator[str]:
    """Yield what does not fit; a rule about a flag that is broken already has nothing to say."""
    for names, rule in _ONCE_RULES if settings.is_once else _RULES:
        if broken.isdisjoint(names):
            yield from rule(settings)


def _whole_seconds(settings: Settings) -> Iterator[str]:
    duration_s = settings.lease_duration_s
    if duration_s != int(duration_s):
        yield (
            f"--lease-duration ({go_duration(duration_s)}) is not in whole seconds, and a Lease "
            f"counts nothing else; set it to {math.ceil(duration_s)}s"
        )


def _time_to_step_down(settings: Settings) -> Iterator[str]:
    if round(settings.margin_s, 6) >= LEAST_MARGIN_S:
        return
    deadline_s = settings.lease_renew_deadline_s
    deadline = go_duration(deadline_s)
    duration = go_duration(settings.lease_duration_s)
    needed_s = round((deadline_s + KILL_TIME_S + LEAST_MARGIN_S) / LEASE_SHARE, 6)
    if settings.lease_duration_s <= deadline_s:
        wrong = f"--lease-duration ({duration}) is not above --lease-renew-deadline ({deadline})"
    else:
        wrong = (
            f"--lease-duration ({duration}) leaves no time to step down after "
            f"--lease-renew-deadline ({deadline}): 95 % of it less 0.3s must be above that"
        )
    yield f"{wrong}; set --lease-duration to {math.ceil(needed_s)}s or more, or the deadline lower"


def _time_to_retry(settings: Settings) -> Iterator[str]:
    least_s = round(settings.lease_retry_period_s * JITTER, 6)
    deadline_s = settings.lease_renew_deadline_s
    if deadline_s <= least_s:
        yield (
            f"--lease-renew-deadline ({go_duration(deadline_s)}) is not above {JITTER} times "
            f"--lease-retry-period ({go_duration(settings.lease_retry_period_s)}), so that one "
            f"slow renewal would end leadership; set the deadline above {go_duration(least_s)}, or "
            "the period lower"
        )


def _has_input(settings: Settings) -> Iterator[str]:
    if settings.config or settings.is_stand_in:
        return
    if settings.leader_config:
        yield (
            "--config: missing; --leader-config only says what the leader adds: name the whole "
            "Prometheus configuration with --config=FILE, or write -- and Prometheus' command"
        )
    else:
        yield (
            "--config: missing; name a file with a follower and a leader section, for example "
            "--config=/etc/prometheus-elector/config.yml"
        )


def _lease_has_name(settings: Settings) -> Iterator[str]:
    if settings.lease_lock == "kubernetes" and not settings.lease_name:
        yield (
            "--lease-name: missing, and --lease-lock=kubernetes needs it; give all replicas the "
            "same, for example --lease-name=prometheus"
        )


def _lease_can_be_named(settings: Settings) -> Iterator[str]:
    """Refuse what no API server takes (RFC 1123: a subdomain for the Lease, a label around it)."""
    if settings.lock_kind(has_overrides=True) != "kubernetes":
        return
    for flag, name, most, allowed in (
        ("lease-name", settings.lease_name, 253, _SUBDOMAIN),
        ("lease-namespace", settings.lease_namespace, 63, _DNS_LABEL),
    ):
        if name and not (len(name) <= most and allowed.fullmatch(name)):
            yield (
                f"--{flag}={name[:most]!r}: no such name can be; write lower-case letters, digits "
                f"and - between them, {most} at most, for example prometheus"
            )


def _label_has_pod(settings: Settings) -> Iterator[str]:
    if settings.lease_pod_label is None or settings.init:
        return
    if settings.lock_kind(has_overrides=True) != "kubernetes":
        yield (
            "--lease-pod-label: no Lease elects the leader, and only pods have labels; name the "
            "Lease with --lease-name, or leave the label out"
        )
    elif not settings.pod_name and not settings.is_check:
        yield (
            "--lease-pod-label: POD_NAME is not set, so that it is not known which pod to label; "
            "set that variable from the pod's own field metadata.name"
        )


def _proxy_finds_leader(settings: Settings) -> Iterator[str]:
    is_on_kubernetes = settings.lock_kind(has_overrides=True) == "kubernetes"
    is_unnamed = not settings.api_proxy_prometheus_service_name
    if settings.api_proxy_enabled and is_on_kubernetes and is_unnamed and not settings.init:
        yield (
            "--api-proxy-prometheus-service-name: missing, and --api-proxy-enabled needs it; name "
            "the StatefulSet's headless Service"
        )


def _output_is_known(settings: Settings) -> Iterator[str]:
    if not settings.output and not settings.child and not settings.is_check:
        yield (
            "--output: missing, and there is no command after -- to derive it from; name the file "
            "that Prometheus reads, for example --output=/etc/prometheus/prometheus.yml"
        )


def _sidecar_can_reload(settings: Settings) -> Iterator[str]:
    runs = not settings.init and not settings.is_check
    if not settings.notify_http_url and not settings.child and runs:
        yield (
            "--notify-http-url: missing, and there is no command after --, so that Prometheus is "
            "reloaded by HTTP; set for example --notify-http-url=http://127.0.0.1:9090/-/reload, "
            "or write -- and Prometheus' command"
        )


def _prints_what_is_checked(settings: Settings) -> Iterator[str]:
    if settings.print != "report" and not settings.is_check:
        yield (
            f"--print={settings.print}: only check prints; write prometheus-elector check "
            f"--print={settings.print} [flags]"
        )


def _feeds_are_apart(settings: Settings) -> Iterator[str]:
    paths = [feed.path for feed in settings.targets_url]
    for path in sorted({path for path in paths if paths.count(path) > 1}):
        yield f"--targets-url: {path} is named twice; give each URL a file of its own"


def _broker_has_feeds(settings: Settings) -> Iterator[str]:
    if settings.targets_broker and not settings.targets_url:
        yield (
            "--targets-url: missing, and --targets-broker needs it: a task says only that "
            "something has changed; name where from, and the file, for example "
            "http://promgen/api/v1/targets=/etc/prometheus/promgen.json"
        )


def _once_is_whole(settings: Settings) -> Iterator[str]:
    example = "prometheus-elector targets /etc/prometheus/promgen.json --from=http://promgen/…"
    if not settings.targets_file or not settings.from_:
        yield f"targets: it needs a FILE and --from=URL; write for example {example}"
    elif not has_known_ending(settings.targets_file):
        yield (
            f"targets {settings.targets_file}: the name does not say what it holds; let it end in "
            ".json for targets, in .yml for rules"
        )
    if settings.child:
        yield "targets: it starts nothing; leave out -- and the command after it"


def _only_once(settings: Settings) -> Iterator[str]:
    if settings.from_ or settings.reload:
        yield "--from and --reload belong to prometheus-elector targets FILE; leave them out here"


_Rules = tuple[tuple[tuple[str, ...], Callable[[Settings], Iterator[str]]], ...]
_ONCE_RULES: _Rules = ((("from",), _once_is_whole),)
_RULES: _Rules = (
    (("lease-duration",), _whole_seconds),
    (("lease-duration", "lease-renew-deadline"), _time_to_step_down),
    (("lease-renew-deadline", "lease-retry-period"), _time_to_retry),
    (("config", "leader-config", "init", CHILD), _has_input),
    (("lease-lock", "lease-name"), _lease_has_name),
    (("lease-lock", "lease-name", "lease-namespace"), _lease_can_be_named),
    (("lease-pod-label", "lease-lock", "lease-name", "init"), _label_has_pod),
    (
        ("api-proxy-enabled", "api-proxy-prometheus-service-name", "lease-lock", "lease-name"),
        _proxy_finds_leader,
    ),
    (("output", CHILD), _output_is_known),
    (("print",), _prints_what_is_checked),
    (("targets-url",), _feeds_are_apart),
    (("targets-url", "targets-broker"), _broker_has_feeds),
    (("from", "reload"), _only_once),
    (("notify-http-url", "init", CHILD), _sidecar_can_reload),
)
