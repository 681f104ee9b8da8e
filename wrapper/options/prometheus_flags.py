"""The flags about Prometheus: its readiness and health checks, and how to reload it; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

PROMETHEUS: tuple[Flag, ...] = (
    Flag(
        "prometheus-grace",
        FlagKind.DURATION,
        "How long Prometheus may take to stop after SIGTERM before it is killed. In Kubernetes, "
        "the kubelet kills the whole pod terminationGracePeriodSeconds (30 by default) after its "
        "own SIGTERM: set that above --demotion-grace (twice, with the gate) + 1s + the time that "
        "your Prometheus takes to stop.",
        default="60s",
    ),
    Flag(
        "readiness-http-url",
        FlagKind.URL,
        "The URL that answers 200 once Prometheus is ready. The replica does not take part in the "
        "election before that.",
        default_note="derived from the command after --; none for a sidecar",
    ),
    Flag(
        "readiness-poll-period",
        FlagKind.DURATION,
        "How often Prometheus' readiness is checked, until it is ready; more often at the start.",
        default="5s",
    ),
    Flag(
        "readiness-timeout",
        FlagKind.DURATION,
        "The timeout of one readiness request.",
        default="2s",
    ),
    Flag(
        "healthcheck-http-url",
        FlagKind.URL,
        "The URL that answers 200 while Prometheus is healthy. A replica whose Prometheus is "
        "unhealthy leaves the election.",
        default_note="derived from the command after --; none for a sidecar",
    ),
    Flag(
        "healthcheck-period",
        FlagKind.DURATION,
        "How often the health of Prometheus is checked.",
        default="5s",
    ),
    Flag(
        "healthcheck-timeout",
        FlagKind.DURATION,
        "The timeout of one health check.",
        default="2s",
    ),
    Flag(
        "healthcheck-failure-threshold",
        FlagKind.COUNT,
        "Consecutive failed checks before Prometheus counts as unhealthy.",
        default="3",
    ),
    Flag(
        "healthcheck-success-threshold",
        FlagKind.COUNT,
        "Consecutive successful checks before an unhealthy Prometheus counts as healthy.",
        default="3",
    ),
    Flag(
        "notify-http-url",
        FlagKind.URL,
        "The URL that makes Prometheus reload, for example http://127.0.0.1:9090/-/reload "
        "(Prometheus needs --web.enable-lifecycle).",
        default_note="none: reload by SIGHUP; required for a sidecar",
    ),
    Flag(
        "notify-http-method",
        FlagKind.CHOICE,
        "The HTTP method of a reload request.",
        default="POST",
        choices=("POST", "PUT", "GET"),
    ),
    Flag(
        "notify-timeout",
        FlagKind.DURATION,
        "The timeout of one reload request.",
        default="2s",
    ),
    Flag(
        "notify-retry-max-attempts",
        FlagKind.COUNT,
        "For how many times --notify-retry-delay a reload may stay unconfirmed. After that, a "
        "leader releases the lease; a follower continues to retry.",
        default="5",
    ),
    Flag(
        "notify-retry-delay",
        FlagKind.DURATION,
        "How long to wait for the confirmation of a reload before the reload is requested again.",
        default="10s",
    ),
    Flag(
        "prometheus-http-config",
        FlagKind.FILE,
        "How to connect to a Prometheus that requires TLS or a password: a file in Prometheus' "
        "HTTP client configuration format. It applies to all requests to Prometheus, including "
        "those of the proxy. The file is reloaded when it changes.",
    ),
)
