"""The table of flags: the single place that names them, their defaults and what they mean; pure.

The help text, the environment variables, the parser and the reference page all follow from it. The
names and meanings of the Go prometheus-elector's flags are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FlagKind(StrEnum):
    """What a flag's value is; the word is its placeholder in the help text."""

    TEXT = "TEXT"
    BOOLEAN = "BOOLEAN"
    COUNT = "NUMBER"  # 1 and up
    SIZE = "SIZE"  # of bytes; 0 for none given
    PORT = "PORT"
    DURATION = "DURATION"
    ADDRESS = "HOST:PORT"
    URL = "URL"
    CHOICE = "CHOICE"
    LOCK = "LOCK"
    LABEL = "KEY=VALUE"
    MODE = "OCTAL"
    PEERS = "LIST"
    FEED = "URL=FILE"
    BROKER = "BROKER"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. ``default`` is written as a user would write it; a value is of ``kind``.

    ``default_note`` describes a default that depends on something else. ``also_env`` are variables
    that count after the flag's own. A duration is above zero unless ``may_be_zero``. What
    ``is_repeatable`` has all the texts that were given, in order, as its value; with ``is_parted``
    one text may hold several, parted by white space.
    """

    name: str
    kind: FlagKind
    default: str
    group: str
    help: str
    choices: tuple[str, ...] = ()
    default_note: str = ""
    also_env: tuple[str, ...] = ()
    may_be_zero: bool = False
    is_repeatable: bool = False
    is_parted: bool = False

    @property
    def env(self) -> str:
        """The environment variable that sets the flag's default."""
        return "ELECTOR_" + self.name.upper().replace("-", "_")

    @property
    def placeholder(self) -> str:
        """What stands for the value in the help text; the choices where there are any."""
        return "|".join(self.choices) or self.kind.value

    @property
    def shown_default(self) -> str:
        """The default as people are told; "" where there is none."""
        return self.default_note or self.default


CONFIGURATION = "Configuration"
CHECK = "check"
ELECTION = "Election"
PROMETHEUS = "Prometheus"
TARGETS = "Targets and rules"
ONCE = "targets"
API = "API and proxy"
LOG = "Log"
GROUPS = (CONFIGURATION, CHECK, ELECTION, PROMETHEUS, TARGETS, ONCE, API, LOG)

