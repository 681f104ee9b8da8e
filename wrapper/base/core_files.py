"""Core files: none of this program's own processes, since their memory has passwords.

The guarantee: once ``forbid`` has been called, the kernel writes no core of this process, nor of
those that it starts, neither to a file nor to a program. Where it ends: Prometheus gets the limit
that it would have if it were started directly; who may trace this process can still read its
memory; and with a hard limit of 0, a core still goes to a program if the node has one for them.
"""

from __future__ import annotations

import contextlib
import resource

# core(5): 1 also ends a dump to a program, to which 0 does not apply; too small for any file.
_NONE = 1
_given: list[int] = []


def forbid() -> None:
    """Have no core written; the hard limit stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if soft != _NONE and hard != 0:
        _given[:] = [soft]
        _set(_NONE)


def allow_as_before() -> None:
    """Give back the limit of before: to Prometheus, or before this program is executed again."""
    for soft in _given:
        _set(soft)


def _set(soft: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # a core that is written is no reason to fail
        resource.setrlimit(
            resource.RLIMIT_CORE, (soft, resource.getrlimit(resource.RLIMIT_CORE)[1])
        )
