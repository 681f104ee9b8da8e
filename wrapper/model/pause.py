"""A requested pause from the election. A module of its own: the web process needs no events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pause:
    """A requested pause: this replica stays out of the election.

    ``until_at`` is the end on CLOCK_BOOTTIME, ``until_time`` the same end as wall time.
    """

    until_at: float
    until_time: float
