"""The help text: made of the table of flags; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from wrapper.options.flags import FLAGS, GROUPS, Flag, Kind

_WIDTH = 96
_HEAD = """\
prometheus-elector: of several identical Prometheus replicas, exactly one writes.

Each replica runs this program. One of them is elected: its Prometheus gets the leader's
configuration (remote_write and the like), the others the follower's. A leader that goes away, or
can no longer be sure that it leads, stops writing before another begins.

Usage:
  prometheus-elector [flags] -- prometheus [flags of Prometheus]
      start Prometheus and own it: the full guarantee
  prometheus-elector [flags]
      sidecar: drive a Prometheus in another container, by HTTP; it cannot be killed from here, so
      one that does not answer may go on writing
  prometheus-elector --init [flags]
      write the follower's configuration and exit
  prometheus-elector check [flags] [-- prometheus [flags of Prometheus]]
      read and render the configuration that these flags name; start nothing, write nothing. It
      prints what was read, whether it is valid, where each override of the leader lands, and the
      difference between follower and leader, without secrets. With --start it also starts
      Prometheus with each for a moment. Exit status: 0 it can be used, 1 it cannot, 2 it could not
      be checked (flags, promtool, Prometheus).
  prometheus-elector status [URL] [--http-config=FILE]
      print what all replicas say of themselves, as a table; URL is the API of one of them (default:
      this machine's, where ELECTOR_API_LISTEN_ADDRESS says). Exit status: 0 exactly one leads, 1
      not so, 2 it could not be asked.
  prometheus-elector step-down [URL] [--for=30m] [--force] [--http-config=FILE]
      have that replica hand over now, in order; with --for, keep it out of the election for that
      time, also across restarts (--for=0s ends that). Refused when no other replica is known to be
      ready, unless forced. Over the API where it has users or client certificates, else by a signal
      on this machine. The URL may hold a name, https://alice@HOST:9095: the password is asked for.
      FILE is one like that of --prometheus-http-config: CA, client certificate, password.
  prometheus-elector targets FILE --from=URL [--reload] [flags]
      fetch targets or rules once, for cron; start nothing. Exit status: 0 FILE is as the URL says,
      1 it is not, or its new rules are not known to be in force, 2 the flags are wrong.

Examples:
  # In Kubernetes, with POD_NAME and POD_UID set from the pod's own fields:
  prometheus-elector --config=/etc/elector/config.yml --output=/prometheus/elector.yml \\
      --lease-name=prometheus -- prometheus --config.file=/prometheus/elector.yml

  # Two replicas on one machine; start the second with other ports, folders and another POD_NAME:
  POD_NAME=a prometheus-elector --config=config.yml --output=a.yml -- \\
      prometheus --config.file=a.yml --storage.tsdb.path=data-a

  # In front of a Prometheus that has its own file, with what the leader adds apart from it:
  prometheus-elector --leader-config=leader.yml --lease-name=prometheus -- \\
      prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus

  # A plain server whose targets and rules Promgen keeps, fetched here every minute:
  prometheus-elector \\
      --targets-url=http://promgen/api/v1/targets=/etc/prometheus/promgen.json \\
      --targets-url=http://promgen/api/v1/rules=/etc/prometheus/promgen.rule.yml -- \\
      prometheus --config.file=/etc/prometheus/prometheus.yml

  # Before a change is rolled out; the second one by a real Prometheus, the third by promtool:
  prometheus-elector check --config=config.yml
  prometheus-elector check --config=config.yml --start -- prometheus
  prometheus-elector check --config=config.yml --print=leader > leader.yml && \\
      promtool check config leader.yml

Flags are written with one dash or two, as --flag=value or --flag value; durations as 1m30s or
500ms. A flag wins over its environment variable, which wins over the default.
"""
_TAIL = """\
Other variables:
  POD_NAME   the identity of this replica (default: the host's name)
  POD_UID    tells two pods of one name apart (default: a random word at each start)
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
             the proxy on the way to the API server and to --targets-url, as Go reads them: never
             to loopback, and not to the hosts and networks (10.0.0.0/8) that NO_PROXY names

  --help     print this text
  --version  print the version
"""


def usage() -> str:
    """Return the text for ``--help``."""
    return "\n".join((_HEAD, *(_group(name) for name in GROUPS), _TAIL))


def _group(name: str) -> str:
    """Return the part about one group of flags."""
    lines = (line for flag in FLAGS if flag.group == name for line in _flag(flag))
    return "\n".join((f"{name}:", *lines, ""))


def _flag(flag: Flag) -> Iterator[str]:
    """Yield the lines about one flag."""
    value = "" if flag.kind is Kind.BOOLEAN else f"={flag.placeholder}"
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
