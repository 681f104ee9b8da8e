"""What the web process is told when it is started: one frozen value, as JSON; pure.

The supervisor's side builds it without importing the web side, which is heavy.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from wrapper.options.flag_groups import of

_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where to listen, what to forward, and the inherited descriptor of the snapshots.

    ``parent_pid`` is the supervisor, with which the web process dies; 0: whoever started it.

    ``host`` "" means all addresses, IPv6 included. ``local_port`` is used only where the snapshot
    does not know our own child's URL. An upstream that takes longer than ``connect_timeout_s`` to
    accept, or is silent for ``idle_timeout_s`` (a query's own time included), is given up; there is
    no limit on the whole. ``max_body_bytes`` 0 means that a request's body may have any size.
    ``peers`` are URLs, and names whose addresses are replicas. ``pause_file`` is where it is
    written for how long to keep out of the election.
    """

    snapshot_fd: int = -1
    parent_pid: int = 0
    host: str = ""
    port: int = 9095
    web_config_file: str = of("web-config-file", default="")
    prometheus_http_config: str = of("prometheus-http-config", default="")
    workers: int = of("api-workers", default=1)
    shutdown_grace_s: float = of("api-shutdown-grace-delay", default=15.0)
    proxy_enabled: bool = of("api-proxy-enabled", default=False)
    local_port: int = of("api-proxy-prometheus-local-port", default=9090)
    remote_port: int = of("api-proxy-prometheus-remote-port", default=9090)
    service_name: str = of("api-proxy-prometheus-service-name", default="")
    connect_timeout_s: float = of("api-proxy-connect-timeout", default=3.0)
    idle_timeout_s: float = of("api-proxy-idle-timeout", default=600.0)
    proxy_admin: bool = of("api-proxy-admin", default=False)
    max_body_bytes: int = of("api-proxy-max-body", default=0)
    runtime_metrics: bool = of("runtime-metrics", default=False)
    log_level: str = of("log-level", default="info")
    log_as_json: bool = False
    peers: tuple[str, ...] = of("peers", default=())
    pause_file: str = ""

    @property
    def body_timeout_s(self) -> float:
        """The time for a body to come for which nobody but its client is waited for."""
        return min(_BODY_S, self.idle_timeout_s)

    @classmethod
    def from_json(cls, text: str) -> WebOptions:
        """Return what ``command`` has put into its last word."""
        values = json.loads(text)
        return cls(**values | {"peers": tuple(values["peers"])})

    def command(self) -> tuple[str, ...]:
        """Return the command that serves these options; it needs ``snapshot_fd`` inherited.

        -P: nothing is imported from the working folder, which may be that of Prometheus' data.
        """
        return (sys.executable, "-P", "-m", "wrapper.web.web", json.dumps(asdict(self)))
