"""The flags about targets and rules, and those of the command ``targets``; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

TARGETS: tuple[Flag, ...] = (
    Flag(
        "targets-url",
        FlagKind.FEED,
        "The URL to fetch targets or rules from, and the file to write them to. A file that ends "
        "in .json contains targets (file_sd_configs), one that ends in .yml or .yaml contains "
        "rules (rule_files). The flag may be repeated; the environment variable may contain "
        "several, separated by spaces or line breaks. For Promgen: http://promgen/api/v1/targets, "
        "…/api/v1/urls and …/api/v1/rules.",
        is_repeatable=True,
        splits_on_whitespace=True,
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
        "The maximum size of an answer, compressed or not. Larger answers are refused. Rules "
        "above 4MB are always refused.",
        default="16MB",
    ),
    Flag(
        "targets-http-config",
        FlagKind.FILE,
        "How to connect to a server that requires TLS or a password: a file in Prometheus' HTTP "
        "client configuration format. The file is reloaded when it changes. The environment sets "
        "the proxy (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).",
    ),
    Flag(
        "targets-allow-empty",
        FlagKind.BOOLEAN,
        "Accept an answer without any targets (or rules) at once. Without this flag, it is "
        "accepted only if another answer, at least half of the interval later, is empty too. With "
        "this flag, it is also accepted that --targets-shard has no targets yet; without it, "
        "never.",
        default="false",
    ),
    Flag(
        "targets-shard",
        FlagKind.NAME,
        "Write only the target groups whose label __shard has this value. Without this flag, all "
        "groups are written. If an answer has groups, but none was ever of this shard, the value "
        "is considered mistyped, and the file is not changed.",
    ),
    Flag(
        "targets-broker",
        FlagKind.BROKER,
        "Promgen's message broker (amqp://… or redis://…). A task of Promgen for this server then "
        "starts a fetch at once. Requires the extra prometheus-elector[promgen]. The URL often "
        "contains a password: prefer the environment variable to the flag.",
    ),
    Flag(
        "targets-queue",
        FlagKind.NAME,
        "The queue at the broker: the name under which this server is registered in Promgen.",
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
        "Have `targets FILE` reload Prometheus if FILE contains rules and has changed, with a "
        "request to --notify-http-url (default: http://127.0.0.1:9090/-/reload; Prometheus needs "
        "--web.enable-lifecycle). If Prometheus refuses the new rules, the old ones are restored. "
        "Targets need no reload: Prometheus watches the file.",
        default="false",
    ),
)
