"""The table of flags: all names, defaults and meanings, in the groups that ``--help`` prints; pure.

The help text, the environment variables, the parser and the reference page are derived from this
table. The rows of a group are in the module of its subject. Flags of the Go prometheus-elector have
the same names and meanings here.
"""

from __future__ import annotations

from wrapper.options.api_flags import API, LOG
from wrapper.options.configuration_flags import CHECK, CONFIGURATION
from wrapper.options.election_flags import ELECTION
from wrapper.options.flag import Flag
from wrapper.options.gate_flags import GATE
from wrapper.options.prometheus_flags import PROMETHEUS
from wrapper.options.targets_flags import ONCE, TARGETS

# By title. If only one command has the flags of a group, the title is that command.
GROUPS: dict[str, tuple[Flag, ...]] = {
    "Configuration": CONFIGURATION,
    "check": CHECK,
    "Election": ELECTION,
    "Gate": GATE,
    "Prometheus": PROMETHEUS,
    "Targets and rules": TARGETS,
    "targets": ONCE,
    "API and proxy": API,
    "Log": LOG,
}
FLAGS = tuple(flag for group in GROUPS.values() for flag in group)
BY_NAME = {flag.name: flag for flag in FLAGS}
