"""Computes the unified diff of two YAML texts; pure.

difflib is slow if many lines are equal, as in a configuration of thousands of jobs. So whole
entries are compared first, and lines only within entries that differ. An entry begins with a line
that is not indented.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

_CONTEXT = 3  # lines around a change
Opcode = tuple[str, int, int, int, int]  # as in difflib: operation, old lines, new lines


def unified(old: Sequence[str], new: Sequence[str], names: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff; none if the texts are equal."""
    hunks = list(_Opcodes(old, new).get_grouped_opcodes(_CONTEXT))
    if hunks:
        yield f"--- {names[0]}"
        yield f"+++ {names[1]}"
    for hunk in hunks:
        first, last = hunk[0], hunk[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@"
        for what, old_from, old_to, new_from, new_to in hunk:
            if what == "equal":
                yield from (f" {line}" for line in old[old_from:old_to])
            else:
                yield from (f"-{line}" for line in old[old_from:old_to])
                yield from (f"+{line}" for line in new[new_from:new_to])


class _Opcodes(difflib.SequenceMatcher[str]):
    """Opcodes that were found in two steps; difflib groups them into hunks."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, "", "")
        self._found = list(_joined(_opcodes(old, new)))

    def get_opcodes(self) -> list[Opcode]:  # type: ignore[override]
        """Return the operations that turn the old text into the new one."""
        return self._found


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[Opcode]:
    """Yield the operations, by whole entries, and by lines within entries that differ."""
    before, after = _entries(old), _entries(new)
    texts = [["\n".join(old[a:b]) for a, b in before], ["\n".join(new[a:b]) for a, b in after]]
    matcher = difflib.SequenceMatcher(None, texts[0], texts[1], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        old_from, old_to = _span(before, a, b)
        new_from, new_to = _span(after, c, d)
        if what != "replace":
            yield what, old_from, old_to, new_from, new_to
            continue
        lines = difflib.SequenceMatcher(None, old[old_from:old_to], new[new_from:new_to])
        for step, i, j, k, m in lines.get_opcodes():
            yield step, old_from + i, old_from + j, new_from + k, new_from + m


def _entries(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return the range of lines of each entry: its first line, and the line after its last."""
    starts = [at for at, line in enumerate(lines) if at == 0 or not line.startswith(" ")]
    return list(pairwise([*starts, len(lines)]))


def _span(entries: list[tuple[int, int]], first: int, end: int) -> tuple[int, int]:
    """Return the range of lines of some entries; if empty, at the position of ``first``."""
    if first < end:
        return entries[first][0], entries[end - 1][1]
    at = entries[first][0] if first < len(entries) else entries[-1][1] if entries else 0
    return at, at


def _joined(opcodes: Iterator[Opcode]) -> Iterator[Opcode]:
    """Yield the operations; adjacent ones of the same kind are joined."""
    for what, neighbours in groupby(opcodes, key=itemgetter(0)):
        steps = list(neighbours)
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = steps[0], steps[-1]
        yield what, old_from, old_to, new_from, new_to


def _range(start: int, end: int) -> str:
    """Return a range in the form of diff: first line, from 1, and number of lines."""
    length = end - start
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"
