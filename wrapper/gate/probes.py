"""Choose which series of a refused part to send alone, and then which to send together; pure.

Each series has one sample. So the receiver has it, or lacks it, whatever becomes of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

ROUNDS = (64, 128)  # probes after the first round, and after the second
SHARE = 32  # one new probe of so many shows that new series may be anywhere
CHANGES_OF_RUN = 2  # of the answers, at its two ends
GOLDEN = 5**0.5 / 2 + 0.5


def probes(indexes: Sequence[int], most: int, attempt: int) -> list[int]:
    """Return at most ``most`` of the indexes of series, ascending: those that are sent alone.

    With a larger ``most``, the same ones are among them. Another attempt has others, as far as
    there are others, except the first and the last.
    """
    return [indexes[at] for at in _spread(most, len(indexes), attempt)]


def changes(accepted: Mapping[int, bool | None]) -> int:
    """Return how often the receiver's answer changes from one probe to the next.

    One change shows a cut: the receiver has the series before it, or those after it. Two show one
    run of new series, or of known ones.
    """
    return sum(accepted[one] is not accepted[other] for one, other in pairwise(sorted(accepted)))


def are_mixed(accepted: Mapping[int, bool | None]) -> bool:
    """Return whether new series may be anywhere among the known ones: see the module ``replay``."""
    new = sum(each is not False for each in accepted.values())
    return changes(accepted) > CHANGES_OF_RUN and new * SHARE >= len(accepted)


def groups(count: int, accepted: Mapping[int, bool | None]) -> list[list[int]]:
    """Return the indexes of ``count`` series in the groups in which they are sent after the probes.

    ``accepted`` has the probes: whether the receiver accepted each, None if that is not known. The
    series between two that were accepted are sent together, and all others alone. Those between two
    that were refused are in no group unless known and new series are mixed.
    """
    has_all = are_mixed(accepted)
    together: list[int] = []
    alone: list[list[int]] = []
    for left, right in pairwise((-1, *sorted(accepted), count)):
        between = range(left + 1, right)
        found = {accepted[at] for at in (left, right) if at in accepted}
        if found == {True}:
            together += between
        elif found != {False} or has_all:
            alone += ([at] for at in between)
    return [together, *alone] if together else alone


def _spread(most: int, among: int, attempt: int) -> list[int]:
    """Return at most ``most`` indexes below ``among``, ascending: both ends, and others between.

    The distances are irregular, so that both kinds are found also if known and new ones alternate.
    """
    if most >= among:
        return list(range(among))
    found = {0, among - 1}
    number = attempt * ROUNDS[-1]
    while len(found) < most:
        found.add(int(number * GOLDEN % 1.0 * among))
        number += 1
    return sorted(found)
