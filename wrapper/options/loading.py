"""Builds the settings from flags and environment, or reports all problems at once; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wrapper.options.command_line import (
    CommandLine,
    FlagText,
    complain,
    parse_command_line,
    parse_environment,
    unknown_variables,
)
from wrapper.options.flag import Flag
from wrapper.options.flag_constraints import violations
from wrapper.options.flag_fields import build
from wrapper.options.flag_values import read_value
from wrapper.options.flags import FLAGS
from wrapper.options.log_options import LogOptions, level_of
from wrapper.options.prometheus_args import ChildArguments
from wrapper.options.settings import (
    CommandOptions,
    FeedOptions,
    FileOptions,
    Gate,
    HealthChecks,
    LeaseOptions,
    Notifier,
    Replica,
    Settings,
    TargetsOptions,
    TimeLimits,
    mode_of,
)
from wrapper.options.web_options import WebOptions

_LONGEST = 1000  # characters of a problem


class SettingsError(Exception):
    """The settings cannot be used. Each line of ``problems`` has one cause and its cure.

    ``settings`` has the default in place of each refused value. Use it only to look for further
    problems.
    """

    def __init__(self, problems: tuple[str, ...], settings: Settings) -> None:
        self.problems = tuple(map(_on_one_line, problems))
        super().__init__("\n".join(self.problems))
        self.settings = settings


def _on_one_line(problem: str) -> str:
    """Return a problem on one line. If it is long, its middle (the value) is cut, not its cure."""
    text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in problem)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    hostname: str,
    incarnation: str,
    pod_namespace: str = "",
) -> Settings:
    """Return the settings by these arguments and this environment; raise SettingsError.

    ``incarnation`` is a random word, used if POD_UID is not set; ``pod_namespace`` is the namespace
    in the service account's folder.
    """
    line = parse_command_line(argv)
    values = _read_values(line, environ)
    values["output-mode"] = values["output-mode"] or _default_mode(values["init"], line.child)
    values["lease-namespace"] = values["lease-namespace"] or pod_namespace
    files, lease = build(FileOptions, values), build(LeaseOptions, values)
    settings = Settings(
        child=line.child,
        is_check=line.is_check,
        is_once=line.is_targets,
        mode=mode_of(line.child, files, lease, init=values["init"]),
        replica=Replica(
            identity=environ.get("POD_NAME") or hostname,
            incarnation=environ.get("POD_UID") or incarnation,
            pod_name=environ.get("POD_NAME", ""),
            pod_namespace=environ.get("POD_NAMESPACE") or pod_namespace,
            pod_uid=environ.get("POD_UID", ""),
            is_in_pod=bool(environ.get("KUBERNETES_SERVICE_HOST")),
        ),
        files=files,
        lease=lease,
        gate=build(Gate, values),
        health_checks=build(HealthChecks, values),
        notifier=build(Notifier, values),
        time_limits=build(TimeLimits, values),
        targets=_targets(values, is_once=line.is_targets),
        command=build(CommandOptions, values, file=line.file),
        web=_web(values),
        log=_log(values, ChildArguments.parse(line.child)),
        unknown_variables=unknown_variables(environ),
    )
    problems = (*line.problems, *violations(settings, line.broken))
    if problems:
        raise SettingsError(problems, settings)
    return settings


def _targets(values: Mapping[str, Any], *, is_once: bool) -> TargetsOptions:
    return build(TargetsOptions, values, feed_options=build(FeedOptions, values, is_once=is_once))


def _web(values: Mapping[str, Any]) -> WebOptions:
    """Return the web process' options, except those that are known only when it is started."""
    address, service = values["api-listen-address"], values["api-proxy-prometheus-service-name"]
    return build(
        WebOptions,
        values,
        host=address.host,
        port=address.port,
        peers=values["peers"] or tuple(filter(None, (service,))),
    )


def _log(values: Mapping[str, Any], child: ChildArguments) -> LogOptions:
    """Return the log options: our own flags, or else those in Prometheus' arguments."""
    level = level_of(values["log-level"], child)
    return build(LogOptions, values, level=level, is_child_json=child.log_format == "json")


def _read_values(line: CommandLine, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each flag by name; the default if its text is refused."""
    given = parse_environment(environ) | line.given
    values = {}
    for flag in FLAGS:
        values[flag.name] = () if flag.is_repeatable else read_value(flag, flag.default)
        if flag.name in given:
            try:
                values[flag.name] = _read(flag, given[flag.name])
            except ValueError as error:
                line.refuse(complain(given[flag.name], str(error)), flag.name)
    return values


def _read(flag: Flag, given: FlagText) -> Any:
    if flag.splits_on_whitespace:
        return tuple(read_value(flag, word) for text in given.texts for word in text.split())
    if flag.is_repeatable:
        return tuple(read_value(flag, text) for text in given.texts if text)
    return read_value(flag, given.text)


def _default_mode(is_init: bool, child: tuple[str, ...]) -> int:
    """Return the output's permissions: readable for all if Prometheus may have another user."""
    return 0o600 if child and not is_init else 0o644
