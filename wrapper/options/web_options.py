"""The options of the web process: one frozen value, passed to it as JSON; pure.

The supervisor builds them without importing the modules of ``web``, which take much memory.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from wrapper.base.log_form import Form
from wrapper.options.flag_fields import flag_field

_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where to listen, what to forward, and the inherited descriptor of the snapshots.

    - ``snapshot_fd``: the memfd of the snapshots;
    - ``parent_pid``: the supervisor, with which the web process dies; 0 for the process that
      started it;
    - ``host``: the address to listen on; "" for all, IPv6 included;
    - ``local_port``: Prometheus' port, if the snapshot has no URL of the child;
    - ``connect_timeout_s``: the time limit for connecting to Prometheus;
    - ``idle_timeout_s``: the longest time without data (the time of a query counts); the total time
      of a request is not limited;
    - ``max_body_bytes``: the largest body of a request; 0 for no limit;
    - ``peers``: URLs, and DNS names that resolve to replicas;
    - ``pause_file``: the file with the time until which the replica stays out of the election.
    """

    snapshot_fd: int = -1
    parent_pid: int = 0
    host: str = ""
    port: int = 9095
    web_config_file: str = flag_field("web-config-file", default="")
    prometheus_http_config: str = flag_field("prometheus-http-config", default="")
    workers: int = flag_field("api-workers", default=1)
    shutdown_grace_s: float = flag_field("api-shutdown-grace-delay", default=15.0)
    proxy_enabled: bool = flag_field("api-proxy-enabled", default=False)
    local_port: int = flag_field("api-proxy-prometheus-local-port", default=9090)
    remote_port: int = flag_field("api-proxy-prometheus-remote-port", default=9090)
    service_name: str = flag_field("api-proxy-prometheus-service-name", default="")
    connect_timeout_s: float = flag_field("api-proxy-connect-timeout", default=3.0)
    idle_timeout_s: float = flag_field("api-proxy-idle-timeout", default=600.0)
    proxy_admin: bool = flag_field("api-proxy-admin", default=False)
    max_body_bytes: int = flag_field("api-proxy-max-body", default=0)
    runtime_metrics: bool = flag_field("runtime-metrics", default=False)
    log_level: str = "info"
    log_form: Form = Form.LOGFMT
    peers: tuple[str, ...] = flag_field("peers", default=())
    pause_file: str = ""

    @property
    def body_timeout_s(self) -> float:
        """The time limit for a body to arrive, while only the client is slow."""
        return min(_BODY_S, self.idle_timeout_s)

    @classmethod
    def from_json(cls, text: str) -> WebOptions:
        """Return the options from the last word of ``command``."""
        values = json.loads(text)
        form = Form(values["log_form"])
        return cls(**values | {"peers": tuple(values["peers"]), "log_form": form})

    def command(self) -> tuple[str, ...]:
        """Return the command of a web process that inherits ``snapshot_fd``.

        -P: import nothing from the working directory, which may be that of Prometheus' data.
        """
        return (sys.executable, "-P", "-m", "wrapper.web.app", json.dumps(asdict(self)))
