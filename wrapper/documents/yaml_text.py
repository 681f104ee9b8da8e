"""Writes nodes as bytes: unchanged nodes with their own text, others serialized; pure.

Guarantee: every scalar is written as it was read.

Limitation: a serialized part loses its comments, the names of its anchors and the width of its
lines.
"""

from __future__ import annotations

from itertools import groupby

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.source_spans import RARE_BREAKS, TextItem, Texts
from wrapper.documents.yaml_nodes import LIST_TAG, MAP_TAG, NULL_TAG

_WIDTH = 1 << 30  # columns before libyaml folds a line: never
# libyaml writes this after a document whose last value keeps its last line breaks, of any kind.
_DOCUMENT_END = b"...\n"
_BREAKS = tuple(each.encode() for each in ("\n", *RARE_BREAKS))


class Serializer:
    """Writes sections entry by entry; an entry that has a text is not serialized.

    ``is_tied``: anchors may connect entries of the input, so a section is serialized as a whole.
    """

    def __init__(self, texts: Texts, *, is_tied: bool) -> None:
        self.texts = dict(texts)
        self._is_tied = is_tied

    def write(self, section: MappingNode) -> bytes:
        """Return a section as a YAML document in UTF-8."""
        is_plain = section.value and not section.flow_style and section.tag == MAP_TAG
        if self._is_tied or not is_plain:
            return serialize(section)
        return b"".join(self._text(key, value) for key, value in section.value)

    def _text(self, key: Node, value: Node) -> bytes:
        identity = (id(key), id(value))
        if identity not in self.texts:
            self.texts[identity] = _entry(key, value)
        return self.texts[identity]


def _entry(key: Node, value: Node) -> bytes:
    """Return an entry as a document to which other entries can be appended."""
    if not isinstance(value, SequenceNode) or not any(
        isinstance(item, TextItem) for item in value.value
    ):
        return _part(MappingNode(MAP_TAG, [(key, value)], flow_style=False))
    head = _part(MappingNode(MAP_TAG, [(key, ScalarNode(NULL_TAG, ""))], flow_style=False))
    groups = groupby(value.value, lambda item: isinstance(item, TextItem))
    return head + b"".join(_items(list(items), are_cut=are_cut) for are_cut, items in groups)


def _items(items: list[Node], *, are_cut: bool) -> bytes:
    """Return some items of a list, without indentation."""
    if are_cut:
        return b"".join(item.text for item in items if isinstance(item, TextItem))
    return _part(SequenceNode(LIST_TAG, items, flow_style=False))


def _part(node: Node) -> bytes:
    """Return a node as a document in UTF-8 to which others can be appended."""
    text = serialize(node)
    before = text.removesuffix(_DOCUMENT_END)
    return before if before.endswith(_BREAKS) else text


def serialize(node: Node) -> bytes:
    """Return a node as a YAML document in UTF-8."""
    text: bytes = yaml.serialize(
        node, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, width=_WIDTH
    )
    return text
