"""Never two writers: what replicas have loaded or sent, held against who certainly led; pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from tests.soak.facts import Reign, Violation, Write

CHECK = "never two writers"


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
                yield Violation(
                    CHECK,
                    group,
                    write.at,
                    f"{write.replica} wrote at {write.at:.2f} while {reign.replica} led from "
                    f"{reign.since:.2f} until {reign.until:.2f}",
                )
