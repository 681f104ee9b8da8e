"""Finds relabeling rules that change other rules: those whose regex is a quoted null; pure.

Prometheus takes a quoted null for a missing value. It then writes the text into the default regex,
which all rules share.

Limitation: a null in a block scalar is found only if the same input also has one in quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.problems import Problem
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import compose, entries, value_of

_NULLS = ("null", "~")
_WRITTEN = tuple(f"{quote}{null}{quote}".encode() for null in _NULLS for quote in "'\"")
_TEXT = (
    "Prometheus takes a quoted null for no value, and then all rules without a regex match {0} "
    "alone until it is restarted (seen with 2.53 to 3.16; 2.42 refuses it); write regex: "
    "'(?:{0})', which means the same and changes no other rule"
)


def relabeling_notes(source: Source) -> list[str]:
    """Return a line ``NAME:LINE:COLUMN: cause; cure`` for each such rule of a valid input."""
    if not any(written in source.content for written in _WRITTEN):
        return []  # true of most files, and much faster than parsing them
    found = {
        value.start_mark.index: value for value in _nulls(compose(source.content, source.name))
    }
    return [str(Problem.at(found[at], _TEXT.format(found[at].value))) for at in sorted(found)]


def _nulls(root: Node | None) -> Iterator[ScalarNode]:
    """Yield the regex of each such rule below a node."""
    left, seen = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))  # aliases share a node
        if isinstance(node, MappingNode):
            for name, (_, value) in entries(node).items():
                left.append(value)
                if name.endswith("relabel_configs") and isinstance(value, SequenceNode):
                    yield from filter(_is_null, (value_of(rule, "regex") for rule in value.value))
        elif isinstance(node, SequenceNode):
            left += node.value


def _is_null(value: Node | None) -> TypeGuard[ScalarNode]:
    return isinstance(value, ScalarNode) and bool(value.style) and value.value in _NULLS
