"""Shortens a document with long lists, so that items that are known are not parsed again; pure.

Parsing known items would take most of the time that a document with many items needs. So a list in
block style is cut into its items by their indentation. Each run of consecutive items that the
caller knows is replaced by one item, the *stand-in*, and by empty lines, so that the number of
lines stays. Everything else keeps its line and column. The result, the *outline*, is parsed in
place of the document.

This is right only if the parser finds each stand-in as an item of a list, which ``is_complete``
checks. The first and the last item of a list are never replaced, since what is around the list
depends on them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import NamedTuple

from yaml.nodes import Node, ScalarNode, SequenceNode

from wrapper.documents.source_spans import TextItem, at_margin

STAND_IN = "items-that-are-set-aside"
_LEAST = 3  # items that a list must have, as two of them stay
_NO_CONTENT = r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*+"
_AT_MARGIN = re.compile(r"\n[^\s#]")
_REPLACED = "\ufffd"  # what decoding puts in the place of bytes that are not UTF-8

Know = Callable[[str, str], TextItem | None]


class _Place(NamedTuple):
    """The positions where the lines of an item begin and end, and the column of its dash."""

    start: int
    end: int
    column: int


class Run(NamedTuple):
    """Consecutive known items; ``start``, ``end`` and ``column`` as in ``_Place``."""

    start: int
    end: int
    column: int
    items: list[Node]


class Outline:
    """A document without its runs. The marks of its nodes are positions in ``text``."""

    def __init__(self, text: str, runs: list[Run]) -> None:
        parts, ends, at, size = [], [], 0, 0
        for run in runs:
            lines = text.count("\n", run.start, run.end)
            parts += [text[at : run.start], f"{' ' * run.column}- {STAND_IN}{chr(10) * lines}"]
            size += len(parts[-2]) + len(parts[-1])
            ends.append(size)
            at = run.end
        self.text = "".join([*parts, text[at:]])
        self._document = text
        self._ends = ends
        self._runs = runs
        self._taken = 0

    @property
    def is_complete(self) -> bool:
        """Whether each run has been taken, so that the nodes are those of the document."""
        return self._taken == len(self._runs)

    def take(self, items: SequenceNode) -> int:
        """Replace the last item so far, if it is a stand-in, by its run; call this for each item.

        Returns the position of the next item in the outline; 0 if the last item is no stand-in.
        """
        item = items.value[-1]
        if not isinstance(item, ScalarNode) or item.value != STAND_IN:
            return 0
        run, end = self._runs[self._taken], self._ends[self._taken]
        self._taken += 1
        items.value[-1:] = run.items
        return end + run.column

    def between(self, start: int, end: int) -> str:
        """Return the document's text between two positions in the outline."""
        return self._document[self._place(start) : self._place(end)]

    def _place(self, at: int) -> int:
        before = bisect_right(self._ends, at)
        if not before:
            return at
        return self._runs[before - 1].end + at - self._ends[before - 1]


def outline_of(text: str, key: str, know: Know) -> Outline | None:
    """Return the outline of a document; None if no item can be replaced.

    Only lists in the mapping at the top-level key ``key`` are shortened; "": in the document's own
    mapping. ``know`` gets a list's key and an item's text without indentation. It returns the item
    if it is known: then the text has been parsed as a list of one item, without problems.
    """
    if STAND_IN in text or _REPLACED in text:
        return None
    section = _section(text, key)
    if section is None:
        return None
    runs = [run for name, items in _lists(text, section) for run in _runs(text, name, items, know)]
    return Outline(text, runs) if runs else None


def _section(text: str, key: str) -> _Place | None:
    """Return where the mapping of a top-level key begins and ends, and its column."""
    if not key:
        return _Place(0, len(text), 0)
    found = _mapping_of(key).search(text)
    if found is None:
        return None
    end = _AT_MARGIN.search(text, found.end())
    return _Place(found.start(1), end.start() + 1 if end else len(text), len(found[1]))


@cache
def _mapping_of(key: str) -> re.Pattern[str]:
    return re.compile(rf"(?:\A|\n){key}:[ \t]*(?:#[^\n]*)?\r?\n{_NO_CONTENT}( +)(?=\S)")


def _lists(text: str, section: _Place) -> Iterator[tuple[str, list[_Place]]]:
    """Yield the key of each list in a section, and the places of all items but first and last."""
    at, head = section.start, _head(section.column)
    while found := head.search(text, at, section.end):
        at, column = found.start(2), len(found[2])
        item, items = _item(column), []
        while one := item.match(text, at, section.end):
            items.append(_Place(at, one.end(), column))
            at = one.end()
        at = max(at, found.end())
        if column >= section.column and len(items) >= _LEAST:
            yield found[1], items[1:-1]


@cache
def _head(column: int) -> re.Pattern[str]:
    """Return the pattern of a list's key in this column, up to its first item."""
    key = rf"^ {{{column}}}([A-Za-z_][A-Za-z0-9_]*):[ \t]*(?:#[^\n]*)?\r?\n"
    return re.compile(rf"{key}{_NO_CONTENT}( *)(?=-[ \r\n])", re.MULTILINE)


@cache
def _item(column: int) -> re.Pattern[str]:
    """Return the pattern of an item: its first line, then deeper, empty and comment lines."""
    deeper = rf" {{{column + 1}}}[^\n]*\n"
    return re.compile(rf" {{{column}}}-(?=[ \r\n])[^\n]*\n(?:{deeper}|[ \t]*(?:#[^\n]*)?\r?\n)*+")


def _runs(text: str, key: str, places: list[_Place], know: Know) -> Iterator[Run]:
    """Yield the runs of known items."""
    column = places[0].column
    found = ((place, know(key, _text_of(text, place))) for place in places)
    for is_known, group in groupby(found, lambda each: each[1] is not None):
        if is_known:
            members = list(group)
            items: list[Node] = [item for _, item in members if item is not None]
            yield Run(members[0][0].start, members[-1][0].end, column, items)


def _text_of(text: str, place: _Place) -> str:
    """Return an item's text without its indentation."""
    return at_margin(text[place.start + place.column : place.end], place.column)
