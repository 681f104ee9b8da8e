"""Bytes → YAML's node graph, in which every scalar is as it was written; pure.

Only the first document is read. What is no YAML, or nests so deep that libyaml's recursion would
end the process, becomes a problem with its place; what is YAML but no configuration is for
``yaml_inspection`` to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from yaml.composer import Composer, ComposerError
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from wrapper.documents.problems import Problem, end_of

MERGE_TAG = "tag:yaml.org,2002:merge"
MAP_TAG = "tag:yaml.org,2002:map"
LIST_TAG = "tag:yaml.org,2002:seq"
NULL_TAG = "tag:yaml.org,2002:null"
TEXT_TAG = "tag:yaml.org,2002:str"

_TAGS = {ScalarNode: TEXT_TAG, SequenceNode: LIST_TAG, MappingNode: MAP_TAG}
_PATTERNS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.CSafeLoader.yaml_implicit_resolvers
_KEPT_TAGS = 1000
MAX_DEPTH = 200  # of nested collections; Prometheus' own go to about 12
_CURES = {  # the cure for what libyaml says, by a part of it
    "cannot start any token": 'indent with spaces, not tabs; quote a value that begins with "%@`"',
    "mapping values are not allowed": 'mend the indentation, or quote a value that contains ": "',
    "undefined alias": "define the anchor above its alias, or quote a value that begins with *",
    "undefined tag": "quote a value that begins with !",
    "escape": "write it in single quotes, where a backslash is a backslash",
}
_CURE = "mend the indentation, brackets or quotes, here or above"
Entries = dict[str, tuple[ScalarNode, Node]]
Collection = TypeVar("Collection", bound=CollectionNode)
AtItem = Callable[[tuple[str, ...], SequenceNode], None]


class UnusableError(Exception):
    """A graph that cannot be walked."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


def kind(node: Node) -> str:
    """Name a node's kind without its value."""
    if isinstance(node, CollectionNode):
        return "a mapping" if isinstance(node, MappingNode) else "a list"
    return "empty" if is_null(node) else "a single value"


def is_null(node: Node | None) -> bool:
    """Whether there is nothing, or a null."""
    return node is None or (isinstance(node, ScalarNode) and node.tag == NULL_TAG)


def entries(node: MappingNode) -> Entries:
    """Return a mapping's entries by key, those of its merge keys among them.

    Where a key comes more than once the last one counts, as in Prometheus' decoder (go-yaml v2).
    """
    return _entries(node, {})


def value_of(node: Node | None, name: str) -> Node | None:
    """Return the value that a mapping has under a key; None where it has none, or is no mapping."""
    found = entries(node) if isinstance(node, MappingNode) else {}
    return found[name][1] if name in found else None


def with_items(node: Collection, items: list[Any]) -> Collection:
    """Return a copy of a collection that has other items, or entries."""
    return type(node)(node.tag, items, node.start_mark, node.end_mark, flow_style=node.flow_style)


def _entries(node: MappingNode, known: dict[int, Entries]) -> Entries:
    found: Entries = {}
    for key, value in node.value:
        if key.tag == MERGE_TAG:
            found.update(_merged_entries(value, known))
        elif isinstance(key, ScalarNode):
            found[key.value] = (key, value)
    return found


def _merged_entries(value: Node, known: dict[int, Entries]) -> Entries:
    """Return what a merge key brings in; of several mappings the first one counts.

    ``known`` has those that were asked for: a few lines can merge one a billion times.
    """
    sources = value.value if isinstance(value, SequenceNode) else [value]
    found: Entries = {}
    for source in reversed(sources):
        if not isinstance(source, MappingNode):
            continue
        if id(source) not in known:
            known[id(source)] = _entries(source, known)
        found.update(known[id(source)])
    return found


# --- bytes to nodes -------------------------------------------------------------------------------


def compose(
    content: bytes, name: str, at_item: AtItem | None = None, depth: int = 0
) -> Node | None:
    """Return the root of the first document; those after it are not even looked at.

    ``at_item`` is called when an item has been added to a list that stands below ``depth`` keys of
    plain mappings, with these keys and the list: it may put another node in the item's place.

    Raises yaml.YAMLError, UnusableError, RecursionError: see ``explained``.
    """
    try:
        return _first(_Loader(_Stream(content, name), at_item, depth))
    except ComposerError as error:
        if "duplicate anchor" not in str(error.context):
            raise
        return _first(_AnchorsAnew(_Stream(content, name)))


def _first(loader: Any) -> Node | None:
    """Return a loader's first document, its last item told; check_node goes before get_node."""
    try:
        root: Node | None = loader.get_node() if loader.check_node() else None
        loader.tell_of_item()
        return root
    finally:
        loader.dispose()


