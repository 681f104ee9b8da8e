"""The flags about the API and the proxy, and about logs; pure."""

from __future__ import annotations

from wrapper.base.log_form import Form
from wrapper.options.flag import Flag, FlagKind
from wrapper.options.log_options import AUTO, LEVELS

API: tuple[Flag, ...] = (
    Flag(
        "api-listen-address",
        FlagKind.ADDRESS,
        "Where the API (/_elector/…) and the proxy listen: :9095, 127.0.0.1:9095 or [::1]:9095.",
        default=":9095",
    ),
    Flag(
        "web-config-file",
        FlagKind.FILE,
        "TLS, passwords and client certificates of the API and the proxy: a file in the web "
        "configuration format of Prometheus' exporters. The file is reloaded when it changes.",
    ),
    Flag(
        "peers",
        FlagKind.PEERS,
        "The APIs of all replicas, separated by commas: URLs, or DNS names that resolve to them "
        "(a headless Service, as NAME or NAME:PORT). The status page and the command `status` "
        "show what they report.",
        default_note="the headless Service of --api-proxy-prometheus-service-name",
    ),
    Flag(
        "api-workers",
        FlagKind.COUNT,
        "The number of worker processes of the API and the proxy.",
        default="1",
    ),
    Flag(
        "api-shutdown-grace-delay",
        FlagKind.DURATION,
        "How long requests in progress may take to finish when the API stops.",
        default="15s",
        may_be_zero=True,
    ),
    Flag(
        "api-proxy-enabled",
        FlagKind.BOOLEAN,
        "Forward all requests outside /_elector/ to the leader's Prometheus.",
        default="false",
    ),
    Flag(
        "api-proxy-prometheus-local-port",
        FlagKind.PORT,
        "The port of this replica's Prometheus, to which requests are forwarded while this "
        "replica leads.",
        default="9090",
    ),
    Flag(
        "api-proxy-prometheus-remote-port",
        FlagKind.PORT,
        "The port of the other replicas' Prometheus.",
        default="9090",
    ),
    Flag(
        "api-proxy-prometheus-service-name",
        FlagKind.NAME,
        "The headless Service of the StatefulSet. Requests are forwarded to the leader at "
        "http://POD.SERVICE:PORT, or with https if this replica's own Prometheus serves TLS.",
    ),
    Flag(
        "api-proxy-connect-timeout",
        FlagKind.DURATION,
        "The timeout for a connection to the leader's Prometheus.",
        default="3s",
    ),
    Flag(
        "api-proxy-idle-timeout",
        FlagKind.DURATION,
        "Abort a forwarded request after this time without any data in either direction; this "
        "includes the time that a query runs. The total time is not limited.",
        default="10m",
    ),
    Flag(
        "api-proxy-admin",
        FlagKind.BOOLEAN,
        "Also forward /-/quit, /-/reload and /api/v1/admin/….",
        default="false",
    ),
    Flag(
        "api-proxy-max-body",
        FlagKind.SIZE,
        "Refuse requests with a larger body (status 413), for example 10MB.",
        default_note="no limit",
    ),
    Flag(
        "runtime-metrics",
        FlagKind.BOOLEAN,
        "Also export metrics of the Python runtime; with several --api-workers, those of the "
        "worker that answers.",
        default="false",
    ),
)

LOG: tuple[Flag, ...] = (
    Flag(
        "log-level",
        FlagKind.CHOICE,
        "The lowest level that is logged. auto: the level of Prometheus (its --log.level in the "
        "command after --), or info.",
        default=AUTO,
        choices=(AUTO, *LEVELS),
    ),
    Flag(
        "log-format",
        FlagKind.CHOICE,
        "The format of log lines. auto: the format of the Prometheus in the command after --, by "
        "its version and its --log.format; without such a command, or if the version is unknown, "
        "that of Prometheus 3. logfmt and json: as in Prometheus 3; go-kit-logfmt and "
        "go-kit-json: as in Prometheus 2.",
        default=AUTO,
        choices=(AUTO, *Form),
    ),
)
