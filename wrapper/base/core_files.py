"""Prevents core files of this program's own processes, whose memory contains passwords.

Guarantee: after ``forbid``, the kernel writes no core of this process, nor of those that it starts,
neither to a file nor to a program.

Limitations:

- Prometheus gets the limit that it would have if it were started directly.
- With a hard limit of 0, a core still goes to a program if the node has one for core dumps.
- A process that may trace this one can still read its memory.
"""

from __future__ import annotations

import contextlib
import resource

# core(5): unlike 0, a limit of 1 also prevents a dump to a program. It is too small for any file.
_NONE = 1
_given: list[int] = []


def forbid() -> None:
    """Forbid core files by the soft limit. The hard limit stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if soft != _NONE and hard != 0:
        _given[:] = [soft]
        _set(_NONE)


def restore_limit() -> None:
    """Restore the original limit: for Prometheus, or before this program executes itself again."""
    for soft in _given:
        _set(soft)


def _set(soft: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # a possible core file is no reason to fail
        resource.setrlimit(
            resource.RLIMIT_CORE, (soft, resource.getrlimit(resource.RLIMIT_CORE)[1])
        )
