"""The table of flags: the single place that names them, their defaults and what they mean; pure.

The help text, the environment variables, the parser and the README's table all follow from it. The
names and meanings of the Go prometheus-elector's flags are kept.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
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
    kind: Kind
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
    def field(self) -> str:
        """The name of the flag's field in ``Settings``."""
        name = self.name.replace("-", "_") + ("_s" if self.kind is Kind.DURATION else "")
        return f"{name}_" if keyword.iskeyword(name) else name

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
        Kind.TEXT,
        "",
        CONFIGURATION,
        "The input: a file with a `follower` and a `leader` section; with --leader-config, a whole "
        "Prometheus configuration. Without it, the --config.file of the command after -- is the "
        "follower's, and Prometheus is started with what is rendered from it.",
        default_note="--config.file of the command after --",
    ),
    Flag(
        "leader-config",
        Kind.TEXT,
        "",
        CONFIGURATION,
        "What the leader adds to a whole Prometheus configuration, which is the follower's: a file "
        "or a folder of *.yml and *.yaml files. It may be given several times, and be missing: "
        "what is there is merged one after the other.",
        is_repeatable=True,
    ),
    Flag(
        "config-envsubst",
        Kind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Replace $(NAME) in the input files by the environment variable's value; $$(NAME) stays.",
    ),
    Flag(
        "config-envsubst-allow-unset",
        Kind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Leave $(NAME) as it is where the variable is not set, rather than refuse the input.",
    ),
    Flag(
        "config-check",
        Kind.TEXT,
        "",
        CONFIGURATION,
        "The promtool that is asked (`promtool check config`) before a new configuration is used, "
        "by name or path: what it refuses is not used. Without it, Prometheus itself is the judge; "
        "promtool looks at no certificate, key or password, so that what it accepts may still be "
        "refused (see `check --start`).",
        default_note="none",
    ),
    Flag(
        "output",
        Kind.TEXT,
        "",
        CONFIGURATION,
        "Where to write the configuration that Prometheus reads.",
        default_note="--config.file of the command after --; without --config, "
        "prometheus-elector/prometheus.yml in Prometheus' storage folder",
    ),
    Flag(
        "output-mode",
        Kind.MODE,
        "",
        CONFIGURATION,
        "The permissions of the output file, which can hold passwords; as sidecar and with --init "
        "it is readable by all because Prometheus may run as another user.",
        default_note="0600 with a command after --, else 0644",
    ),
    Flag(
        "rehash-period",
        Kind.DURATION,
        "5s",
        CONFIGURATION,
        "How often the input files are read again to find changes that the kernel does not report "
        "(subPath mounts, network file systems). Others are seen at once.",
    ),
    Flag(
        "init",
        Kind.BOOLEAN,
        "false",
        CONFIGURATION,
        "Write the follower's configuration to --output and exit: for an init container.",
    ),
    Flag(
        "print",
        Kind.CHOICE,
        "report",
        CHECK,
        "What `check` prints: a report without secrets, or exactly what Prometheus would read in "
        "one role, with all secrets, for promtool or another program.",
        choices=("report", "follower", "leader"),
    ),
    Flag(
        "start",
        Kind.BOOLEAN,
        "false",
        CHECK,
        "Have `check` start Prometheus (the command after --, else the `prometheus` on the PATH) "
        "with each rendering, on an empty folder, until it is ready: what it says is the truth. "
        "It sends no samples and no alerts, and is killed at once; targets may be scraped. A "
        "script is only run where --config.file is given to it.",
    ),
    Flag(
        "syntax-only",
        Kind.BOOLEAN,
        "false",
        CHECK,
        "Have `check` not look for the certificates, keys, passwords and tokens that the "
        "configuration names: for a machine that does not have them.",
    ),
    Flag(
        "lease-lock",
        Kind.LOCK,
        "auto",
        ELECTION,
        "What elects the leader: `kubernetes` (a Lease), `file:PATH` (a lock file, for replicas on "
        "one machine), `none` (no election: see --role), or `auto`: kubernetes where --lease-name "
        "is given; else, where the leader has overrides, the file "
        "/tmp/prometheus-elector-UID/election.lock, or that of `auto:PATH`; else none.",
    ),
    Flag(
        "role",
        Kind.CHOICE,
        "leader",
        ELECTION,
        "The role that this replica always has when there is no election.",
        choices=("leader", "follower"),
    ),
    Flag("lease-name", Kind.TEXT, "", ELECTION, "The name of the Lease, the same on all replicas."),
    Flag(
        "lease-namespace",
        Kind.TEXT,
        "",
        ELECTION,
        "The namespace of the Lease.",
        default_note="the pod's own, else the kubeconfig's",
    ),
    Flag(
        "lease-pod-label",
        Kind.LABEL,
        "",
        ELECTION,
        "A label that this replica's pod (POD_NAME) has while its Prometheus has the leader's "
        "configuration in force, so that a Service can select the leader; for example "
        "prometheus-elector/role=leader. It is taken off all others.",
        default_note="no label",
    ),
    Flag(
        "kubeconfig",
        Kind.TEXT,
        "",
        ELECTION,
        "How to reach Kubernetes from outside; several files are separated by colons.",
        default_note="the pod's service account",
        also_env=("KUBECONFIG",),
    ),
    Flag(
        "lease-duration",
        Kind.DURATION,
        "15s",
        ELECTION,
        "How long a lease lasts after its last renewal, in whole seconds: a leader that vanishes "
        "is replaced after this time.",
    ),
    Flag(
        "lease-renew-deadline",
        Kind.DURATION,
        "10s",
        ELECTION,
        "A leader that cannot renew its lease for so long steps down. What is left until 95 % of "
        "--lease-duration less 0.3s is its time to do so before Prometheus is killed.",
    ),
    Flag(
        "lease-retry-period",
        Kind.DURATION,
        "2s",
        ELECTION,
        "The pause between two renewals, or attempts at one.",
    ),
    Flag(
        "demotion-grace",
        Kind.DURATION,
        "8s",
        ELECTION,
        "How long a leader that leaves in order may take to become a follower (remote_write sends "
        "what it holds) before Prometheus is killed instead.",
    ),
    Flag(
        "cool-down",
        Kind.DURATION,
        "10s",
        ELECTION,
        "How long a replica keeps out of the election after its Prometheus refused the leader's "
        "configuration; it doubles each time.",
    ),
    Flag(
        "prometheus-grace",
        Kind.DURATION,
        "60s",
        PROMETHEUS,
        "How long Prometheus may take to stop after SIGTERM before it is killed. In Kubernetes the "
        "kubelet kills the whole pod terminationGracePeriodSeconds (30 by default) after its own "
        "SIGTERM: for an orderly end set that above --demotion-grace + 1s + the time your "
        "Prometheus takes.",
    ),
    Flag(
        "readiness-http-url",
        Kind.URL,
        "",
        PROMETHEUS,
        "What answers 200 once Prometheus is ready; the election waits for it.",
        default_note="derived from the command after --; as sidecar, not asked",
    ),
    Flag(
        "readiness-poll-period",
        Kind.DURATION,
        "5s",
        PROMETHEUS,
        "How often readiness is asked for; at first it is asked more often.",
    ),
    Flag("readiness-timeout", Kind.DURATION, "2s", PROMETHEUS, "The limit of one such request."),
    Flag(
        "healthcheck-http-url",
        Kind.URL,
        "",
        PROMETHEUS,
        "What answers 200 while Prometheus is healthy; an unhealthy one leaves the election.",
        default_note="derived from the command after --; as sidecar, not asked",
    ),
    Flag("healthcheck-period", Kind.DURATION, "5s", PROMETHEUS, "How often health is asked for."),
    Flag("healthcheck-timeout", Kind.DURATION, "2s", PROMETHEUS, "The limit of one such request."),
    Flag(
        "healthcheck-failure-threshold",
        Kind.COUNT,
        "3",
        PROMETHEUS,
        "So many failures in a row make Prometheus unhealthy.",
    ),
    Flag(
        "healthcheck-success-threshold",
        Kind.COUNT,
        "3",
        PROMETHEUS,
        "So many successes in a row make it healthy again.",
    ),
    Flag(
        "notify-http-url",
        Kind.URL,
        "",
        PROMETHEUS,
        "What makes Prometheus reload by HTTP, for example http://127.0.0.1:9090/-/reload (it "
        "needs --web.enable-lifecycle).",
        default_note="none: reload by SIGHUP; needed as sidecar",
    ),
    Flag(
        "notify-http-method",
        Kind.CHOICE,
        "POST",
        PROMETHEUS,
        "The method of that request.",
        choices=("POST", "PUT", "GET"),
    ),
    Flag("notify-timeout", Kind.DURATION, "2s", PROMETHEUS, "The limit of one such request."),
    Flag(
        "notify-retry-max-attempts",
        Kind.COUNT,
        "5",
        PROMETHEUS,
        "A leader whose reload is not confirmed after so many times --notify-retry-delay gives the "
        "lease back; a follower goes on trying.",
    ),
    Flag(
        "notify-retry-delay",
        Kind.DURATION,
        "10s",
        PROMETHEUS,
        "How long to wait for a reload to take effect before it is asked for again.",
    ),
    Flag(
        "prometheus-http-config",
        Kind.TEXT,
        "",
        PROMETHEUS,
        "How to ask Prometheus where it wants TLS or a password: a file in Prometheus' HTTP client "
        "configuration format, for all requests to Prometheus, the proxy's too. It is read again "
        "when it changes.",
    ),
    Flag(
        "targets-url",
        Kind.FEED,
        "",
        TARGETS,
        "Where targets or rules are fetched from, and the file that they become: of targets "
        "(file_sd_configs) if it ends in .json, of rules (rule_files) if in .yml or .yaml. It may "
        "be given several times; one variable holds several, parted by spaces or line breaks. For "
        "Promgen, http://promgen/api/v1/targets, …/api/v1/urls and …/api/v1/rules.",
        is_repeatable=True,
        is_parted=True,
    ),
    Flag(
        "targets-interval",
        Kind.DURATION,
        "1m",
        TARGETS,
        "How often each is fetched, give or take a tenth.",
    ),
    Flag("targets-timeout", Kind.DURATION, "30s", TARGETS, "How long one fetch may take in all."),
    Flag(
        "targets-max-size",
        Kind.SIZE,
        "16MB",
        TARGETS,
        "Answers that are larger, packed or unpacked, are refused; of rules more than 4MB always.",
    ),
    Flag(
        "targets-http-config",
        Kind.TEXT,
        "",
        TARGETS,
        "How to ask there where TLS or a password is wanted: a file in Prometheus' HTTP client "
        "configuration format. It is read again when it changes. Proxies are the environment's "
        "(HTTP_PROXY, HTTPS_PROXY, NO_PROXY).",
    ),
    Flag(
        "targets-allow-empty",
        Kind.BOOLEAN,
        "false",
        TARGETS,
        "Believe at once that there are no targets (or rules) any more; otherwise a second answer "
        "has to say so too, half of the interval later or more. Believe also that --targets-shard "
        "has no targets yet; otherwise that is not believed, however often it comes.",
    ),
    Flag(
        "targets-shard",
        Kind.TEXT,
        "",
        TARGETS,
        "Write only the target groups whose label __shard is this; all without it. Where groups "
        "come and none was ever of this shard, it counts as mistyped, and the file stays as it is.",
    ),
    Flag(
        "targets-broker",
        Kind.BROKER,
        "",
        TARGETS,
        "Promgen's message broker (amqp://… or redis://…): its tasks for this server are answered "
        "by fetching at once. It needs the extra prometheus-elector[promgen]. Rather than the "
        "flag, use the variable: the URL often holds a password.",
    ),
    Flag(
        "targets-queue",
        Kind.TEXT,
        "",
        TARGETS,
        "The queue there: the name by which this server is registered in Promgen.",
        default_note="this replica's name: POD_NAME, else the hostname",
    ),
    Flag(
        "from",
        Kind.URL,
        "",
        ONCE,
        "What `targets FILE` fetches from, once.",
    ),
    Flag(
        "reload",
        Kind.BOOLEAN,
        "false",
        ONCE,
        "Have `targets FILE` reload Prometheus when FILE is one of rules and has changed, at "
        "--notify-http-url (http://127.0.0.1:9090/-/reload unless given; Prometheus needs "
        "--web.enable-lifecycle), and put the old rules back where it refuses the new ones. "
        "Targets it sees by itself.",
    ),
    Flag(
        "api-listen-address",
        Kind.ADDRESS,
        ":9095",
        API,
        "Where the API (/_elector/…) and the proxy listen: :9095, 127.0.0.1:9095 or [::1]:9095.",
    ),
    Flag(
        "web-config-file",
        Kind.TEXT,
        "",
        API,
        "Who may ask there, and how (TLS, passwords, client certificates): a file in the web "
        "configuration format of Prometheus' exporters. It is read again when it changes.",
    ),
    Flag(
        "peers",
        Kind.PEERS,
        "",
        API,
        "The APIs of all replicas, whose word stands on the status page and in `status`: URLs, or "
        "names whose every address is one (a headless Service, NAME or NAME:PORT), with commas "
        "between them.",
        default_note="the headless Service of --api-proxy-prometheus-service-name",
    ),
    Flag("api-workers", Kind.COUNT, "1", API, "The number of processes that answer there."),
    Flag(
        "api-shutdown-grace-delay",
        Kind.DURATION,
        "15s",
        API,
        "How long requests under way may take to end when the API stops.",
        may_be_zero=True,
    ),
    Flag(
        "api-proxy-enabled",
        Kind.BOOLEAN,
        "false",
        API,
        "Forward everything but /_elector/… to the leader's Prometheus.",
    ),
    Flag(
        "api-proxy-prometheus-local-port",
        Kind.PORT,
        "9090",
        API,
        "The port of this replica's Prometheus, asked while it leads.",
    ),
    Flag(
        "api-proxy-prometheus-remote-port",
        Kind.PORT,
        "9090",
        API,
        "The port of the Prometheus of any other replica.",
    ),
    Flag(
        "api-proxy-prometheus-service-name",
        Kind.TEXT,
        "",
        API,
        "The headless Service of the StatefulSet: the leader is http://POD.SERVICE:PORT, or "
        "https as this replica's own Prometheus.",
    ),
    Flag(
        "api-proxy-connect-timeout",
        Kind.DURATION,
        "3s",
        API,
        "How long a connection to the leader's Prometheus may take to be made.",
    ),
    Flag(
        "api-proxy-idle-timeout",
        Kind.DURATION,
        "10m",
        API,
        "A forwarded request on which nothing has passed for so long is given up; the time that a "
        "query takes counts. There is no limit on the whole.",
    ),
    Flag(
        "api-proxy-admin",
        Kind.BOOLEAN,
        "false",
        API,
        "Forward /-/quit, /-/reload and /api/v1/admin/… too.",
    ),
    Flag(
        "api-proxy-max-body",
        Kind.SIZE,
        "",
        API,
        "Refuse requests with a larger body (413), for example 10MB.",
        default_note="no limit",
    ),
    Flag(
        "runtime-metrics",
        Kind.BOOLEAN,
        "false",
        API,
        "Export metrics of the Python runtime as well.",
    ),
    Flag(
        "log-level",
        Kind.CHOICE,
        "info",
        LOG,
        "The least important lines to log.",
        choices=("debug", "info", "warn", "error"),
    ),
    Flag(
        "log-format",
        Kind.CHOICE,
        "logfmt",
        LOG,
        "How lines are written.",
        choices=("logfmt", "json"),
    ),
)

BY_NAME = {flag.name: flag for flag in FLAGS}
