"""The flags about the configuration, and those of the command ``check``; pure."""

from __future__ import annotations

from wrapper.options.flag import Flag, FlagKind

CONFIGURATION: tuple[Flag, ...] = (
    Flag(
        "config",
        FlagKind.FILE,
        "The configuration to render: a file with a `follower` and a `leader` section. With "
        "--leader-config, it is a whole Prometheus configuration, that of the follower. Without "
        "--config, the follower's configuration is the --config.file of the command after --, and "
        "Prometheus is started with the rendered file instead.",
        default_note="--config.file of the command after --",
    ),
    Flag(
        "leader-config",
        FlagKind.FILE_OR_FOLDER,
        "The leader's part of the configuration: a file, or a folder of *.yml and *.yaml files, "
        "that is merged into the follower's configuration. The follower's is then a whole "
        "Prometheus configuration. The flag may be repeated; the files are merged in order. A "
        "file or folder that does not exist adds nothing.",
        is_repeatable=True,
    ),
    Flag(
        "config-envsubst",
        FlagKind.BOOLEAN,
        "Replace $(NAME) in the input files with the value of the environment variable NAME. "
        "$$(NAME) stays unchanged.",
        default="false",
    ),
    Flag(
        "config-envsubst-allow-unset",
        FlagKind.BOOLEAN,
        "Leave $(NAME) unchanged if the variable is not set. Without this flag, such an input is "
        "refused.",
        default="false",
    ),
    Flag(
        "config-check",
        FlagKind.PROGRAM,
        "The promtool, by name or path, that checks each new configuration (`promtool check "
        "config`) before it is used. A configuration that promtool refuses is not used. Without "
        "this flag, only Prometheus checks it. promtool does not read certificates, keys and "
        "passwords, so Prometheus may still refuse what promtool accepts (see `check --start`).",
        default_note="none",
    ),
    Flag(
        "output",
        FlagKind.FILE,
        "The rendered configuration: the file that this program writes and Prometheus reads.",
        default_note="--config.file of the command after --; without --config, "
        "prometheus-elector/prometheus.yml in Prometheus' storage folder",
    ),
    Flag(
        "output-mode",
        FlagKind.MODE,
        "The permissions of the output file, which may contain passwords. As a sidecar and with "
        "--init, the default lets every user read it, because Prometheus may run as another user.",
        default_note="0600 with a command after --, otherwise 0644",
    ),
    Flag(
        "rehash-period",
        FlagKind.DURATION,
        "How often the input files are read again to find changes that the kernel does not report "
        "(subPath mounts, network file systems). All other changes are detected at once.",
        default="5s",
    ),
    Flag(
        "init",
        FlagKind.BOOLEAN,
        "Write the follower's configuration to --output and exit: for an init container.",
        default="false",
    ),
)

CHECK: tuple[Flag, ...] = (
    Flag(
        "print",
        FlagKind.CHOICE,
        "What `check` prints: a report without secrets, or exactly the configuration that "
        "Prometheus would read in one role, with all secrets, for promtool or another program.",
        default="report",
        choices=("report", "follower", "leader"),
    ),
    Flag(
        "start",
        FlagKind.BOOLEAN,
        "Have `check` start Prometheus (the command after --, otherwise the `prometheus` on the "
        "PATH) with each rendered configuration and an empty folder, and kill it as soon as it is "
        "ready. No other check finds all errors that Prometheus finds. No samples and no alerts "
        "are sent, but targets may be scraped. A script is run only if its arguments contain "
        "--config.file.",
        default="false",
    ),
    Flag(
        "syntax-only",
        FlagKind.BOOLEAN,
        "Have `check` skip the certificates, keys, passwords and tokens that the configuration "
        "names: for a machine that does not have these files.",
        default="false",
    ),
)
