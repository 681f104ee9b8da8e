"""Detects a Prometheus that would ignore ``--enable-feature=agent``.

Prometheus 3.0 replaced this feature with the flag ``--agent``. If the feature is given, it only
logs a warning and starts as a server. This module runs ``prometheus --help`` to see whether it has
the flag.

Limitation: only a Prometheus in the command is run; the one that a script starts is not known.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from wrapper.options.prometheus_args import ChildArguments
from wrapper.startup.prometheus_version import prometheus_in

_LIMIT_S = 10.0
_AGENT_FLAG = re.compile(r"^ *--(\[no-\])?agent\b", re.MULTILINE)


def problems_of_agent(command: Sequence[str], arguments: ChildArguments) -> list[str]:
    """Return a problem if this Prometheus ignores the feature for agent mode, else []."""
    if not arguments.has_agent_feature or arguments.has_agent_flag:
        return []
    if not _has_agent_flag(prometheus_in(command)):
        return []
    wrong = (
        "--enable-feature=agent: this Prometheus ignores it (as all since 3.0) and would start as "
        "a server"
    )
    return [f"{wrong}; write --agent instead"]


def _has_agent_flag(program: str) -> bool:
    """Return whether this Prometheus has the flag ``--agent``; False if it cannot be run."""
    if not program:
        return False
    try:
        done = subprocess.run(
            [program, "--help"], capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return _AGENT_FLAG.search(done.stdout + done.stderr) is not None
