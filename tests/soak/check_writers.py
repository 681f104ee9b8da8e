"""Never two writers: the replicas' configurations and writes, compared with the leaders; pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from tests.soak.facts import Fault, Reign, Violation, Write

CHECK = "never two writers"
UNDER_WAY_S = 60.0  # TCP's pauses double: after 15 s without a network, the next try is 15 s later


def overlaps(group: str, reigns: Sequence[Reign]) -> Iterator[Violation]:
    """Yield each pair of replicas that certainly led at one time."""
    for one, other in itertools.combinations(reigns, 2):
        since, until = max(one.since, other.since), min(one.until, other.until)
        if one.replica != other.replica and since < until:
            text = f"{one.replica} and {other.replica} both led for {until - since:.2f} s"
            yield Violation(CHECK, group, since, f"{text}: {one}, {other}")


def intruders(
    group: str, writes: Iterable[Write], reigns: Sequence[Reign], late_s: float = 0.0
) -> Iterator[Violation]:
    """Yield each write of one replica that arrived while another certainly led.

    ``late_s``: a write may be recorded this late, because the soak test itself was delayed.
    """
    for write in writes:
        for reign in reigns:
            is_inside = reign.since < write.at - late_s and write.at < reign.until
            if is_inside and write.replica != reign.replica:
                text = f"{write.replica} wrote at {write.at:.2f} while {reign.replica} led, since"
                yield Violation(CHECK, group, write.at, f"{text} {reign.since:.2f}")


def sent(writes: Iterable[Write], partitions: Iterable[Fault]) -> Iterator[Write]:
    """Yield the writes without those that were delayed by a partition.

    After a partition, the kernel still delivers earlier data, also of a process that has closed the
    connection or is dead. No program can prevent that.
    """
    cut = tuple(partitions)
    for write in writes:
        was_under_way = write.is_abandoned and any(
            write.replica in fault.targets and fault.since <= write.at <= fault.until + UNDER_WAY_S
            for fault in cut
        )
        if not was_under_way:
            yield write
