"""Never two writers: what replicas have loaded or sent, held against who certainly led; pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from tests.soak.facts import Fault, Reign, Violation, Write

CHECK = "never two writers"
UNDER_WAY_S = 60.0  # TCP's pauses double: 15 s without a way are 15 s and more until the next try


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
    """Yield each write of one replica that came while another certainly led.

    ``late_s``: by so much a write may have been noted late, because the soak itself was held up.
    """
    for write in writes:
        for reign in reigns:
            is_inside = reign.since < write.at - late_s and write.at < reign.until
            if is_inside and write.replica != reign.replica:
                text = f"{write.replica} wrote at {write.at:.2f} while {reign.replica} led, since"
                yield Violation(CHECK, group, write.at, f"{text} {reign.since:.2f}")


def sent(writes: Iterable[Write], partitions: Iterable[Fault]) -> Iterator[Write]:
    """Yield the writes that a replica has sent when they came.

    After a partition the kernel still delivers what was handed to it before, also for a process
    that has hung up or is dead: that is beyond anyone.
    """
    cut = tuple(partitions)
    for write in writes:
        was_under_way = write.is_abandoned and any(
            write.replica in fault.targets and fault.since <= write.at <= fault.until + UNDER_WAY_S
            for fault in cut
        )
        if not was_under_way:
            yield write