class _Stream:
    """Bytes to read that have a name, which the parser then writes into every mark."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self._content = content
        self._offset = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size``."""
        end = len(self._content) if size < 0 else self._offset + size
        piece, self._offset = self._content[self._offset : end], end
        return piece


class _Loader(yaml.CSafeLoader):
    """libyaml's composer, stopped before it nests too deep, and telling of items.

    It recurses in C: 100,000 brackets would overflow the stack and end the process. It tells the
    resolver of every node that it enters and leaves, and asks it for every tag: these methods are
    most of what reading a large file costs.
    """

    def __init__(self, stream: _Stream, at_item: AtItem | None = None, depth: int = 0) -> None:
        super().__init__(stream)
        self._way: list[tuple[Any, Any]] = []  # each open node's parent and key
        # A node is left: in C, where a method would be a third of what following costs.
        self.ascend_resolver = self._way.pop  # type: ignore[method-assign, assignment]
        self._at_item = at_item
        self._list_depth = depth + 1 if at_item else -1
        self._list: SequenceNode | None = None
        self._keys: tuple[str, ...] | None = None  # above the list
        self._tags: dict[str, str] = {}  # of plain scalars

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the tag of a node that has none, as PyYAML's own slower method does.

        The tags of plain scalars are kept, since most scalars, the keys, come again and again.
        """
        if kind is not ScalarNode or not implicit[0]:
            return _TAGS[kind]
        tag = self._tags.get(value)
        if tag is None:
            tag = _tag_of_plain(value)
            if len(self._tags) < _KEPT_TAGS:
                self._tags[value] = tag
        return tag

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Note a node that is entered; raise UnusableError."""
        way = self._way
        depth = len(way)
        if depth <= self._list_depth:
            self._follow(current_node, current_index, depth)
        elif depth > MAX_DEPTH:
            raise UnusableError(current_node, f"more than {MAX_DEPTH} levels deep; take some away")
        way.append((current_node, current_index))

    def _follow(self, parent: Any, key: Any, depth: int) -> None:
        """Tell of the item before a node that is entered, and note a list that begins."""
        self.tell_of_item()
        is_item = depth == self._list_depth and isinstance(key, int)
        if not is_item:
            self._list = None
        elif parent is not self._list:
            self._list = parent
            way = self._way[1:]
            is_plain = all(_is_plain_entry(*step) for step in way)
            self._keys = tuple(key.value for _, key in way) if is_plain else None

    def tell_of_item(self) -> None:
        """Tell of the item that has ended, where its list stands below nothing but keys."""
        if self._at_item is not None and self._list is not None and self._keys is not None:
            self._at_item(self._keys, self._list)


def _tag_of_plain(value: str) -> str:
    """Return the tag of a scalar without quotes: PyYAML has patterns by first character."""
    for tag, pattern in _PATTERNS.get(value[:1], ()):
        if pattern.match(value):
            return tag
    return TEXT_TAG


def _is_plain_entry(parent: Node, key: Any) -> bool:
    """Tell whether a key, or number, is one of a mapping that is just that."""
    return parent.tag == MAP_TAG and isinstance(key, ScalarNode) and key.tag != MERGE_TAG


class _AnchorsAnew(Composer, _Loader):
    """The slow composer, for inputs that define an anchor twice, which is good YAML.

    libyaml's composer refuses them, Prometheus' does not.
    """

    def __init__(self, stream: _Stream) -> None:
        _Loader.__init__(self, stream)
        Composer.__init__(self)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Forget an anchor when it is defined anew."""
        event = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        return super().compose_node(parent, index)


# --- why bytes are no graph -----------------------------------------------------------------------


def explained(error: Exception, content: bytes, name: str) -> Problem:
    """Return the problem that keeps a whole input from being used."""
    if isinstance(error, UnusableError):
        return Problem.at(error.node, str(error))
    if isinstance(error, ReaderError):
        text = f"not text ({error.reason}); write the file in UTF-8, without control characters"
        return Problem(name, *end_of(content[: error.position]), text)
    if isinstance(error, yaml.MarkedYAMLError):
        return Problem(name, *_place(error, content), _syntax(error))
    return Problem(name, 1, 1, f"not YAML; {_CURE}")


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Return cause and cure of a YAML error, without the alias that the slow composer quotes."""
    problem = re.sub("(?<=undefined alias).*", "", str(error.problem))
    cause = f"{error.context} {problem}" if error.context else problem
    cure = next((cure for part, cure in _CURES.items() if part in problem), _CURE)
    return f"not YAML: {cause}; {cure}"


def _place(error: yaml.MarkedYAMLError, content: bytes) -> tuple[int, int]:
    """Return line and column of a YAML error: what was never closed, else where it was noticed."""
    end = end_of(content.rstrip())
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    places = [(mark.line + 1, mark.column + 1) for mark in marks]
    return next((place for place in places if place <= end), end)
