"""What the leader reads beside what the follower reads, for people: without secrets; pure.

Secrets are hidden first, and all that is shown is made of what is left. Texts are YAML in block
style, one value a line, with aliases and merge keys written out, so that the difference is one of
meaning and not of how something was written; comments are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.landing import Landing, merge_traced
from wrapper.model import Role
from wrapper.redact import Redaction
from wrapper.unified import unified
from wrapper.yaml_nodes import entries

_WIDTH = 1 << 30  # columns before a line is folded: never
_MOST_NODES = 5_000_000  # with aliases written out; a few lines can be made to unfold to billions


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the leader's configuration comes of the follower's; ``difference`` is a unified diff."""

    landings: tuple[Landing, ...]
    difference: tuple[str, ...]


def compare(
    follower: MappingNode, overrides: Sequence[MappingNode], redaction: Redaction
) -> Comparison:
    """Compare the follower's section with that and the overrides, which are good, on it."""
    base = redaction.section(follower)
    merged, landings = merge_traced(base, [redaction.section(each) for each in overrides])
    difference = unified(_lines(base), _lines(merged), (Role.FOLLOWER, Role.LEADER))
    return Comparison(tuple(landings), tuple(difference))


def _lines(section: MappingNode) -> list[str]:
    """Return a section as lines of YAML; an empty one has none."""
    if not section.value:
        return []
    shown: Node = section if _size(section, {}) > _MOST_NODES else _unfolded(section)
    text: bytes = yaml.serialize(
        shown, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, width=_WIDTH
    )
    return text.decode().split("\n")[:-1]


def _size(node: Node, known: dict[int, int]) -> int:
    """Return how many nodes there are with aliases written out."""
    if id(node) not in known:
        size = 1
        if isinstance(node, MappingNode):
            for _, value in node.value:
                size += 1 + _size(value, known)
        elif isinstance(node, SequenceNode):
            for item in node.value:
                size += _size(item, known)
        known[id(node)] = size
    return known[id(node)]


def _unfolded(node: Node) -> Node:
    """Return a copy in block style in which nothing is shared."""
    if isinstance(node, MappingNode):
        pairs = []
        for key, value in entries(node).values():
            pairs.append((_unfolded(key), _unfolded(value)))
        return MappingNode(node.tag, pairs, flow_style=not pairs)
    if isinstance(node, SequenceNode):
        items = []
        for item in node.value:
            items.append(_unfolded(item))  # noqa: PERF401 - a comprehension makes the stack deeper
        return SequenceNode(node.tag, items, flow_style=not items)
    return ScalarNode(node.tag, node.value, style=getattr(node, "style", None))
