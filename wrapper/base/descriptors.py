"""How many descriptors this process may have, and how many connections that makes."""

from __future__ import annotations

import contextlib
import resource

RESERVED = 64  # for files, pipes and libraries
LEAST = 16


def raise_limit() -> None:
    """Allow this process as many descriptors as it may have: 1,024 are usual unless it asks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connections(most: int, descriptors_each: int) -> int:
    """Return how many connections fit into the limit, up to ``most``."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return most
    return min(most, max((limit - RESERVED) // descriptors_each, LEAST))
