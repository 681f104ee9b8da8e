"""The text of --help, with the table of flags; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

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
  prometheus-elector check [flags] [-- prometheus [flags of Prometheus]]
      Read and render the configuration that these flags name; start nothing, write nothing. Print
      what was read, whether it is valid, what each override of the leader changes, and the
      difference between follower and leader, without secrets. With --start, also start Prometheus
      briefly with each configuration. Exit status: 0 the configuration can be used, 1 it cannot, 2
      it could not be checked (flags, promtool, Prometheus).
  prometheus-elector status [URL] [--http-config=FILE]
      Print a table of all replicas and what each reports. URL is the API of one of them (default:
      this machine's, at ELECTOR_API_LISTEN_ADDRESS). Exit status: 0 exactly one replica leads, 1
      otherwise, 2 the API could not be asked.
  prometheus-elector step-down [URL] [--for=30m] [--force] [--http-config=FILE]
      Make this replica hand over now, in order. With --for, it stays out of the election for that
      time, also across restarts; --for=0s ends this. The command is refused if no other replica is
      known to be ready, unless --force is given. It uses the API if the API has users or requires
      client certificates; otherwise it sends a signal on this machine. The URL may contain a user
      name, https://alice@HOST:9095; the command then prompts for the password. FILE has the format
      of --prometheus-http-config: CA, client certificate, password.
  prometheus-elector targets FILE --from=URL [--reload] [flags]
      Fetch targets or rules once, for cron; start nothing. Exit status: 0 FILE has the content of
      the URL, 1 it has not, or its new rules are not confirmed to be loaded, 2 the flags are wrong.

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

  # Check a change before the roll-out: without Prometheus, with a real Prometheus, with promtool:
  prometheus-elector check --config=config.yml
  prometheus-elector check --config=config.yml --start -- prometheus
  prometheus-elector check --config=config.yml --print=leader > leader.yml && \\
      promtool check config leader.yml

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


def usage() -> str:
    """Return the text for ``--help``."""
    return "\n".join((_HEAD, *(_group(name) for name in GROUPS), _TAIL))


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
    indent = " " * 6
    yield from textwrap.wrap(
        f"{flag.help}{default} [{', '.join((flag.env, *flag.also_env))}]",
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
