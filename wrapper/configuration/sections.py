"""Parses an input into its sections: the follower's configuration and the overrides; pure.

A section is a mapping node that has been checked (``yaml_inspection``) and whose relative paths are
resolved, together with the text of each entry that can be copied as it was written.

Overrides never change the inside of an item of the follower's lists. So an item is replaced by its
text as soon as it has been parsed, and parsing takes little more memory than the input itself.

Problems are added to the given ``Problems``. If its ``is_broken`` is set, the sections must not be
used.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.config_paths import may_name_a_file, resolve_paths
from wrapper.configuration.known_items import Items, KnownItems
from wrapper.configuration.patch import names_of
from wrapper.configuration.remote_duplicates import LISTS
from wrapper.documents.outline import Outline, outline_of
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source import Source
from wrapper.documents.source_spans import (
    ItemTexts,
    TextItem,
    Texts,
    copyable_text,
    entry_texts,
    has_anchors,
)
from wrapper.documents.yaml_inspection import (
    NO_CONFIGURATION,
    Inspection,
    as_mapping,
    read_document,
)
from wrapper.documents.yaml_nodes import LIST_TAG, MAP_TAG, TEXT_TAG, Entries, entries, is_null
from wrapper.model.roles import Role

_MISSING = 'no configuration under "follower"; write "follower: {}" for an empty one'
_WHOLE = (
    'no "follower" and no "leader"; if this is a whole Prometheus configuration, name a file with '
    "what the leader adds: --leader-config=FILE"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A role's configuration or its overrides, as a node and as text.

    - ``node``: the section as a mapping node;
    - ``texts``: the text of each entry that can be copied as it was written;
    - ``content``: the text of the whole section, if that can be copied;
    - ``is_tied``: anchors and aliases may connect its entries.
    """

    node: MappingNode
    texts: Texts = field(default_factory=dict)
    content: bytes | None = None
    is_tied: bool = False


def read_base(
    source: Source, problems: Problems, before: Items | None = None, *, as_nodes: bool = False
) -> Section:
    """Return the section of a whole Prometheus file.

    ``before`` are the items that the file had when it was last read. With ``as_nodes``, items are
    kept as nodes instead of as text.
    """
    reading = _Reading(source, problems)
    root = reading.root(None if as_nodes else (), before)
    if is_null(root) and not problems.is_broken:
        problems.add(source.name, 1, 1, NO_CONFIGURATION)
    written = as_mapping(root, "the file", problems)
    section = reading.section(written)
    return replace(section, content=source.content) if section.node is written else section


def read_override(source: Source, problems: Problems) -> Section:
    """Return the section of a file with overrides; an empty file has an empty section."""
    reading = _Reading(source, problems)
    return reading.section(as_mapping(reading.root(), "the file", problems))


def read_both(
    source: Source, problems: Problems, before: Items | None = None, *, as_nodes: bool = False
) -> tuple[Section, Section]:
    """Return the follower's and the leader's section of a file that has both.

    ``before`` are the items that the follower had when the file was last read. With ``as_nodes``,
    items are kept as nodes instead of as text.
    """
    reading = _Reading(source, problems)
    root = reading.root(None if as_nodes else (Role.FOLLOWER,), before)
    if problems.is_broken:
        return Section(MappingNode(MAP_TAG, [])), Section(MappingNode(MAP_TAG, []))
    found = entries(as_mapping(root, "the file", problems))
    for key, _ in (entry for text, entry in found.items() if text not in list(Role)):
        problems.at(key, f"unknown key {quoted(key.value)}; {_cure_of_key(key.value)}")
    _check_follower(root, found, source.name, problems)
    follower, leader = (
        as_mapping(found[role][1] if role in found else None, role, problems)
        for role in (Role.FOLLOWER, Role.LEADER)
    )
    return reading.section(follower), reading.section(leader)


def _check_follower(root: Node | None, found: Entries, name: str, problems: Problems) -> None:
    """Add a problem if the follower is missing; a file that is no mapping has one already."""
    key, value = found.get(Role.FOLLOWER, (root, None))
    if key is None:
        problems.add(name, 1, 1, _MISSING)
    elif is_null(value) and (isinstance(root, MappingNode) or is_null(root)):
        problems.at(key, _WHOLE if found and found.keys().isdisjoint(Role) else _MISSING)


