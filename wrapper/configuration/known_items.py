"""Recognises items of long lists that need not be parsed, because they are known; pure.

An item is known in either of two cases:

- When the file was last read, the same list had an item with the same text.
- The item has a known *shape*: its text, with ``_WORD`` in place of each word in a value. Only the
  shape is parsed, once. Most items of a long list have one of a few shapes.

A word consists of letters and digits, may have ``_``, ``.``, ``/`` and ``-`` inside, and is not
followed by a colon. To replace a word does not change the structure of the YAML, except in four
places:

- in a key: a shape is not used if a word is part of a key;
- in a tag: an item with an exclamation mark is always parsed;
- after a backslash, and in the header of a block scalar: ``_WORD`` is an error there, so the item
  is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import may_name_a_file
from wrapper.configuration.patch import NAMES, names_of
from wrapper.configuration.remote_duplicates import LISTS
from wrapper.documents.problems import Problems
from wrapper.documents.source_spans import TextItem
from wrapper.documents.yaml_inspection import Inspection
from wrapper.documents.yaml_nodes import LIST_TAG, UnusableError, compose

_WORD = "Zz0"
_WORDS = re.compile(r"\b[A-Za-z0-9][A-Za-z0-9_./-]*+(?!:[ \t\r\n])", re.ASCII)
_SCALAR = r"""[A-Za-z0-9][A-Za-z0-9_./:-]*|"[^"\\\r\n]*"|'[^'\r\n]*'"""
_NAME = re.compile(rf"^[- ] ({'|'.join(NAMES)}): +({_SCALAR})\r?$", re.MULTILINE)
_DEEPEST = 50  # levels of an item, far fewer than the parser allows in a document
_MOST_SINGLE = 256  # with more shapes, and under two items each, items are parsed

Names = Callable[[bytes], dict[str, str]]
Items = Mapping[str, Mapping[bytes, TextItem]]  # of a file, by the list's key and the item's text


class KnownItems:
    """The known items of one file.

    ``before`` are the items that the file had when it was last read. With ``has_paths``, relative
    paths in the items have to be resolved, so an item with a path is not known by its shape.
    """

    def __init__(self, before: Items | None = None, *, has_paths: bool = False) -> None:
        self._before = before or {}
        self._has_paths = has_paths
        self._shapes: dict[str, Names | None] = {}
        self._asked = 0

    def find(self, key: str, text: str) -> TextItem | None:
        """Return the item of a list with this text, without indentation; None if not known."""
        if key in LISTS:  # messages need the positions of these items
            return None
        content = text.encode()
        found = self._before.get(key, {}).get(content)
        return found or self._by_shape(text, content)

    def _by_shape(self, text: str, content: bytes) -> TextItem | None:
        if "!" in text or len(self._shapes) > max(_MOST_SINGLE, self._asked / 2):
            return None
        self._asked += 1
        shape = _WORDS.sub(_WORD, text)
        if shape not in self._shapes:
            self._shapes[shape] = _names_by(shape, has_paths=self._has_paths)
        names = self._shapes[shape]
        return None if names is None else TextItem(content, names)


def by_text(section: MappingNode) -> Items:
    """Return the items in a section's lists that are kept as text, without a position."""
    found: dict[str, dict[bytes, TextItem]] = {}
    for key, value in section.value:
        if isinstance(value, SequenceNode) and isinstance(key, ScalarNode):
            cuts = [item for item in value.value if isinstance(item, TextItem)]
            items = {item.text: item for item in cuts if item.start_mark is None}
            if items:
                found[key.value] = items
    return found


def _names_by(shape: str, *, has_paths: bool) -> Names | None:
    """Return what finds the names in an item of this shape; None if it has to be parsed."""
    try:
        root = compose(shape.encode(), "")
    except (yaml.YAMLError, UnusableError, RecursionError):
        return None
    item = _only_item(root)
    if item is None:
        return None
    keys = _keys_in(item)
    if keys is None or (has_paths and any(may_name_a_file(key.encode()) for key in keys)):
        return None
    return _written_names if _are_written(shape, item) else _parsed_names


def _only_item(root: Node | None) -> MappingNode | None:
    """Return the only item of a list if it is a mapping without problems; else None."""
    if not isinstance(root, SequenceNode) or root.tag != LIST_TAG or len(root.value) != 1:
        return None
    problems = Problems()
    item = root.value[0]
    if not isinstance(item, MappingNode):
        return None
    Inspection(problems).visit_tree(item)
    return None if problems else item


def _keys_in(item: CollectionNode) -> set[str] | None:
    """Return all keys in an item; None if a word is part of a key, or the item is too deep."""
    keys: set[str] = set()
    level: list[CollectionNode] = [item]
    for _ in range(_DEEPEST):
        parts: list[Node] = []
        for node in level:
            if isinstance(node, MappingNode):
                keys |= {key.value for key, _ in node.value}
                parts += [value for _, value in node.value]
            else:
                parts += node.value
        level = [part for part in parts if isinstance(part, CollectionNode)]
        if not level:
            return None if any(_WORD in key for key in keys) else keys
    return None


def _are_written(shape: str, item: MappingNode) -> bool:
    """Return whether the pattern finds exactly the item's names, at their positions."""
    found = {(match[1], match.start(2)) for match in _NAME.finditer(shape)}
    there = {
        (key.value, value.start_mark.index)
        for key, value in item.value
        if key.value in NAMES and isinstance(value, ScalarNode)
    }
    return found == there and dict(names_of(item)) == _written_names(shape.encode())


def _written_names(text: bytes) -> dict[str, str]:
    return {match[1]: _unquoted(match[2]) for match in _NAME.finditer(text.decode())}


def _unquoted(scalar: str) -> str:
    return scalar[1:-1] if scalar[0] in "\"'" else scalar


def _parsed_names(text: bytes) -> dict[str, str]:
    root = compose(text, "")
    return names_of(root.value[0]) if isinstance(root, SequenceNode) else {}
