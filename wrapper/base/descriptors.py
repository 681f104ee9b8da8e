"""The limit of open file descriptors, and how many connections fit into it."""

from __future__ import annotations

import contextlib
import resource

RESERVED = 64  # descriptors for files, pipes and libraries
LEAST = 16


def raise_limit() -> None:
    """Raise the soft limit of descriptors, usually 1,024, to the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connections(most: int, descriptors_each: int) -> int:
    """Return how many connections fit into the limit, up to ``most``."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return most
    return min(most, max((limit - RESERVED) // descriptors_each, LEAST))