FLAGS: tuple[Flag, ...] = (
    Flag(
        "config",
        FlagKind.TEXT,
        "",
        CONFIGURATION,
        "The configuration to render: a file with a `follower` and a `leader` section. With "
        "--leader-config it is a whole Prometheus configuration, the follower's. Without "
        "--config, the --config.file of the command after -- is the follower's configuration, and "
        "Prometheus is started with the rendered file instead.",
        default_note="--config.file of the command after --",
    ),
    Flag(
        "leader-config",
        FlagKind.TEXT,
        "",
        CONFIGURATION,
        "What the leader's configuration has beyond the follower's, which is then a whole "
        "Prometheus configuration: a file, or a folder of *.yml and *.yaml files. The flag may be "
        "repeated; the files are merged in order. A file or folder that does not exist adds "
        "nothing.",
        is_repeatable=True,
    ),
    Flag(
        "config-envsubst",
        FlagKind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Replace $(NAME) in the input files by the value of the environment variable NAME. "
        "$$(NAME) stays as it is.",
    ),
    Flag(
        "config-envsubst-allow-unset",
        FlagKind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Leave $(NAME) as it is if the variable is not set. Without this flag, such an input is "
        "refused.",
    ),
    Flag(
        "config-check",
        FlagKind.TEXT,
        "",
        CONFIGURATION,
        "The promtool, by name or path, that checks each new configuration (`promtool check "
        "config`) before it is used. A configuration that promtool refuses is not used. Without "
        "this flag, only Prometheus decides. promtool does not read certificates, keys and "
        "passwords, so Prometheus may still refuse what promtool accepts (see `check --start`).",
        default_note="none",
    ),
    Flag(
        "output",
        FlagKind.TEXT,
        "",
        CONFIGURATION,
        "The rendered configuration: the file that this program writes and Prometheus reads.",
        default_note="--config.file of the command after --; without --config, "
        "prometheus-elector/prometheus.yml in Prometheus' storage folder",
    ),
    Flag(
        "output-mode",
        FlagKind.MODE,
        "",
        CONFIGURATION,
        "The permissions of the output file, which may contain passwords. As a sidecar and with "
        "--init, the default lets every user read it, because Prometheus may run as another user.",
        default_note="0600 with a command after --, otherwise 0644",
    ),
    Flag(
        "rehash-period",
        FlagKind.DURATION,
        "5s",
        CONFIGURATION,
        "How often the input files are read again to find changes that the kernel does not report "
        "(subPath mounts, network file systems). All other changes are noticed at once.",
    ),
    Flag(
        "init",
        FlagKind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Write the follower's configuration to --output and exit: for an init container.",
    ),
    Flag(
        "print",
        FlagKind.CHOICE,
        "report",
        CHECK,
        "What `check` prints: a report without secrets, or exactly the configuration that "
        "Prometheus would read in one role, with all secrets, for promtool or another program.",
        choices=("report", "follower", "leader"),
    ),
    Flag(
        "start",
        FlagKind.BOOLEAN,
        "false",
        CHECK,
        "Have `check` start Prometheus (the command after --, otherwise the `prometheus` on the "
        "PATH) with each rendered configuration, on an empty folder, until it is ready. Nothing "
        "else finds every error that Prometheus finds. It sends no samples and no alerts, and is "
        "killed as soon as it is ready; it may scrape targets. A script is run only if its "
        "arguments contain --config.file.",
    ),
    Flag(
        "syntax-only",
        FlagKind.BOOLEAN,
        "false",
        CHECK,
        "Have `check` skip the certificates, keys, passwords and tokens that the configuration "
        "names: for a machine that does not have these files.",
    ),
    Flag(
        "lease-lock",
        FlagKind.LOCK,
        "auto",
        ELECTION,
        "What elects the leader. `kubernetes`: a Lease. `file:PATH`: a lock file, for replicas on "
        "one machine. `none`: no election; --role decides. `auto`: a Lease if --lease-name is "
        "given; otherwise, if the leader has overrides, the lock file "
        "/tmp/prometheus-elector-UID/election.lock; otherwise no election. `auto:PATH`: like "
        "`auto`, with this lock file.",
    ),
    Flag(
        "role",
        FlagKind.CHOICE,
        "leader",
        ELECTION,
        "The role of this replica if there is no election.",
        choices=("leader", "follower"),
    ),
    Flag(
        "lease-name",
        FlagKind.TEXT,
        "",
        ELECTION,
        "The name of the Lease; the same on all replicas.",
    ),
    Flag(
        "lease-namespace",
        FlagKind.TEXT,
        "",
        ELECTION,
        "The namespace of the Lease.",
        default_note="the pod's own, otherwise the kubeconfig's",
    ),
    Flag(
        "lease-pod-label",
        FlagKind.LABEL,
        "",
        ELECTION,
        "A label for this replica's pod (POD_NAME) while its Prometheus runs with the leader's "
        "configuration, so that a Service can select the leader; for example "
        "prometheus-elector/role=leader. The label is removed from pods that do not lead.",
        default_note="no label",
    ),
    Flag(
        "kubeconfig",
        FlagKind.TEXT,
        "",
        ELECTION,
        "The kubeconfig that says how to reach the API server from outside the cluster; several "
        "files are separated by colons.",
        default_note="the pod's service account",
        also_env=("KUBECONFIG",),
    ),
    Flag(
        "lease-duration",
        FlagKind.DURATION,
        "15s",
        ELECTION,
        "How long a lease is valid after its last renewal, in whole seconds. A leader that "
        "vanishes is replaced after this time.",
    ),
    Flag(
        "lease-renew-deadline",
        FlagKind.DURATION,
        "10s",
        ELECTION,
        "A leader that has failed to renew its lease for this long steps down. It then has until "
        "0.95 * --lease-duration - 0.3s after the last renewal to demote Prometheus; after that "
        "Prometheus is killed.",
    ),
    Flag(
        "lease-retry-period",
        FlagKind.DURATION,
        "2s",
        ELECTION,
        "The pause between two renewals of the lease, or between two attempts to acquire it.",
    ),
    Flag(
        "demotion-grace",
        FlagKind.DURATION,
        "8s",
        ELECTION,
        "How long a leader that hands over in order may take to demote Prometheus, which sends "
        "its pending samples first. After that Prometheus is killed.",
    ),
    Flag(
        "cool-down",
        FlagKind.DURATION,
        "10s",
        ELECTION,
        "How long a replica stays out of the election after its Prometheus has refused the "
        "leader's configuration. The time doubles with each further refusal.",
    ),
    Flag(
        "prometheus-grace",
        FlagKind.DURATION,
        "60s",
        PROMETHEUS,
        "How long Prometheus may take to stop after SIGTERM before it is killed. In Kubernetes, "
        "the kubelet kills the whole pod terminationGracePeriodSeconds (30 by default) after its "
        "own SIGTERM: set that above --demotion-grace + 1s + the time that your Prometheus takes "
        "to stop.",
    ),
    Flag(
        "readiness-http-url",
        FlagKind.URL,
        "",
        PROMETHEUS,
        "The URL that answers 200 once Prometheus is ready. The replica does not take part in the "
        "election before that.",
        default_note="derived from the command after --; none for a sidecar",
    ),
    Flag(
        "readiness-poll-period",
        FlagKind.DURATION,
        "5s",
        PROMETHEUS,
        "How often Prometheus is asked whether it is ready; more often at the start.",
    ),
    Flag(
        "readiness-timeout",
        FlagKind.DURATION,
        "2s",
        PROMETHEUS,
        "The timeout of one readiness request.",
    ),
    Flag(
        "healthcheck-http-url",
        FlagKind.URL,
        "",
        PROMETHEUS,
        "The URL that answers 200 while Prometheus is healthy. A replica whose Prometheus is "
        "unhealthy leaves the election.",
        default_note="derived from the command after --; none for a sidecar",
    ),
    Flag(
        "healthcheck-period",
        FlagKind.DURATION,
        "5s",
        PROMETHEUS,
        "How often the health of Prometheus is checked.",
    ),
    Flag(
        "healthcheck-timeout",
        FlagKind.DURATION,
        "2s",
        PROMETHEUS,
        "The timeout of one health check.",
    ),
    Flag(
        "healthcheck-failure-threshold",
        FlagKind.COUNT,
        "3",
        PROMETHEUS,
        "Consecutive failed checks before Prometheus counts as unhealthy.",
    ),
    Flag(
        "healthcheck-success-threshold",
        FlagKind.COUNT,
        "3",
        PROMETHEUS,
        "Consecutive successful checks before an unhealthy Prometheus counts as healthy.",
    ),
    Flag(
        "notify-http-url",
        FlagKind.URL,
        "",
        PROMETHEUS,
        "The URL that makes Prometheus reload, for example http://127.0.0.1:9090/-/reload "
        "(Prometheus needs --web.enable-lifecycle).",
        default_note="none: reload by SIGHUP; required for a sidecar",
    ),
    Flag(
        "notify-http-method",
        FlagKind.CHOICE,
        "POST",
        PROMETHEUS,
        "The HTTP method of a reload request.",
        choices=("POST", "PUT", "GET"),
    ),
    Flag(
        "notify-timeout",
        FlagKind.DURATION,
        "2s",
        PROMETHEUS,
        "The timeout of one reload request.",
    ),
    Flag(
        "notify-retry-max-attempts",
        FlagKind.COUNT,
        "5",
        PROMETHEUS,
        "For how many times --notify-retry-delay a reload may stay unconfirmed. After that a "
        "leader releases the lease; a follower goes on trying.",
    ),
    Flag(
        "notify-retry-delay",
        FlagKind.DURATION,
        "10s",
        PROMETHEUS,
        "How long to wait until a reload is confirmed before Prometheus is told again to reload.",
    ),
    Flag(
        "prometheus-http-config",
        FlagKind.TEXT,
        "",
        PROMETHEUS,
        "How to reach a Prometheus that requires TLS or a password: a file in Prometheus' HTTP "
        "client configuration format. It applies to all requests to Prometheus, including those "
        "of the proxy. The file is reloaded when it changes.",
    ),
    Flag(
        "targets-url",
        FlagKind.FEED,
        "",
        TARGETS,
        "The URL to fetch targets or rules from, and the file to write them to. A file that ends "
        "in .json holds targets (file_sd_configs), one that ends in .yml or .yaml holds rules "
        "(rule_files). The flag may be repeated; the environment variable may hold several, "
        "separated by spaces or line breaks. For Promgen: http://promgen/api/v1/targets, "
        "…/api/v1/urls and …/api/v1/rules.",
        is_repeatable=True,
        is_parted=True,
    ),
    Flag(
        "targets-interval",
        FlagKind.DURATION,
        "1m",
        TARGETS,
        "How often each URL is fetched; the interval varies by up to 10 %.",
    ),
    Flag(
        "targets-timeout",
        FlagKind.DURATION,
        "30s",
        TARGETS,
        "The timeout of one whole fetch.",
    ),
    Flag(
        "targets-max-size",
        FlagKind.SIZE,
        "16MB",
        TARGETS,
        "Larger answers are refused, compressed or not. Rules above 4MB are always refused.",
    ),
    Flag(
        "targets-http-config",
        FlagKind.TEXT,
        "",
        TARGETS,
        "How to reach a server that requires TLS or a password to fetch from: a file in "
        "Prometheus' HTTP client configuration format. The file is reloaded when it changes. "
        "Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).",
    ),
    Flag(
        "targets-allow-empty",
        FlagKind.BOOLEAN,
        "false",
        TARGETS,
        "Accept at once an answer without any targets (or rules). Without this flag, such an "
        "answer counts only if another one, half of the interval later or more, has none either. "
        "The flag also accepts that --targets-shard has no targets yet; without it, that is never "
        "accepted.",
    ),
    Flag(
        "targets-shard",
        FlagKind.TEXT,
        "",
        TARGETS,
        "Write only the target groups whose label __shard has this value. Without this flag, all "
        "groups are written. If an answer has groups but none was ever of this shard, the value "
        "counts as mistyped, and the file stays as it is.",
    ),
    Flag(
        "targets-broker",
        FlagKind.BROKER,
        "",
        TARGETS,
        "Promgen's message broker (amqp://… or redis://…). Promgen's tasks for this server then "
        "start a fetch at once. Needs the extra prometheus-elector[promgen]. The URL often "
        "contains a password: prefer the environment variable to the flag.",
    ),
    Flag(
        "targets-queue",
        FlagKind.TEXT,
        "",
        TARGETS,
        "The queue at the broker: the name by which this server is registered in Promgen.",
        default_note="this replica's name: POD_NAME, otherwise the host name",
    ),
    Flag(
        "from",
        FlagKind.URL,
        "",
        ONCE,
        "The URL that `targets FILE` fetches once.",
    ),
    Flag(
        "reload",
        FlagKind.BOOLEAN,
        "false",
        ONCE,
        "Have `targets FILE` reload Prometheus if FILE holds rules and has changed, by a request "
        "to --notify-http-url (if not given, http://127.0.0.1:9090/-/reload; Prometheus needs "
        "--web.enable-lifecycle). If Prometheus refuses the new rules, the old ones are put back. "
        "Targets need no reload: Prometheus watches the file.",
    ),
    Flag(
        "api-listen-address",
        FlagKind.ADDRESS,
        ":9095",
        API,
        "Where the API (/_elector/…) and the proxy listen: :9095, 127.0.0.1:9095 or [::1]:9095.",
    ),
    Flag(
        "web-config-file",
        FlagKind.TEXT,
        "",
        API,
        "TLS, passwords and client certificates of the API and the proxy: a file in the web "
        "configuration format of Prometheus' exporters. The file is reloaded when it changes.",
    ),
    Flag(
        "peers",
        FlagKind.PEERS,
        "",
        API,
        "APIs of all replicas, separated by commas: URLs, or DNS names that resolve to them (a "
        "headless Service, as NAME or NAME:PORT). The status page and the command `status` show "
        "what they report.",
        default_note="the headless Service of --api-proxy-prometheus-service-name",
    ),
    Flag(
        "api-workers",
        FlagKind.COUNT,
        "1",
        API,
        "The number of worker processes of the API and the proxy.",
    ),
    Flag(
        "api-shutdown-grace-delay",
        FlagKind.DURATION,
        "15s",
        API,
        "How long requests in progress may take to finish when the API stops.",
        may_be_zero=True,
    ),
    Flag(
        "api-proxy-enabled",
        FlagKind.BOOLEAN,
        "false",
        API,
        "Forward all requests outside /_elector/ to the leader's Prometheus.",
    ),
    Flag(
        "api-proxy-prometheus-local-port",
        FlagKind.PORT,
        "9090",
        API,
        "The port of this replica's Prometheus, to which requests go while this replica leads.",
    ),
    Flag(
        "api-proxy-prometheus-remote-port",
        FlagKind.PORT,
        "9090",
        API,
        "The port of the other replicas' Prometheus.",
    ),
    Flag(
        "api-proxy-prometheus-service-name",
        FlagKind.TEXT,
        "",
        API,
        "The headless Service of the StatefulSet. The leader is reached at "
        "http://POD.SERVICE:PORT, or by https if this replica's own Prometheus serves TLS.",
    ),
    Flag(
        "api-proxy-connect-timeout",
        FlagKind.DURATION,
        "3s",
        API,
        "The timeout for a connection to the leader's Prometheus.",
    ),
    Flag(
        "api-proxy-idle-timeout",
        FlagKind.DURATION,
        "10m",
        API,
        "Abort a forwarded request after this time without any data in either direction; the time "
        "that a query runs counts. The total time is not limited.",
    ),
    Flag(
        "api-proxy-admin",
        FlagKind.BOOLEAN,
        "false",
        API,
        "Also forward /-/quit, /-/reload and /api/v1/admin/….",
    ),
    Flag(
        "api-proxy-max-body",
        FlagKind.SIZE,
        "",
        API,
        "Refuse requests with a larger body (status 413), for example 10MB.",
        default_note="no limit",
    ),
    Flag(
        "runtime-metrics",
        FlagKind.BOOLEAN,
        "false",
        API,
        "Also export metrics of the Python runtime.",
    ),
    Flag(
        "log-level",
        FlagKind.CHOICE,
        "info",
        LOG,
        "The lowest level that is logged.",
        choices=("debug", "info", "warn", "error"),
    ),
    Flag(
        "log-format",
        FlagKind.CHOICE,
        "logfmt",
        LOG,
        "The format of log lines.",
        choices=("logfmt", "json"),
    ),
)

BY_NAME = {flag.name: flag for flag in FLAGS}
