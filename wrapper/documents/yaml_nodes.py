"""Parses bytes into a graph of YAML nodes, in which every scalar is as it was written; pure.

Only the first document is read. Bytes that are not YAML become a problem with its place. So does
nesting that is so deep that libyaml's recursion would crash the process. ``yaml_inspection`` checks
whether the YAML can be a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from yaml.composer import Composer, ComposerError
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError
from yaml.scanner import ScannerError

from wrapper.documents.problems import Problem, end_of

MERGE_TAG = "tag:yaml.org,2002:merge"
MAP_TAG = "tag:yaml.org,2002:map"
LIST_TAG = "tag:yaml.org,2002:seq"
NULL_TAG = "tag:yaml.org,2002:null"
BOOL_TAG = "tag:yaml.org,2002:bool"
TRUE = frozenset(("true", "yes", "on"))  # the words for true, in lower case
TEXT_TAG = "tag:yaml.org,2002:str"

_TAGS = {ScalarNode: TEXT_TAG, SequenceNode: LIST_TAG, MappingNode: MAP_TAG}
_PATTERNS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.CSafeLoader.yaml_implicit_resolvers
_KEPT_TAGS = 1000
MAX_DEPTH = 200  # levels of collections; Prometheus' configuration needs about 12
_TOO_DEEP = f"more than {MAX_DEPTH} levels deep; remove some"
_CURES = {  # by a part of libyaml's message
    "cannot start any token": 'indent with spaces, not tabs; quote a value that begins with "%@`"',
    "mapping values are not allowed": 'correct the indentation, or quote a value with ": " in it',
    "undefined alias": "define the anchor above its alias, or quote a value that begins with *",
    "undefined tag": "quote a value that begins with !",
    "escape": "write it in single quotes, where a backslash is a backslash",
}
_CURE = "correct the indentation, brackets or quotes, here or above"
Entries = dict[str, tuple[ScalarNode, Node]]
Collection = TypeVar("Collection", bound=CollectionNode)
AtItem = Callable[[tuple[str, ...], SequenceNode], None]


class UnusableError(Exception):
    """A node graph that is nested or expanded too far to be walked."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


def kind(node: Node) -> str:
    """Return a node's kind in words, without its value."""
    if isinstance(node, CollectionNode):
        return "a mapping" if isinstance(node, MappingNode) else "a list"
    return "empty" if is_null(node) else "a single value"


def is_null(node: Node | None) -> bool:
    """Return whether there is no node, or a null."""
    return node is None or (isinstance(node, ScalarNode) and node.tag == NULL_TAG)


def entries(node: MappingNode) -> Entries:
    """Return a mapping's entries by key, with those of its merge keys.

    If a key is repeated the last one counts, as in Prometheus' decoder (go-yaml v2).
    """
    return _entries(node, {})


def value_of(node: Node | None, name: str) -> Node | None:
    """Return the value of a mapping's key; None if it has no such key or is not a mapping."""
    found = entries(node) if isinstance(node, MappingNode) else {}
    return found[name][1] if name in found else None


def with_items(node: Collection, items: list[Any], *, flow_style: bool | None = None) -> Collection:
    """Return a copy of a collection with other items or entries; None keeps its ``flow_style``."""
    style = node.flow_style if flow_style is None else flow_style
    return type(node)(node.tag, items, node.start_mark, node.end_mark, flow_style=style)


def _entries(node: MappingNode, known: dict[int, Entries]) -> Entries:
    found: Entries = {}
    for key, value in node.value:
        if key.tag == MERGE_TAG:
            found.update(_merged_entries(value, known))
        elif isinstance(key, ScalarNode):
            found[key.value] = (key, value)
    return found


def _merged_entries(value: Node, known: dict[int, Entries]) -> Entries:
    """Return the entries that a merge key adds; of several mappings, the first has precedence.

    ``known`` caches the entries by mapping: a few lines of YAML can merge one a billion times.
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
    """Return the root of the first document; the rest is not parsed.

    ``at_item`` is called after each item of a list that is ``depth`` keys below the root, with
    these keys and the list so far. It may replace the item in the list. It is not called for lists
    below merge keys or tagged mappings.

    Raises yaml.YAMLError, UnusableError, RecursionError: see ``explained``.
    """
    try:
        return _first(_Loader(_Stream(content, name), at_item, depth))
    except ComposerError as error:
        if "duplicate anchor" not in str(error.context):
            raise
        return _first(_RedefiningComposer(_Stream(content, name)))


def _first(loader: Any) -> Node | None:
    """Return a loader's first document; PyYAML needs check_node before get_node."""
    try:
        root: Node | None = loader.get_node() if loader.check_node() else None
        loader.report_item()
    except ScannerError as error:
        if "maximum nesting depth" not in str(error.problem):
            raise
        # The scanner of libyaml 0.2.6 reads ahead of the composer, and has its own limit.
        place = ScalarNode(TEXT_TAG, "", error.problem_mark)
        raise UnusableError(place, _TOO_DEEP) from None
    else:
        return root
    finally:
        loader.dispose()


