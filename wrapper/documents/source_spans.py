"""Parts of a document as they were written, comments and all: entries, and items of lists; pure.

A part that is cut out is moved to the left margin and means there what it meant in its place. Where
that is not certain nothing is cut, and the nodes are serialized instead: with anchors, which tie
parts together, in flow style, behind directives, with line breaks that are rare, and where a line
would come to look like the end of a document.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.yaml_nodes import MAP_TAG, MERGE_TAG, compose

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ANCHOR = re.compile(rb"(?:^|[\s\[{,:\xbf])&", re.MULTILINE)  # \xbf ends a byte order mark
_LATER_END = re.compile(r"^ +(?:---|\.\.\.)(?:\s|\Z)", re.MULTILINE)
RARE_BREAKS = "\x85\u2028\u2029"
_TO_NEXT_ITEM = re.compile(r"(?:[ \t]*(?:#.*)?\r?\n)* *-")

Texts = dict[tuple[int, int], bytes]  # of an entry, by the ids of its key and its value


class Cut(Node):
    """An item of a list that is there as its text alone, and with what it is known by.

    ``start_mark`` is its place, None where nobody will ask: marks of many items take memory.
    """

    __slots__ = ("names", "start_mark", "text")

    def __init__(self, text: bytes, names: dict[str, str], start_mark: Any = None) -> None:
        self.text = text
        self.names = names
        self.start_mark = start_mark


def whole_items(items: SequenceNode) -> Iterator[tuple[Node, Node]]:
    """Yield each item of a list, for its place, and its node also where it is there as its text."""
    for item in items.value:
        if not isinstance(item, Cut):
            yield item, item
            continue
        root = compose(item.text, "")  # a list of its own, read before
        if isinstance(root, SequenceNode):
            yield item, root.value[0]


def has_anchors(content: bytes) -> bool:
    """Whether there may be an anchor, so that one part of a document may depend on another."""
    return content.startswith(_UTF16) or (b"&" in content and bool(_ANCHOR.search(content)))


def cuttable(content: bytes) -> str | None:
    """Return a text as libyaml's marks count in it, None where nothing can be cut out of it."""
    if has_anchors(content):
        return None
    text = content.decode("utf-8-sig", errors="replace")  # what is replaced, the parser refuses
    is_hindered = (
        text.startswith("%")
        or "\n%" in text
        or text.count("\r") != text.count("\r\n")
        or any(character in text for character in RARE_BREAKS)
        or (("---" in text or "..." in text) and _LATER_END.search(text))
    )
    return None if is_hindered else text


def entry_texts(text: str, section: MappingNode) -> Texts:
    """Return the entries of a section that can be cut out, each as a document of its own."""
    if section.flow_style or section.tag != MAP_TAG or not section.value:
        return {}
    column = section.start_mark.column
    if any(key.start_mark.column != column or key.tag == MERGE_TAG for key, _ in section.value):
        return {}
    starts = [key.start_mark.index for key, _ in section.value]
    places = pairwise([*starts, section.end_mark.index])
    cuts = [
        ((id(key), id(value)), _cut(text[start:end], column, value))
        for (key, value), (start, end) in zip(section.value, places, strict=True)
    ]
    return {identity: cut for identity, cut in cuts if cut is not None}


class ItemTexts:
    """The items of lists in block style, one after the other, each as a list of its own."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._list: SequenceNode | None = None
        self._start: int | None = None

    def last(self, items: SequenceNode) -> bytes | None:
        """Return the text of a list's last item so far, None where it cannot be cut out.

        Ask for each in turn, as soon as the next one begins or the list has ended.
        """
        if items is not self._list:
            self._list, self._start = items, self._dash(items.start_mark.index, items)
        start, self._start = self._start, self._end(items)
        if start is None or self._start is None:
            return None
        return _cut(self._text[start : self._start], items.start_mark.column, items.value[-1])

    def _end(self, items: SequenceNode) -> int | None:
        """Return where the last item ends: at the next one's dash; in the list's end, at its own.

        What comments follow there may be those of the next key.
        """
        last = items.value[-1]
        if items.end_mark is None:
            found = _TO_NEXT_ITEM.match(self._text, last.end_mark.index)
            return self._dash(found.end() - 1, items) if found else None
        end = int(_last_leaf(last).end_mark.index)
        if self._text[end - 1] == "\n":
            return end
        return self._text.find("\n", end) + 1 or len(self._text)

    def _dash(self, at: int, items: SequenceNode) -> int | None:
        """Return this place if an item begins there on a line of its own, else None."""
        column = items.start_mark.column
        before = self._text[max(0, at - column - 1) : at]
        is_one = before == "\n" + " " * column and self._text[at : at + 1] == "-"
        return at if is_one and not items.flow_style else None


def _cut(text: str, column: int, value: Node) -> bytes | None:
    """Return a part that begins in this column, moved to the margin, with its last line ended."""
    if column:
        text = _at_margin(text, column)
    if text.endswith("\n"):
        return text.encode()
    last = _last_leaf(value)
    needs_no_end = isinstance(last, ScalarNode) and last.style in ("|", ">")
    return None if needs_no_end else text.encode() + b"\n"


def _at_margin(text: str, column: int) -> str:
    """Return a part moved to the left by so many columns, its first line being there already."""
    line_start = "\n" + " " * column
    if text.count(line_start) == text.count("\n", 0, -1):  # as nearly always: ten times as fast
        return text.replace(line_start, "\n")
    return _indentation(column).sub("", text)


@cache
def _indentation(column: int) -> re.Pattern[str]:
    return re.compile(f"^ {{1,{column}}}", re.MULTILINE)


def _last_leaf(node: Node) -> Node:
    """Return the last node below this one that ends by itself, and not with what follows it."""
    while isinstance(node, CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return node
