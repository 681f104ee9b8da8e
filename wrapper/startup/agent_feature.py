"""Finds out whether Prometheus would ignore ``--enable-feature=agent``.

Prometheus 3.0 replaced the feature by the flag ``--agent``. Given the feature it only warns, and
starts as a server. The limit: only a Prometheus in the command is asked; what a script starts is
not known.
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
    """Return the problem if this Prometheus ignores the feature that asks for agent mode."""
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
    """Ask Prometheus whether it has the flag; False if it does not answer."""
    if not program:
        return False
    try:
        done = subprocess.run(
            [program, "--help"], capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return _AGENT_FLAG.search(done.stdout + done.stderr) is not None
