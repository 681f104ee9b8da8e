"""Checks a node graph as Prometheus does, where libyaml's composer does not; pure.

These are problems: repeated keys, keys that are collections, merge keys whose value is not a
mapping, values that contain themselves, nesting that is too deep, and aliases that expand too far.

Scalars that libyaml would serialize wrongly are corrected.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import (
    MAP_TAG,
    MAX_DEPTH,
    MERGE_TAG,
    NULL_TAG,
    TEXT_TAG,
    AtItem,
    UnusableError,
    compose,
    explained,
    is_null,
    kind,
)

NO_CONFIGURATION = "no configuration; write {} for an empty one"
# The share of values that may come from aliases, as in go-yaml v2 (decode.go): one share up to _FEW
# values, another from _MANY on. It decreases linearly between them.
_FEW, _FEW_SHARE = 400_000, 0.99
_MANY, _MANY_SHARE = 4_000_000, 0.10
# Prometheus reads a null in quotes as a missing value, unless it has a tag. libyaml always writes a
# tag that is bytes, since it equals no tag that libyaml would leave out.
_NULLS = frozenset(("~", "null"))
_WRITTEN_TEXT_TAG = TEXT_TAG.encode()
_COLON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}


def read_document(
    source: Source,
    problems: Problems,
    inspection: Inspection | None = None,
    at_item: AtItem | None = None,
    depth: int = 0,
) -> Node | None:
    """Return the checked root of the first document; None if it is missing or unusable.

    If it is unusable, ``problems.is_broken`` is set. ``at_item`` and ``depth``: see ``compose``.
    """
    try:
        root = compose(source.content, source.name, at_item, depth)
        if isinstance(root, CollectionNode):
            (inspection or Inspection(problems)).visit(root)
    except (yaml.YAMLError, UnusableError, RecursionError) as error:
        problems.is_broken = True
        problems.note(explained(error, source.content, source.name))
        return None
    return root


def as_mapping(node: Node | None, what: str, problems: Problems) -> MappingNode:
    """Return the node if it is a mapping, else an empty one; add a problem for other kinds."""
    if isinstance(node, MappingNode):
        return node
    if node is not None and not is_null(node):
        problems.at(node, f"{what} must be a mapping, not {kind(node)}; write it as KEY: VALUE")
    return MappingNode(MAP_TAG, [])


class Inspection:
    """Walks over a document, adds its problems, and corrects scalars (see ``_normalize_scalar``).

    Each node is visited once, and a second time if an alias puts it into flow style.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._was_in_flow: dict[int, bool] = {}
        self._levels: dict[int, int] = {}
        self._values: dict[int, int] = {}  # numbers by node, with aliases expanded
        self._written = 0
        self._has_aliases = False
        self._open: set[int] = set()

    def visit(self, node: CollectionNode, *, in_flow: bool = False) -> int:
        """Check a node and all nodes below it, and return the number of levels.

        Levels below an alias count too, because later walks over the graph are recursive. Raises
        UnusableError.
        """
        identity, in_flow = id(node), in_flow or bool(node.flow_style)
        if identity in self._open:
            raise UnusableError(
                node, "the value contains itself; do not use an alias in its own anchor"
            )
        if len(self._open) + self._levels.get(identity, 1) > MAX_DEPTH:
            text = f"more than {MAX_DEPTH} levels deep, with its aliases; remove some"
            raise UnusableError(node, text)
        self._has_aliases |= identity in self._was_in_flow
        if self._was_in_flow.get(identity) in (True, in_flow):
            return self._levels[identity]
        self._was_in_flow[identity] = in_flow
        self._open.add(identity)
        below = 0
        for child in self._children(node, in_flow=in_flow):
            if isinstance(child, CollectionNode):
                below = max(below, self.visit(child, in_flow=in_flow))
            elif isinstance(child, ScalarNode):
                if in_flow:
                    _normalize_scalar(child)
                if child.value in _NULLS and child.tag == TEXT_TAG and not child.style:
                    child.tag = _WRITTEN_TEXT_TAG  # type: ignore[assignment]
        self._open.remove(identity)
        self._levels[identity] = below + 1
        if self._has_aliases and not self._open:
            self._count(node)
        return below + 1

    def visit_tree(self, root: CollectionNode) -> None:
        """Check a node that is kept as text, without aliases in it or to it.

        It cannot contain itself, and its scalars need no correction, since it is not serialized.
        Large files consist almost entirely of such nodes: the items of lists.
        """
        waiting = [root]
        for node in waiting:
            if isinstance(node, MappingNode):
                if not _are_plain_keys(node.value):
                    self._check_keys(node.value, in_flow=False)
                waiting += [each for _, each in node.value if isinstance(each, CollectionNode)]
            else:
                waiting += [each for each in node.value if isinstance(each, CollectionNode)]

    def _count(self, node: CollectionNode) -> int:
        """Count the values in a node with its aliases expanded; raise UnusableError for too many.

        Each node is counted once. Documents without aliases are not counted.
        """
        identity = id(node)
        if identity not in self._values:
            parts: Iterable[Node] = node.value
            if isinstance(node, MappingNode):
                parts = chain.from_iterable(node.value)
            values = 1
            for part in parts:
                if isinstance(part, CollectionNode):
                    values += self._count(part)
                else:
                    values += 1
                    self._written += 1
            self._written += 1
            self._check_share(node, values)
            self._values[identity] = values
        return self._values[identity]

    def _check_share(self, node: CollectionNode, values: int) -> None:
        if values > _FEW and 1 - self._written / values > _allowed_share(values):
            text = f"aliases expand to {values:,} values, which Prometheus refuses; remove some"
            raise UnusableError(node, text)

    def _children(self, node: CollectionNode, *, in_flow: bool) -> list[Node]:
        if isinstance(node, MappingNode):
            self._check_keys(node.value, in_flow=in_flow)
            return [value for _, value in node.value]
        children: list[Node] = node.value
        return children

    def _check_keys(self, entries: list[tuple[Node, Node]], *, in_flow: bool) -> None:
        first: dict[str, Node] = {}
        for key, value in entries:
            if not isinstance(key, ScalarNode):
                self._problems.at(key, f"{kind(key)} cannot be a key; quote a value with braces")
            elif key.tag == MERGE_TAG:
                self._check_merge(value)
            elif key.value in first:
                line = first[key.value].start_mark.line + 1
                text = f"the key {quoted(key.value)} is already on line {line}; keep one of them"
                self._problems.at(key, text)
            else:
                first[key.value] = key
                if in_flow or not key.value:
                    _normalize_scalar(key)

    def _check_merge(self, value: Node) -> None:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._problems.at(
                    source, f"<< must be a mapping, not {kind(source)}; write the alias of one"
                )


def _are_plain_keys(entries: list[tuple[Node, Node]]) -> bool:
    """Return whether all keys are strings and differ, so that no further check is needed."""
    texts = {key.value for key, _ in entries if isinstance(key, ScalarNode) and key.tag == TEXT_TAG}
    return len(texts) == len(entries)


def _allowed_share(values: int) -> float:
    """Return the share of so many values that may come from aliases."""
    above = min((values - _FEW) / (_MANY - _FEW), 1.0)
    return _FEW_SHARE + above * (_MANY_SHARE - _FEW_SHARE)


def _normalize_scalar(node: ScalarNode) -> None:
    """Change a plain scalar (a key, or in flow style) so that libyaml keeps its meaning.

    libyaml would write an empty scalar as ``! ''``: it becomes ``null``. It would write ``1:30``, a
    number or time to PyYAML but a string to Prometheus, as ``!!int '1:30'``: it becomes ``'1:30'``.
    """
    if not node.value and node.tag == NULL_TAG:
        node.value = "null"
    elif node.tag in _COLON_TAGS and ":" in node.value:
        node.tag = TEXT_TAG
