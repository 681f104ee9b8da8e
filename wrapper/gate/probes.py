"""Choose which series of a refused part to send alone, and then which to send together; pure.

Each series has one sample. So the receiver has it, or lacks it, whatever becomes of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

FEWEST = 32  # series that are sent alone, if there are as many
SHARE = 8  # one of so many is sent alone
GOLDEN = 5**0.5 / 2 + 0.5


def probes(indexes: Sequence[int]) -> list[int]:
    """Return those of the indexes of series that are sent alone, ascending."""
    return [indexes[at] for at in _spread(max(FEWEST, len(indexes) // SHARE), len(indexes))]


def changes(accepted: Mapping[int, bool | None]) -> int:
    """Return how often the receiver's answer changes from one probe to the next.

    One change shows a cut: the receiver has the series before it, or those after it.
    """
    return sum(accepted[one] is not accepted[other] for one, other in pairwise(sorted(accepted)))


def groups(count: int, accepted: Mapping[int, bool | None]) -> list[list[int]]:
    """Return the indexes of ``count`` series in the groups in which they are sent after the probes.

    ``accepted`` has the probes: whether the receiver accepted each, None if that is not known. The
    series between two that were accepted are sent together, and all others alone. Those between two
    that were refused are in no group if there is at most one change: the receiver has them.
    """
    is_cut = changes(accepted) <= 1
    together: list[int] = []
    alone: list[list[int]] = []
    for left, right in pairwise((-1, *sorted(accepted), count)):
        between = range(left + 1, right)
        found = {accepted[at] for at in (left, right) if at in accepted}
        if found == {True}:
            together += between
        elif found != {False} or not is_cut:
            alone += ([at] for at in between)
    return [together, *alone] if together else alone


def _spread(most: int, among: int) -> list[int]:
    """Return at most ``most`` indexes below ``among``, ascending: both ends, and others between.

    The distances are irregular, so that both kinds are found also if known and new ones alternate.
    """
    if most >= among:
        return list(range(among))
    found = {0, among - 1}
    number = 0
    while len(found) < most:
        found.add(int(number * GOLDEN % 1.0 * among))
        number += 1
    return sorted(found)
