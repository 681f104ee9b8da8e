"""Checks that settings fit together, with the error texts for those that do not; pure.

A rule is about a few flags. It is skipped if one of them has a problem already.

Guarantee, on which safety depends: between the renew deadline and the last moment there is time to
step down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from wrapper.base.durations import go_duration
from wrapper.model.fetched_file import has_known_ending
from wrapper.options.command_line import CHILD
from wrapper.options.gate_constraints import (
    gate_has_memory,
    gate_has_own_port,
    gate_has_rendering,
    gate_is_local,
)
from wrapper.options.settings import KILL_TIME_S, LEASE_SHARE, Settings

LEAST_MARGIN_S = 0.001
JITTER = 1.2  # client-go's JitterFactor
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(?:\.{_DNS_LABEL.pattern})*")


def violations(settings: Settings, broken: set[str]) -> Iterator[str]:
    """Yield a line for each violated rule, except rules about ``broken`` flags."""
    for names, rule in _ONCE_RULES if settings.is_once else _RULES:
        if broken.isdisjoint(names):
            yield from rule(settings)


def _whole_seconds(settings: Settings) -> Iterator[str]:
    duration_s = settings.lease.duration_s
    if duration_s != int(duration_s):
        yield (
            f"--lease-duration ({go_duration(duration_s)}) is not in whole seconds, as a Lease "
            f"requires; set it to {math.ceil(duration_s)}s"
        )


def _time_to_step_down(settings: Settings) -> Iterator[str]:
    if round(settings.lease.margin_s, 6) >= LEAST_MARGIN_S:
        return
    deadline_s = settings.lease.renew_deadline_s
    deadline = go_duration(deadline_s)
    duration = go_duration(settings.lease.duration_s)
    needed_s = round((deadline_s + KILL_TIME_S + LEAST_MARGIN_S) / LEASE_SHARE, 6)
    if settings.lease.duration_s <= deadline_s:
        wrong = f"--lease-duration ({duration}) is not above --lease-renew-deadline ({deadline})"
    else:
        wrong = (
            f"--lease-duration ({duration}) leaves no time to step down after "
            f"--lease-renew-deadline ({deadline}): 95 % of it less 0.3s must be above that"
        )
    yield f"{wrong}; set --lease-duration to {math.ceil(needed_s)}s or more, or the deadline lower"


def _time_to_retry(settings: Settings) -> Iterator[str]:
    least_s = round(settings.lease.retry_period_s * JITTER, 6)
    deadline_s = settings.lease.renew_deadline_s
    if deadline_s <= least_s:
        yield (
            f"--lease-renew-deadline ({go_duration(deadline_s)}) is not above {JITTER} times "
            f"--lease-retry-period ({go_duration(settings.lease.retry_period_s)}), so that one "
            f"slow renewal would end leadership; set the deadline above {go_duration(least_s)}, or "
            "the period lower"
        )


def _is_unconfigured(settings: Settings) -> bool:
    """Return whether nothing is configured: no command to run, and no file to read or write."""
    files = settings.files
    named = (files.config, files.leader_config, files.output, settings.child)
    return not any((*named, settings.mode.is_init, settings.is_check))


def _is_configured(settings: Settings) -> Iterator[str]:
    """Check that something is configured, so that new users get one message instead of three."""
    if _is_unconfigured(settings):
        yield (
            "nothing says what to run: write Prometheus' command after --, and what the leader "
            "adds in a file, for example prometheus-elector --leader-config=leader.yml -- "
            "prometheus --config.file=/etc/prometheus/prometheus.yml; --help has more examples, "
            "also for a sidecar"
        )


def _has_input(settings: Settings) -> Iterator[str]:
    if settings.has_input or _is_unconfigured(settings):
        return
    if settings.files.leader_config:
        yield (
            "--config: missing; --leader-config only says what the leader adds: name the whole "
            "Prometheus configuration with --config=FILE, or write -- and Prometheus' command"
        )
    else:
        yield (
            "--config: missing; name a file with a follower and a leader section, for example "
            "--config=/etc/prometheus-elector/config.yml; --help has more examples"
        )


def _lease_has_name(settings: Settings) -> Iterator[str]:
    if settings.lease.lock == "kubernetes" and not settings.lease.name:
        yield (
            "--lease-name: missing, and --lease-lock=kubernetes needs it; give all replicas the "
            "same, for example --lease-name=prometheus"
        )


def _lease_can_be_named(settings: Settings) -> Iterator[str]:
    """Check by RFC 1123, as the API server does: a subdomain (Lease), a label (namespace)."""
    if not settings.lease.is_on_kubernetes:
        return
    for flag, name, most, allowed in (
        ("lease-name", settings.lease.name, 253, _SUBDOMAIN),
        ("lease-namespace", settings.lease.namespace, 63, _DNS_LABEL),
    ):
        if name and not (len(name) <= most and allowed.fullmatch(name)):
            yield (
                f"--{flag}={name[:most]!r}: not a valid name; use lower-case letters, digits and - "
                f"between them, at most {most}, for example prometheus"
            )


def _label_has_pod(settings: Settings) -> Iterator[str]:
    if settings.lease.pod_label is None or settings.mode.is_init:
        return
    if not settings.lease.is_on_kubernetes:
        yield (
            "--lease-pod-label: it needs an election by a Lease of Kubernetes; name the Lease with "
            "--lease-name, or remove the label"
        )
    elif not settings.replica.pod_name and not settings.is_check:
        yield (
            "--lease-pod-label: the pod to label is not known, because POD_NAME is not set; set "
            "that variable from the pod's own field metadata.name"
        )


def _proxy_finds_leader(settings: Settings) -> Iterator[str]:
    is_on_kubernetes = settings.lease.is_on_kubernetes
    is_unnamed = not settings.web.service_name
    if settings.web.proxy_enabled and is_on_kubernetes and is_unnamed and not settings.mode.is_init:
        yield (
            "--api-proxy-prometheus-service-name: missing, and --api-proxy-enabled needs it; name "
            "the StatefulSet's headless Service"
        )


def _output_is_known(settings: Settings) -> Iterator[str]:
    is_known = settings.files.output or settings.child or settings.is_check
    if not is_known and not _is_unconfigured(settings):
        yield (
            "--output: missing, and there is no command after -- to derive it from; name the file "
            "that Prometheus reads, for example --output=/etc/prometheus/prometheus.yml"
        )


def _sidecar_can_reload(settings: Settings) -> Iterator[str]:
    runs = not (settings.mode.is_init or settings.is_check or _is_unconfigured(settings))
    if not settings.notifier.url and not settings.child and runs:
        yield (
            "--notify-http-url: missing, and a sidecar reloads Prometheus over HTTP; set for "
            "example --notify-http-url=http://127.0.0.1:9090/-/reload, or write -- and Prometheus' "
            "command"
        )


def _prints_what_is_checked(settings: Settings) -> Iterator[str]:
    if settings.command.print != "report" and not settings.is_check:
        yield (
            f"--print={settings.command.print}: only check prints; write prometheus-elector check "
            f"--print={settings.command.print} [flags]"
        )


def _only_check(settings: Settings) -> Iterator[str]:
    if (settings.command.start or settings.command.syntax_only) and not settings.is_check:
        yield "--start, --syntax-only: only prometheus-elector check has these flags; remove them"


def _feeds_are_apart(settings: Settings) -> Iterator[str]:
    paths = [feed.path for feed in settings.targets.feeds]
    for path in sorted({path for path in paths if paths.count(path) > 1}):
        yield f"--targets-url: {path} is given twice; write each URL to a file of its own"


def _broker_has_feeds(settings: Settings) -> Iterator[str]:
    if settings.targets.broker and not settings.targets.feeds:
        yield (
            "--targets-url: missing, and --targets-broker needs it: a task says only that "
            "something has changed; name URL and file, for example "
            "http://promgen/api/v1/targets=/etc/prometheus/promgen.json"
        )


def _once_is_whole(settings: Settings) -> Iterator[str]:
    example = "prometheus-elector targets /etc/prometheus/promgen.json --from=http://promgen/…"
    if not settings.command.file or not settings.command.url:
        yield f"targets: it needs a FILE and --from=URL; write for example {example}"
    elif not has_known_ending(settings.command.file):
        yield (
            f"targets {settings.command.file}: the file's ending does not say what it holds; use "
            ".json for targets, .yml for rules"
        )
    if settings.child:
        yield "targets: this command starts nothing; remove -- and the command after it"


def _only_once(settings: Settings) -> Iterator[str]:
    if settings.command.url or settings.command.reload:
        yield "--from, --reload: only prometheus-elector targets FILE has these flags; remove them"


_Rules = tuple[tuple[tuple[str, ...], Callable[[Settings], Iterator[str]]], ...]
_ONCE_RULES: _Rules = ((("from",), _once_is_whole),)
_RULES: _Rules = (
    (("lease-duration",), _whole_seconds),
    (("lease-duration", "lease-renew-deadline"), _time_to_step_down),
    (("lease-renew-deadline", "lease-retry-period"), _time_to_retry),
    (("config", "leader-config", "output", "init", CHILD), _is_configured),
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
    (("start", "syntax-only"), _only_check),
    (("targets-url",), _feeds_are_apart),
    (("targets-url", "targets-broker"), _broker_has_feeds),
    (("from", "reload"), _only_once),
    (("notify-http-url", "init", CHILD), _sidecar_can_reload),
    (("remote-write-gate-listen-address",), gate_is_local),
    (
        ("remote-write-gate", "remote-write-gate-listen-address", "api-listen-address"),
        gate_has_own_port,
    ),
    (("gate-memory",), gate_has_memory),
    (("remote-write-gate", "leader-config", "config", "init", CHILD), gate_has_rendering),
)
