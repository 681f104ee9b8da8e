"""Prometheus' configuration is one of the two correct ones, and the newest in time; pure.

The name of a scrape job identifies the edit, in the follower's part and in the leader's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.soak.facts import FOREVER, Violation

CHECK, IN_TIME = "one of the two right configurations", "an edit in time"
JOB = re.compile(r"^- job_name: (\S+)$", re.MULTILINE)
REMOTE_WRITE = re.compile(r"^remote_write:$", re.MULTILINE)


@dataclass(slots=True)
class Edit:
    """A valid edit of a replica's configuration: correct from ``at``, and required from ``due``."""

    number: int
    at: float
    due: float = FOREVER


@dataclass(frozen=True, slots=True)
class Seen:
    """What a Prometheus reports as loaded: jobs in order, and whether it has remote_write.

    ``asked_at`` is the time of the request, ``at`` that of the answer.
    """

    replica: str
    asked_at: float
    at: float
    jobs: tuple[str, ...]
    has_remote_write: bool


def seen(replica: str, asked_at: float, at: float, yaml: str) -> Seen:
    """Return what a configuration, as Prometheus prints it, contains."""
    return Seen(replica, asked_at, at, tuple(JOB.findall(yaml)), bool(REMOTE_WRITE.search(yaml)))


def wrong(
    group: str, what: Seen, edits: Sequence[Edit], base: tuple[str, ...], *, has_gate: bool
) -> Iterator[Violation]:
    """Yield the violations of a loaded configuration; ``edits`` are its replica's, in order."""
    right = {
        rendering
        for number in current(edits, what.asked_at, what.at)
        for rendering in renderings(number, base, has_gate=has_gate)
    }
    if (what.jobs, what.has_remote_write) not in right:
        yield Violation(
            CHECK,
            group,
            what.at,
            f"{what.replica} has loaded jobs {' '.join(what.jobs)} "
            f"{'with' if what.has_remote_write else 'without'} remote_write; right are "
            f"{sorted(right)}",
        )


def renderings(
    number: int, base: tuple[str, ...], *, has_gate: bool
) -> list[tuple[tuple[str, ...], bool]]:
    """Return both renderings of an edit: of a follower, and of a leader."""
    follower = (*base, f"edit-{number}")
    if has_gate:  # the roles differ only in remote_write, which both have
        return [(follower, True)]
    return [(follower, False), ((*follower, f"lead-{number}"), True)]


def current(edits: Sequence[Edit], since: float, until: float) -> set[int]:
    """Return the numbers of the edits that may be loaded in a period."""
    return {
        edit.number
        for edit, following in zip(edits, [*edits[1:], None], strict=True)
        if edit.at <= until and (following is None or since <= following.due)
    }
