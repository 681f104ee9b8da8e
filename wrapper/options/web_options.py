"""The web process' options: one frozen value, passed to it as JSON; pure.

The supervisor builds it without importing the web modules, which take much memory.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from wrapper.base.log_form import Form
from wrapper.options.flag_fields import of

_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where to listen, what to forward, and the inherited descriptor of the snapshots.

    The web process dies with ``parent_pid``, the supervisor; 0 means the process that started it.
    ``host`` "" means all addresses, IPv6 included. ``local_port`` is used only if the snapshot has
    no URL of the child. A request fails if connecting takes longer than ``connect_timeout_s``, or
    after ``idle_timeout_s`` without data (the time of a query counts); its total time is not
    limited. ``max_body_bytes`` 0 means no limit. ``peers`` are URLs, and DNS names that resolve to
    replicas. ``pause_file`` stores until when the replica stays out of the election.
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
    log_level: str = "info"
    log_form: Form = Form.LOGFMT
    peers: tuple[str, ...] = of("peers", default=())
    pause_file: str = ""

    @property
    def body_timeout_s(self) -> float:
        """The limit for a body to arrive, while only its client is waited for."""
        return min(_BODY_S, self.idle_timeout_s)

    @classmethod
    def from_json(cls, text: str) -> WebOptions:
        """Return the options in the last word of ``command``."""
        values = json.loads(text)
        form = Form(values["log_form"])
        return cls(**values | {"peers": tuple(values["peers"]), "log_form": form})

    def command(self) -> tuple[str, ...]:
        """Return the command of a web process that inherits ``snapshot_fd``.

        -P: no imports from the working folder, which may be that of Prometheus' data.
        """
        return (sys.executable, "-P", "-m", "wrapper.web.app", json.dumps(asdict(self)))
