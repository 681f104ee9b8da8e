"""Nodes → bytes, and what two renderings have in common only once; pure.

Scalars come out as they went in. Comments, the names of anchors and the width of lines are not
kept.
"""

from __future__ import annotations

import yaml
from yaml.nodes import MappingNode, Node

from wrapper.yaml_nodes import MAP_TAG

_WIDTH = 1 << 30  # columns before a line is folded: never


class Serializer:
    """Writes sections.

    Top-level entries are serialized one by one and joined, unless anchors may tie them together or
    the text of one would end the document.
    """

    def __init__(self, *, has_anchors: bool) -> None:
        self._has_anchors = has_anchors
        self._texts: dict[tuple[int, int], bytes] = {}

    def write(self, section: MappingNode) -> bytes:
        """Return a section as a YAML document in UTF-8."""
        is_plain = section.value and not section.flow_style and section.tag == MAP_TAG
        if self._has_anchors or not is_plain:
            return _serialize(section)
        texts = [self._text(key, value) for key, value in section.value]
        if any(text.endswith(b"...\n") for text in texts):
            return _serialize(section)
        return b"".join(texts)

    def _text(self, key: Node, value: Node) -> bytes:
        identity = (id(key), id(value))
        if identity not in self._texts:
            entry = MappingNode(MAP_TAG, [(key, value)], flow_style=False)
            self._texts[identity] = _serialize(entry)
        return self._texts[identity]


def _serialize(node: Node) -> bytes:
    """Return a node as a YAML document in UTF-8."""
    text: bytes = yaml.serialize(
        node, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, width=_WIDTH
    )
    return text
