"""The flags about targets and rules, and those of the command ``targets``; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

TARGETS: tuple[Flag, ...] = (
    Flag(
        "targets-url",
        FlagKind.FEED,
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
        "How often each URL is fetched; the interval varies by up to 10 %.",
        default="1m",
    ),
    Flag(
        "targets-timeout",
        FlagKind.DURATION,
        "The timeout of one whole fetch.",
        default="30s",
    ),
    Flag(
        "targets-max-size",
        FlagKind.SIZE,
        "Larger answers are refused, compressed or not. Rules above 4MB are always refused.",
        default="16MB",
    ),
    Flag(
        "targets-http-config",
        FlagKind.TEXT,
        "How to reach a server that requires TLS or a password to fetch from: a file in "
        "Prometheus' HTTP client configuration format. The file is reloaded when it changes. "
        "Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).",
    ),
    Flag(
        "targets-allow-empty",
        FlagKind.BOOLEAN,
        "Accept at once an answer without any targets (or rules). Without this flag, such an "
        "answer counts only if another one, half of the interval later or more, has none either. "
        "The flag also accepts that --targets-shard has no targets yet; without it, that is never "
        "accepted.",
        default="false",
    ),
    Flag(
        "targets-shard",
        FlagKind.TEXT,
        "Write only the target groups whose label __shard has this value. Without this flag, all "
        "groups are written. If an answer has groups but none was ever of this shard, the value "
        "counts as mistyped, and the file stays as it is.",
    ),
    Flag(
        "targets-broker",
        FlagKind.BROKER,
        "Promgen's message broker (amqp://… or redis://…). Promgen's tasks for this server then "
        "start a fetch at once. Needs the extra prometheus-elector[promgen]. The URL often "
        "contains a password: prefer the environment variable to the flag.",
    ),
    Flag(
        "targets-queue",
        FlagKind.TEXT,
        "The queue at the broker: the name by which this server is registered in Promgen.",
        default_note="this replica's name: POD_NAME, otherwise the host name",
    ),
)

ONCE: tuple[Flag, ...] = (
    Flag(
        "from",
        FlagKind.URL,
        "The URL that `targets FILE` fetches once.",
    ),
    Flag(
        "reload",
        FlagKind.BOOLEAN,
        "Have `targets FILE` reload Prometheus if FILE holds rules and has changed, by a request "
        "to --notify-http-url (if not given, http://127.0.0.1:9090/-/reload; Prometheus needs "
        "--web.enable-lifecycle). If Prometheus refuses the new rules, the old ones are put back. "
        "Targets need no reload: Prometheus watches the file.",
        default="false",
    ),
)
