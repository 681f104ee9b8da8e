"""Logs the start, and a warning for each setting that is probably a mistake."""

from __future__ import annotations

import logging
from itertools import chain
from pathlib import Path

from wrapper.base import files
from wrapper.configuration.input_watch import log_ignored_parts, log_notes
from wrapper.configuration.inputs import LARGEST_INPUT
from wrapper.model.configuration import Renderings
from wrapper.model.fetched_file import FileKind
from wrapper.model.gate import PATH
from wrapper.startup.startup_state import StartupState
from wrapper.supervision.snapshot_builder import Constants

LOG = logging.getLogger(__name__)


def say_start(start: StartupState, constants: Constants) -> None:
    """Log the start, and a warning for each probable mistake."""
    settings = start.settings
    LOG.info(
        "started",
        extra={
            "identity": constants.identity,
            "election": constants.election,
            "output": "none" if start.is_plain else start.output,
        },
    )
    if not start.is_plain:
        _warn_of_overrides(start)
    if start.last_good is None:
        log_ignored_parts(start.inputs)
        log_notes(start.inputs)
    else:
        _warn_of_no_gate(start, start.last_good)
    for reason in start.inputs.missing:
        LOG.warning("the leader's configuration cannot be loaded yet", extra={"reason": reason})
    for variable in settings.unknown_variables:
        LOG.warning("unknown environment variable", extra={"variable": variable})
    _warn_of_prometheus(start)
    if settings.targets.fetches_rules:
        _warn_of_patterns(start)


def _warn_of_overrides(start: StartupState) -> None:
    """Log a warning if the leader has no overrides, or if all replicas write."""
    if not start.good.needs_leader:
        extra: dict[str, object] = {"config": start.inputs.sources.config}
        if absent := start.inputs.absent():
            extra["missing"] = ", ".join(map(str, absent))
        LOG.warning("the leader has no overrides: all replicas load the same file", extra=extra)
    if start.may_override and start.good.follower.writes_ungated:
        LOG.warning(
            "the follower's part has a remote_write: every replica writes; move it to the "
            "leader's part",
            extra={"config": start.inputs.sources.config},
        )


def _warn_of_no_gate(start: StartupState, kept: Renderings) -> None:
    """Log a warning if the saved configuration sends to a gate that this start does not have."""
    gate = start.settings.gate
    if kept.leader.endpoints and not (
        gate.enabled and f"http://{gate.address}{PATH}".encode() in kept.leader.content
    ):
        LOG.warning(
            "the last good configuration sends to a gate that is not running: Prometheus keeps "
            "the samples in its write-ahead log until the configuration is "
            "corrected, or the previous gate flags are set again"
        )


def _warn_of_patterns(start: StartupState) -> None:
    """Log a warning for each pattern of rule_files that also matches copies of fetched rules."""
    from wrapper.targets.rule_patterns import matches, patterns_in  # noqa: PLC0415 - few fetch files
    from wrapper.targets.target_file import copy_of  # noqa: PLC0415 - likewise

    feeds = [feed for feed in start.settings.targets.feeds if feed.kind is FileKind.RULES]
    copies = [copy_of(files.resolve_folder(Path(feed.path))) for feed in feeds]
    output, used = start.output, start.last_good or start.good
    configs = [used.follower.content, used.leader.content]
    if start.is_plain:
        output = Path(start.arguments.config_file)
        try:
            configs = [files.read_input(output, LARGEST_INPUT)]
        except files.InputError:
            return  # Prometheus reports it
    for pattern in dict.fromkeys(chain.from_iterable(map(patterns_in, configs))):
        try:
            path = files.resolve_folder(output.parent / pattern)
        except ValueError:  # no file can have this path
            continue
        if copy := next((each for each in copies if matches(path, each)), None):
            LOG.warning(
                "a pattern of rule_files also matches the copy that is kept of fetched rules while "
                "newer ones are loaded: Prometheus would evaluate both until its next reload; end "
                "the pattern in .yml",
                extra={"pattern": pattern, "copy": copy},
            )


def _warn_of_prometheus(start: StartupState) -> None:
    """Log a warning if requests to Prometheus may fail, or if it cannot be fenced."""
    settings = start.settings
    if start.arguments.base_url.startswith("https") and not settings.web.prometheus_http_config:
        LOG.warning(
            "Prometheus uses TLS: unless this machine trusts its certificate, and that is valid "
            "for this URL, set ca_file and server_name in tls_config of --prometheus-http-config",
            extra={"asked": start.arguments.base_url},
        )
    has_fence = settings.mode.owns_child or settings.gate.enabled
    if not has_fence and start.lock.kind != "none":
        LOG.warning(
            "sidecar: a Prometheus that does not answer cannot be killed, "
            "and may still write while another replica leads"
        )
