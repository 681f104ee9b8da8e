"""What the log says of a start: who this is, and what of its settings will surprise somebody."""

from __future__ import annotations

import logging

from wrapper.configuration.input_watch import say_left_out
from wrapper.startup.start import Start
from wrapper.supervision.snapshot_builder import Constants

LOG = logging.getLogger(__name__)


def say_start(start: Start, constants: Constants) -> None:
    """Log it, and a warning for each thing that can hardly be meant."""
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
        say_left_out(start.inputs)
    for reason in start.inputs.missing:
        LOG.warning("the leader's configuration cannot be loaded yet", extra={"reason": reason})
    for variable in settings.unknown_variables:
        LOG.warning("this environment variable sets nothing", extra={"variable": variable})
    _warn_of_prometheus(start)


def _warn_of_overrides(start: Start) -> None:
    """Warn where nobody, or everybody, would write."""
    if not start.overrides:
        LOG.warning(
            "the leader has no overrides: every replica reads the same",
            extra={
                "config": start.inputs.sources.config,
                "missing": ", ".join(map(str, start.inputs.absent())),
            },
        )
    if start.may_override and start.good.follower.writes_remotely:
        LOG.warning(
            "the follower's part has a remote_write: every replica writes, whoever leads; have it "
            "in the leader's part only",
            extra={"config": start.inputs.sources.config},
        )


def _warn_of_prometheus(start: Start) -> None:
    """Warn of a Prometheus that cannot be asked, or not be stopped."""
    settings = start.settings
    if start.arguments.base_url.startswith("https") and not settings.web.prometheus_http_config:
        LOG.warning(
            "Prometheus is served over TLS: unless this machine trusts its certificate, and it is "
            "for the address asked, name its CA (ca_file) and its name (server_name) in tls_config "
            "of --prometheus-http-config",
            extra={"asked": start.arguments.base_url},
        )
    if not settings.mode.owns_child:
        LOG.warning(
            "sidecar: a Prometheus that does not answer cannot be stopped from here, "
            "so that it may write beside another leader"
        )