class _Stream:
    """A stream with a name, which the parser puts into every mark."""

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
    """libyaml's composer, with a limit for nesting and a callback for items of lists.

    The composer recurses in C: 100,000 brackets would overflow the stack and crash the process. It
    calls the resolver for each node that it enters or leaves, and for each tag. These methods take
    most of the time that a large file needs.
    """

    def __init__(self, stream: _Stream, at_item: AtItem | None = None, depth: int = 0) -> None:
        super().__init__(stream)
        self._path: list[tuple[Any, Any]] = []  # parent and key of each open node
        # Called when a node is left. A method in Python would take a third of the tracking time.
        self.ascend_resolver = self._path.pop  # type: ignore[method-assign, assignment]
        self._at_item = at_item
        self._list_depth = depth + 1 if at_item else -1
        self._list: SequenceNode | None = None
        self._keys: tuple[str, ...] | None = None  # the keys that lead to the list
        self._tags: dict[str, str] = {}  # the tags of plain scalars

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the tag of an untagged node, as PyYAML's own, slower method does.

        The tags of plain scalars are cached, since most scalars are keys that are used often.
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
        """Track a node that is entered; raise UnusableError if it is too deep."""
        path = self._path
        depth = len(path)
        if depth <= self._list_depth:
            self._follow(current_node, current_index, depth)
        elif depth > MAX_DEPTH:
            raise UnusableError(current_node, _TOO_DEEP)
        path.append((current_node, current_index))

    def _follow(self, parent: Any, key: Any, depth: int) -> None:
        """Report the item before a node that is entered, and track the node's list."""
        self.report_item()
        is_item = depth == self._list_depth and isinstance(key, int)
        if not is_item:
            self._list = None
        elif parent is not self._list:
            self._list = parent
            path = self._path[1:]
            is_plain = all(_is_plain_entry(*step) for step in path)
            self._keys = tuple(key.value for _, key in path) if is_plain else None

    def report_item(self) -> None:
        """Call ``at_item`` for the item that was read, if only plain keys lead to its list."""
        if self._at_item is not None and self._list is not None and self._keys is not None:
            self._at_item(self._keys, self._list)


def _tag_of_plain(value: str) -> str:
    """Return the tag of an unquoted scalar, by PyYAML's patterns for its first character."""
    for tag, pattern in _PATTERNS.get(value[:1], ()):
        if pattern.match(value):
            return tag
    return TEXT_TAG


def _is_plain_entry(parent: Node, key: Any) -> bool:
    """Return whether this is an entry of a plain mapping, and not a merge key or list item."""
    return parent.tag == MAP_TAG and isinstance(key, ScalarNode) and key.tag != MERGE_TAG


class _RedefiningComposer(Composer, _Loader):
    """PyYAML's slow composer, for inputs that define an anchor twice.

    Such an input is valid YAML. Prometheus accepts it, but libyaml's composer does not.
    """

    def __init__(self, stream: _Stream) -> None:
        _Loader.__init__(self, stream)
        Composer.__init__(self)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Forget an anchor that is defined again."""
        event = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        return super().compose_node(parent, index)


# --- errors as problems ---------------------------------------------------------------------------


def explained(error: Exception, content: bytes, name: str) -> Problem:
    """Return a parser's error as a problem with its place."""
    if isinstance(error, UnusableError):
        return Problem.at(error.node, str(error))
    if isinstance(error, ReaderError):
        text = f"not text ({error.reason}); write the file in UTF-8, without control characters"
        return Problem(name, *end_of(content[: error.position]), text)
    if isinstance(error, yaml.MarkedYAMLError):
        return Problem(name, *_place(error, content), _syntax(error))
    return Problem(name, 1, 1, f"not YAML; {_CURE}")


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Return the cause and cure of a YAML error, without the alias that PyYAML quotes."""
    problem = re.sub("(?<=undefined alias).*", "", str(error.problem))
    cause = f"{error.context} {problem}" if error.context else problem
    cure = next((cure for part, cure in _CURES.items() if part in problem), _CURE)
    return f"not YAML: {cause}; {cure}"


def _place(error: yaml.MarkedYAMLError, content: bytes) -> tuple[int, int]:
    """Return where a YAML error was found, or where its context began if that is past the end."""
    end = end_of(content.rstrip())
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    places = [(mark.line + 1, mark.column + 1) for mark in marks]
    return next((place for place in places if place <= end), end)
