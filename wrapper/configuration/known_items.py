"""Items of long lists that need not be parsed, since they are known; pure.

An item is known if the same text was an item of the same list in the file before, or if it has the
*shape* of another: its text is the same but for words in values. In lists of many items most are
of few shapes. Only the shape is parsed, with ``_WORD`` for each such word.

A word is of letters and digits, with ``_``, ``.``, ``/`` and ``-`` inside, and not before a colon.
YAML has the same structure whatever these words are, but for four places. A key: its shape is not
used if a word is a part of one. A tag: an item with an exclamation mark is parsed. After a
backslash, and in the head of a block: there ``_WORD`` is an error, so that the item is parsed.
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
from wrapper.documents.source_spans import Cut
from wrapper.documents.yaml_inspection import Inspection
from wrapper.documents.yaml_nodes import LIST_TAG, UnusableError, compose

_WORD = "Zz0"
_WORDS = re.compile(r"\b[A-Za-z0-9][A-Za-z0-9_./-]*+(?!:[ \t\r\n])", re.ASCII)
_NAME = re.compile(rf"^[- ] ({'|'.join(NAMES)}): +([A-Za-z0-9][A-Za-z0-9_./:-]*)\r?$", re.MULTILINE)
_DEEPEST = 50  # levels of an item; far fewer than the parser allows in the whole document
_MOST_SINGLE = 256  # shapes of one item, after which a file of different items is parsed as a whole

Names = Callable[[bytes], dict[str, str]]
Items = Mapping[str, Mapping[bytes, Cut]]  # of a file, by list and text


class KnownItems:
    """What is known of the items of one file.

    ``before`` are the items of the file before. ``has_paths``: relative paths in
    the items have to be resolved, so that an item with a path is not known by its shape.
    """

    def __init__(self, before: Items | None = None, *, has_paths: bool = False) -> None:
        self._before = before or {}
        self._has_paths = has_paths
        self._shapes: dict[str, Names | None] = {}
        self._asked = 0

    def find(self, key: str, text: str) -> Cut | None:
        """Return the item with this text, at the margin, of a list; None if it is not known."""
        if key in LISTS:  # messages need the places of these
            return None
        content = text.encode()
        found = self._before.get(key, {}).get(content)
        return found or self._by_shape(text, content)

    def _by_shape(self, text: str, content: bytes) -> Cut | None:
        if "!" in text or len(self._shapes) > max(_MOST_SINGLE, self._asked / 2):
            return None
        self._asked += 1
        shape = _WORDS.sub(_WORD, text)
        if shape not in self._shapes:
            self._shapes[shape] = _names_by(shape, has_paths=self._has_paths)
        names = self._shapes[shape]
        return None if names is None else Cut(content, names)


def by_text(section: MappingNode) -> Items:
    """Return the items of a section's lists of which only the text is kept."""
    found: dict[str, dict[bytes, Cut]] = {}
    for key, value in section.value:
        if isinstance(value, SequenceNode) and isinstance(key, ScalarNode):
            cuts = [item for item in value.value if isinstance(item, Cut)]
            items = {item.text: item for item in cuts if item.start_mark is None}
            if items:
                found[key.value] = items
    return found


def _names_by(shape: str, *, has_paths: bool) -> Names | None:
    """Return how to find the names of items of this shape; None if these have to be parsed."""
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
    """Return the one item of a plain list, a mapping without problems."""
    if not isinstance(root, SequenceNode) or root.tag != LIST_TAG or len(root.value) != 1:
        return None
    problems = Problems()
    item = root.value[0]
    if not isinstance(item, MappingNode):
        return None
    Inspection(problems).visit_tree(item)
    return None if problems else item


def _keys_in(item: CollectionNode) -> set[str] | None:
    """Return all keys in an item; None if a word is a part of one, or it is too deep."""
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
    """Tell whether the pattern finds exactly the item's names, each where it is."""
    found = {(match[1], match.start(2)) for match in _NAME.finditer(shape)}
    there = {
        (key.value, value.start_mark.index)
        for key, value in item.value
        if key.value in NAMES and isinstance(value, ScalarNode)
    }
    return found == there and dict(names_of(item)) == _written_names(shape.encode())


def _written_names(text: bytes) -> dict[str, str]:
    return {match[1]: match[2] for match in _NAME.finditer(text.decode())}


def _parsed_names(text: bytes) -> dict[str, str]:
    root = compose(text, "")
    return names_of(root.value[0]) if isinstance(root, SequenceNode) else {}