def _cure_of_key(key: str) -> str:
    close = difflib.get_close_matches(key, list(Role), n=1)
    if close:
        return f"did you mean {quoted(close[0])}?"
    return 'move it under "follower" or "leader", the only keys at the top level'


class _Reading:
    """Parses one input."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self._source = source
        self._problems = problems
        self._text = copyable_text(source.content)
        self._is_tied = self._text is None and has_anchors(source.content)
        self._follower: tuple[str, ...] = ()
        self._outline: Outline | None = None
        self._read_as(self._text, problems)

    def _read_as(self, text: str | None, problems: Problems) -> None:
        """Prepare to read a text: the document, or its outline."""
        self._inspection = Inspection(problems)
        self._items = ItemTexts(text or "")

    def root(
        self, follower: tuple[str, ...] | None = None, before: Items | None = None
    ) -> Node | None:
        """Return the checked root of the first document; None if it is missing or unusable.

        ``follower`` are the keys that lead to the follower's section: the items of its lists are
        kept as text. None keeps all items as nodes. ``before`` are the items that the file had when
        it was last read.
        """
        self._follower = follower or ()
        depth = len(self._follower) + 1
        if self._text is None or follower is None:
            return read_document(self._source, self._problems, self._inspection)
        known = KnownItems(before, has_paths=bool(self._source.folder))
        root = self._root_of_outline(self._text, known, depth)
        if root is not None:
            return root
        self._outline = None
        self._read_as(self._text, self._problems)
        return read_document(self._source, self._problems, self._inspection, self._cut, depth)

    def _root_of_outline(self, text: str, known: KnownItems, depth: int) -> Node | None:
        """Return the root by reading the outline; None if the whole document has to be read.

        A problem in the outline requires that too: the problem's place and text may be wrong.
        """
        outline = outline_of(text, "".join(self._follower), known.find)
        if outline is None:
            return None
        self._outline, problems = outline, Problems()
        self._read_as(outline.text, problems)
        source = replace(self._source, content=outline.text.encode())
        root = read_document(source, problems, self._inspection, self._cut, depth)
        return None if problems or not outline.is_complete else root

    def _cut(self, keys: tuple[str, ...], items: SequenceNode) -> None:
        """Replace the last item of a list by its text, if the text can be cut out and copied."""
        if keys[:-1] != self._follower:
            return
        next_item = self._outline.take(items) if self._outline is not None else 0
        if next_item:
            self._items.skip(items, next_item)
            return
        item, text = items.value[-1], self._items.last(items)
        if text is None or not self._is_as_written(keys[-1], item, text):
            return
        if isinstance(item, CollectionNode):
            self._inspection.visit_tree(item)  # a text without anchors has no aliases
        mark = item.start_mark if keys[-1] in LISTS else None
        items.value[-1] = TextItem(text, names_of(item), mark)

    def _is_as_written(self, key: str, item: Node, text: bytes) -> bool:
        """Return whether an item of this list has no path that has to be resolved."""
        if isinstance(item, MappingNode) and not may_name_a_file(text):
            return True
        alone = MappingNode(MAP_TAG, [(ScalarNode(TEXT_TAG, key), SequenceNode(LIST_TAG, [item]))])
        return self._resolved(alone) is alone

    def _resolved(self, section: MappingNode) -> MappingNode:
        folder = self._source.folder
        return resolve_paths(section, folder) if folder else section

    def section(self, written: MappingNode) -> Section:
        """Return the section with its paths resolved, and the texts of entries without paths."""
        node = self._resolved(written)
        texts = entry_texts(self._between, written) if self._text is not None else {}
        same = {(id(key), id(value)) for key, value in node.value} & texts.keys()
        return Section(node, {entry: texts[entry] for entry in same}, is_tied=self._is_tied)

    def _between(self, start: int, end: int) -> str:
        """Return the document's text between two positions."""
        if self._outline is not None:
            return self._outline.between(start, end)
        return (self._text or "")[start:end]
