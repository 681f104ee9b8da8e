"""What the help texts say about each command that is the first word of the command line; pure."""

from __future__ import annotations

from dataclasses import dataclass

_HTTP_CONFIG = (
    "--http-config=FILE",
    (
        "How to connect to an API that requires TLS, a client certificate or a password: a file in "
        "Prometheus' HTTP client configuration format, as for --prometheus-http-config."
    ),
)


@dataclass(frozen=True, slots=True)
class Command:
    """The help of one command.

    - ``synopsis``: the words that can follow the program's name, the command first.
    - ``statuses``: the meaning of the exit statuses 0, 1 and 2.
    - ``flags``: the flags that are not in the table of flags, each with its meaning.
    - ``other_flags``: a sentence about flags that other commands have too.
    """

    synopsis: str
    about: str
    statuses: tuple[str, str, str]
    examples: str
    flags: tuple[tuple[str, str], ...] = ()
    other_flags: str = ""


COMMANDS = {
    "check": Command(
        synopsis="check [flags] [-- prometheus [flags of Prometheus]]",
        about="Read and render the configuration that these flags name; start nothing, write "
        "nothing. Print what was read, whether it is valid, what each override of the leader "
        "changes, and the difference between follower and leader, without secrets. With --start, "
        "also start Prometheus briefly with each configuration.",
        statuses=(
            "the configuration can be used",
            "it cannot",
            "it could not be checked (flags, promtool, Prometheus)",
        ),
        examples="""\
  # Check a change before the roll-out: without Prometheus, with a real Prometheus, with promtool:
  prometheus-elector check --config=config.yml
  prometheus-elector check --config=config.yml --start -- prometheus
  prometheus-elector check --config=config.yml --print=leader > leader.yml && \\
      promtool check config leader.yml
""",
        other_flags="The flags of a start name the configuration, above all --config, "
        "--leader-config, --config-envsubst, --config-check and --remote-write-gate.",
    ),
    "status": Command(
        synopsis="status [URL] [--http-config=FILE]",
        about="Print a table of all replicas and what each reports. URL is the API of one of them "
        "(default: this machine's, at ELECTOR_API_LISTEN_ADDRESS).",
        statuses=("exactly one replica leads", "otherwise", "the API could not be asked"),
        examples="""\
  # On the replica's machine or in its container; from elsewhere, with a password:
  prometheus-elector status
  prometheus-elector status https://alice@prometheus-0.example:9095
""",
        flags=(_HTTP_CONFIG,),
    ),
    "step-down": Command(
        synopsis="step-down [URL] [--for=DURATION] [--force] [--http-config=FILE]",
        about="Make this replica hand over now, in order. With --for, it stays out of the "
        "election for that time, also across restarts; --for=0s ends this. The command is refused "
        "if no other replica is known to be ready, unless --force is given. It uses the API if the "
        "API has users or requires client certificates; otherwise it sends a signal on this "
        "machine. The URL (default: this machine's API, at ELECTOR_API_LISTEN_ADDRESS) may contain "
        "a user name, https://alice@HOST:9095; the command then prompts for the password.",
        statuses=(
            "done",
            "requested, but not confirmed within 15 s (with --force: nobody else led within 5 s)",
            "refused, or the API could not be asked",
        ),
        examples="""\
  # Hand over; and, before maintenance, stay out of the election for half an hour:
  prometheus-elector step-down
  prometheus-elector step-down --for=30m
""",
        flags=(
            (
                "--for=DURATION",
                "How long to stay out of the election, at most 168h.",
            ),
            ("--force", "Hand over even if no other replica is known to be ready."),
            _HTTP_CONFIG,
        ),
    ),
    "targets": Command(
        synopsis="targets FILE --from=URL [--reload] [flags]",
        about="Fetch targets or rules once, for cron; start nothing.",
        statuses=(
            "FILE has the content of the URL",
            "it has not, or its new rules are not confirmed to be loaded",
            "the flags are wrong",
        ),
        examples="""\
  # Fetch Promgen's rules, and have Prometheus load them if they have changed:
  prometheus-elector targets /etc/prometheus/promgen.rule.yml \\
      --from=http://promgen/api/v1/rules --reload
""",
        other_flags="The flags --targets-timeout, --targets-max-size, --targets-http-config, "
        "--targets-allow-empty, --targets-shard and, for rules, --config-check apply too; --reload "
        "also uses --notify-http-url and --prometheus-http-config.",
    ),
}
