"""The texts of --help: the general one with the table of flags, and one for each command; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from wrapper.options.commands import COMMANDS, Command
from wrapper.options.flag import Flag, FlagKind
from wrapper.options.flags import GROUPS

_WIDTH = 96
_HEAD = """\
prometheus-elector: of several identical Prometheus replicas, exactly one writes.

Every replica runs this program. One replica is elected: its Prometheus gets the leader's
configuration (remote_write and the like), the others get the follower's. A leader that stops, or
that can no longer be sure that it leads, stops writing before another replica begins.

Usage:
  prometheus-elector [flags] -- prometheus [flags of Prometheus]
      Start Prometheus as a child process: the full guarantee.
  prometheus-elector [flags]
      Sidecar: reload a Prometheus in another container over HTTP. This program cannot kill it, so a
      Prometheus that does not answer may continue to write. --remote-write-gate prevents this.
  prometheus-elector --init [flags]
      Write the follower's configuration and exit.
"""
_EXAMPLES = """\
Examples:
  # In Kubernetes, with POD_NAME and POD_UID set from the pod's fields metadata.name, metadata.uid:
  prometheus-elector --config=/etc/elector/config.yml --output=/prometheus/elector.yml \\
      --lease-name=prometheus -- prometheus --config.file=/prometheus/elector.yml

  # Two replicas on one machine; start the second with other ports, folders and another POD_NAME:
  POD_NAME=a prometheus-elector --config=config.yml --output=a.yml -- \\
      prometheus --config.file=a.yml --storage.tsdb.path=data-a

  # For a Prometheus that already has a configuration; leader.yml is the leader's part:
  prometheus-elector --leader-config=leader.yml --lease-name=prometheus -- \\
      prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus

  # Without an election; targets and rules are fetched from Promgen every minute:
  prometheus-elector \\
      --targets-url=http://promgen/api/v1/targets=/etc/prometheus/promgen.json \\
      --targets-url=http://promgen/api/v1/rules=/etc/prometheus/promgen.rule.yml -- \\
      prometheus --config.file=/etc/prometheus/prometheus.yml

"""
_SYNTAX = """\
Flags have one dash or two, as --flag=value or --flag value; durations are written as 1m30s or
500ms. Each flag has an environment variable, in [brackets] below. The flag wins over the variable,
the variable over the default.
"""
_TAIL = """\
Other variables:
  POD_NAME   the identity of this replica (default: the host name)
  POD_UID    distinguishes two pods of the same name (default: random at each start)
  POD_NAMESPACE
             the pod's namespace, for --lease-pod-label (default: the service account's, otherwise
             the Lease's)
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
             the proxy to the API server and to --targets-url, read as Go programs read them; never
             used for loopback addresses, nor for the hosts and networks (10.0.0.0/8) in NO_PROXY

  --help     print this text
  --version  print the version
"""


def usage(command: str = "") -> str:
    """Return the text for ``--help``: that of a command, otherwise the general one."""
    if command in COMMANDS:
        return "\n".join(_of_command(command, COMMANDS[command]))
    head = _HEAD + "".join(map(_summary, COMMANDS.values()))
    examples = _EXAMPLES + COMMANDS["check"].examples
    return "\n".join((head, examples, _SYNTAX, *(_group(name) for name in GROUPS), _TAIL))


def _summary(command: Command) -> str:
    """Return what the general text says about a command."""
    statuses = ", ".join(f"{code} {each}" for code, each in enumerate(command.statuses))
    about = _wrapped(f"{command.about} Exit status: {statuses}.", 6)
    return "\n".join((f"  prometheus-elector {command.synopsis}", *about, ""))


def _of_command(name: str, command: Command) -> Iterator[str]:
    """Yield the lines of a command's own text."""
    yield f"Usage: prometheus-elector {command.synopsis}\n"
    yield from (*_wrapped(command.about), "", "Flags:")
    for flag, meaning in command.flags:
        yield from (f"  {flag}", *_wrapped(meaning, 6))
    yield from (line for flag in GROUPS.get(name, ()) for line in _flag(flag))
    if command.other_flags:
        yield from _wrapped(command.other_flags, 2)
    yield f"\nExamples:\n{command.examples}\nExit status:"
    yield from (f"  {code}  {each}" for code, each in enumerate(command.statuses))
    yield "\nAll commands, flags and variables: prometheus-elector --help"


def _group(name: str) -> str:
    """Return the section of one group of flags."""
    lines = (line for flag in GROUPS[name] for line in _flag(flag))
    title = f"Only for {name}" if name.islower() else name  # a title in lower case is a command
    return "\n".join((f"{title}:", *lines, ""))


def _flag(flag: Flag) -> Iterator[str]:
    """Yield the lines of one flag."""
    value = "" if flag.kind is FlagKind.BOOLEAN else f"={flag.placeholder}"
    yield f"  --{flag.name}{value}"
    default = f" Default: {flag.shown_default}." if flag.shown_default else ""
    yield from _wrapped(f"{flag.help}{default} [{', '.join((flag.env, *flag.also_env))}]", 6)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
