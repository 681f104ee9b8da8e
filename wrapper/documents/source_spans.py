"""Cuts parts out of a document's text, with their comments: entries, and items of lists; pure.

A part is cut out, and its indentation removed. If it is not certain that it then has the same
meaning, it is not cut out, and its nodes are serialized instead. This concerns documents with
anchors, flow style, directives or unusual line breaks, and lines that would look like the end of a
document without their indentation.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.yaml_nodes import MAP_TAG, MERGE_TAG, compose

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A pattern that begins with a character is fast. That matters: a search blocks all other threads.
_ANCHOR = re.compile(rb"&(?:(?<=[\s\[{,:\xbf]&)|(?<=\A&))")  # \xbf ends a byte order mark
_DIRECTIVE = re.compile(r"%(?:(?<=\n%)|(?<=\A%))")
_ENDS = (re.compile(r"---(?=\s|\Z)"), re.compile(r"\.\.\.(?=\s|\Z)"))
RARE_BREAKS = "\x85\u2028\u2029"
_TO_NEXT_ITEM = re.compile(r"(?:[ \t]*(?:#.*)?\r?\n)*+ *-")

Texts = dict[tuple[int, int], bytes]  # the texts of entries, by the ids of key and value
Between = Callable[[int, int], str]  # returns the text between two positions
Names = dict[str, str] | Callable[[bytes], dict[str, str]]


class TextItem(Node):
    """An item of a list of which only the text is kept, and the names that identify it.

    ``names`` may be given as a function of the text, which is called when they are needed.
    ``start_mark`` is None if no message needs the position: the marks of many items take memory.
    """

    __slots__ = ("_names", "start_mark", "text")

    def __init__(self, text: bytes, names: Names, start_mark: Any = None) -> None:
        self.text = text
        self.start_mark = start_mark
        self._names = names

    @property
    def names(self) -> dict[str, str]:
        """The keys that identify the item, with their values."""
        if not isinstance(self._names, dict):
            self._names = self._names(self.text)
        return self._names


def whole_items(items: SequenceNode) -> Iterator[tuple[Node, Node]]:
    """Yield each item of a list, for its position, and its node; parse items kept as text."""
    for item in items.value:
        if not isinstance(item, TextItem):
            yield item, item
            continue
        root = compose(item.text, "")  # a list of this item, which was parsed before without errors
        if isinstance(root, SequenceNode):
            yield item, root.value[0]


def has_anchors(content: bytes) -> bool:
    """Return whether a document may have an anchor, so that parts may depend on each other."""
    return content.startswith(_UTF16) or (b"&" in content and bool(_ANCHOR.search(content)))


def copyable_text(content: bytes) -> str | None:
    """Return the text in which libyaml's marks are positions; None if nothing can be cut out."""
    if has_anchors(content):
        return None
    text = content.decode("utf-8-sig", errors="replace")  # the parser will refuse replaced bytes
    is_hindered = (
        _DIRECTIVE.search(text)
        or text.count("\r") != text.count("\r\n")
        or any(character in text for character in RARE_BREAKS)
        or _has_later_end(text)
    )
    return None if is_hindered else text


def _has_later_end(text: str) -> bool:
    """Return whether a line, without its indentation, would end a document."""
    return any(_is_indented(text, found.start()) for end in _ENDS for found in end.finditer(text))


def _is_indented(text: str, at: int) -> bool:
    """Return whether only spaces, at least one, are before a position on its line.

    A line may be long and have many such positions, so it is not searched for its beginning.
    """
    start = at
    while text[start - 1 : start] == " ":
        start -= 1
    return start < at and text[start - 1 : start] in {"", "\n"}


def entry_texts(between: Between, section: MappingNode) -> Texts:
    """Return the text of each entry that can be cut out of a section, as a document."""
    if section.flow_style or section.tag != MAP_TAG or not section.value:
        return {}
    column = section.start_mark.column
    if any(key.start_mark.column != column or key.tag == MERGE_TAG for key, _ in section.value):
        return {}
    starts = [key.start_mark.index for key, _ in section.value]
    places = pairwise([*starts, section.end_mark.index])
    cuts = [
        ((id(key), id(value)), _cut(between(start, end), column, value))
        for (key, value), (start, end) in zip(section.value, places, strict=True)
    ]
    return {identity: cut for identity, cut in cuts if cut is not None}


class ItemTexts:
    """Cuts the items of block-style lists out of the text, each as a list with one item."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._list: SequenceNode | None = None
        self._start: int | None = None

    def last(self, items: SequenceNode) -> bytes | None:
        """Return the text of the last item that the list has so far; None if it cannot be cut out.

        Call this for each item in turn, when the next item begins or the list has ended.
        """
        if items is not self._list:
            self._list, self._start = items, self._dash(items.start_mark.index, items)
        start, self._start = self._start, self._end(items)
        if start is None or self._start is None:
            return None
        return _cut(self._text[start : self._start], items.start_mark.column, items.value[-1])

    def skip(self, items: SequenceNode, start: int) -> None:
        """Skip the last item that the list has so far; the next one begins at ``start``."""
        self._list, self._start = items, start

    def _end(self, items: SequenceNode) -> int | None:
        """Return where the last item ends: at the next item's dash, or after its own last line.

        Comments after the list's last item may belong to the next key.
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
        """Return this position if an item's dash is there, after only indentation; else None."""
        column = items.start_mark.column
        before = self._text[max(0, at - column - 1) : at]
        is_one = before == "\n" + " " * column and self._text[at : at + 1] == "-"
        return at if is_one and not items.flow_style else None


def _cut(text: str, column: int, value: Node) -> bytes | None:
    """Return a part without this indentation, with a line break at its end; None if uncertain."""
    text = at_margin(text, column)
    if text.endswith("\n"):
        return text.encode()
    last = _last_leaf(value)
    if isinstance(last, TextItem):
        # Its last line is complete, and spaces after it have no meaning. With a line break added,
        # they would be one more empty line of a block scalar that keeps such lines ("|+").
        text = text.rstrip(" ").removesuffix("\n")
    needs_no_end = isinstance(last, ScalarNode) and last.style in ("|", ">")
    return None if needs_no_end else text.encode() + b"\n"


def at_margin(text: str, column: int) -> str:
    """Return a part with all lines but the first moved to the left by ``column``."""
    if not column:
        return text
    line_start = "\n" + " " * column
    if text.count(line_start) == text.count("\n", 0, -1):  # nearly always; ten times as fast
        return text.replace(line_start, "\n")
    return _indentation(column).sub("", text)


@cache
def _indentation(column: int) -> re.Pattern[str]:
    return re.compile(f"^ {{1,{column}}}", re.MULTILINE)


def _last_leaf(node: Node) -> Node:
    """Return the last node at or below this one that has its own end mark.

    A collection in block style has none: its end mark is at the token that follows it.
    """
    while isinstance(node, CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return node
