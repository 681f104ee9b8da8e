"""Nothing grows: threads, descriptors, memory, files, processes; pure.

Usage is measured only while all is well. It has grown if the minimum of the last figures exceeds
the maximum of the first ones by more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.soak.facts import Figures, Violation

CHECK = "nothing grows"
TOLERANCE = Figures(threads=3, descriptors=6, memory=12.0)
ENOUGH = 3  # the number of first and of last figures, which must not overlap


def grown(group: str, what: str, at: float, figures: Sequence[Figures]) -> Iterator[Violation]:
    """Yield what a process uses more of than before, by its figures while all was well."""
    if len(figures) < 2 * ENOUGH:
        return
    for name, tolerance in zip(Figures._fields, TOLERANCE, strict=True):
        values = [float(getattr(each, name)) for each in figures]
        before, after = max(values[:ENOUGH]), min(values[-ENOUGH:])
        if after > before + tolerance:
            text = f"{what} had {before:g} {name} at most, and has {after:g} at least"
            yield Violation(CHECK, group, at, f"{text} (tolerance {tolerance:g})")
