"""Nodes → bytes: as they were written where they are untouched, else serialized; pure.

Scalars come out as they went in. Where something is serialized, its comments, the names of its
anchors and the width of its lines are not kept.
"""

from __future__ import annotations

import codecs
import re
from itertools import pairwise

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from wrapper.yaml_nodes import MAP_TAG, MERGE_TAG

_WIDTH = 1 << 30  # columns before a line is folded: never
_ANCHOR = re.compile(rb"(?:^|[\s\[{,:\xbf])&", re.MULTILINE)  # \xbf ends a byte order mark
_DOCUMENT_END = b"...\n"  # libyaml ends a document so whose last value keeps its last line breaks

Texts = dict[tuple[int, int], bytes]  # of an entry, by the ids of its key and its value


def has_anchors(content: bytes) -> bool:
    """Whether there may be an anchor, so that one part of a document may depend on another."""
    return _ANCHOR.search(content) is not None


def entry_texts(content: bytes, root: MappingNode) -> Texts:
    """Return each entry of a document's root as it was written, comments and all.

    Empty where the entries cannot be cut apart: in flow style, behind directives, with anchors.
    """
    starts = [key.start_mark.index for key, _ in root.value]
    if not starts or has_anchors(content):
        return {}
    text = _decoded(content)
    if not _can_be_cut(root, text[: starts[0]]):
        return {}
    pieces = [text[start:end] for start, end in pairwise([*starts, root.end_mark.index])]
    return {
        (id(key), id(value)): _ended(piece).encode()
        for (key, value), piece in zip(root.value, pieces, strict=True)
        if piece.endswith("\n") or not _ends_in_block_scalar(value)
    }


def _can_be_cut(root: MappingNode, head: str) -> bool:
    """Tell whether each entry of a root begins its own line, and means the same in any document."""
    if root.flow_style or root.tag != MAP_TAG or re.search("^%", head, re.MULTILINE):
        return False
    return all(key.start_mark.column == 0 and key.tag != MERGE_TAG for key, _ in root.value)


def _decoded(content: bytes) -> str:
    """Return the text that libyaml's marks count in: without a byte order mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _ended(text: str) -> str:
    """Return an entry's text with its last line ended."""
    return text if text.endswith("\n") else text + "\n"


def _ends_in_block_scalar(node: Node) -> bool:
    """Tell whether a node's last value is one that line breaks at its end belong to."""
    while isinstance(node, CollectionNode) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return isinstance(node, ScalarNode) and node.style in ("|", ">")


class Serializer:
    """Writes sections.

    Top-level entries are written one by one and joined, so that what two sections have in common is
    serialized only once, or not at all where its text is known; unless anchors may tie them
    together.
    """

    def __init__(self, *, has_anchors: bool, known: Texts | None = None) -> None:
        self._has_anchors = has_anchors
        self.texts = dict(known or {})

    def write(self, section: MappingNode) -> bytes:
        """Return a section as a YAML document in UTF-8."""
        is_plain = section.value and not section.flow_style and section.tag == MAP_TAG
        if self._has_anchors or not is_plain:
            return _serialize(section)
        return b"".join(self._text(key, value) for key, value in section.value)

    def _text(self, key: Node, value: Node) -> bytes:
        identity = (id(key), id(value))
        if identity not in self.texts:
            entry = MappingNode(MAP_TAG, [(key, value)], flow_style=False)
            self.texts[identity] = _serialize(entry).removesuffix(_DOCUMENT_END)
        return self.texts[identity]


def _serialize(node: Node) -> bytes:
    """Return a node as a YAML document in UTF-8."""
    text: bytes = yaml.serialize(
        node, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, width=_WIDTH
    )
    return text
