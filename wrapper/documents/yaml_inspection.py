"""What a node graph may not hold to be a configuration, and what libyaml would write wrongly; pure.

Repeated keys, keys that are none, merges of what is no mapping, values that contain themselves:
Prometheus would refuse them, libyaml's composer does not.
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

NO_CONFIGURATION = "no configuration; write {} where none is meant"
# What go-yaml v2 allows (decode.go): such a share of aliases' values among so many, less of more.
_FEW, _FEW_SHARE = 400_000, 0.99
_MANY, _MANY_SHARE = 4_000_000, 0.10
_COLON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}


def read_document(
    source: Source,
    problems: Problems,
    inspection: Inspection | None = None,
    at_item: AtItem | None = None,
    depth: int = 0,
) -> Node | None:
    """Return the first document's root, inspected; None if there is none or it cannot be used.

    In the latter case ``problems.is_broken`` is set. ``at_item`` and ``depth``: see ``compose``.
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
    """Return the node if it is a mapping; else an empty one, and note a value of another kind."""
    if isinstance(node, MappingNode):
        return node
    if node is not None and not is_null(node):
        problems.at(node, f"{what} must be a mapping, not {kind(node)}; write it as KEY: VALUE")
    return MappingNode(MAP_TAG, [])


class Inspection:
    """One walk over a document, each node once (again where an alias brings it into flow style).

    It notes what is wrong, and sees to the scalars that libyaml would write wrongly: ``_settle``.
    """

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._was_in_flow: dict[int, bool] = {}
        self._levels: dict[int, int] = {}
        self._values: dict[int, int] = {}  # with those that aliases bring in
        self._written = 0
        self._has_aliases = False
        self._open: set[int] = set()

    def visit(self, node: CollectionNode, *, in_flow: bool = False) -> int:
        """Inspect a node and all below it; return how many levels these are; raise UnusableError.

        What an alias brings in counts: those who walk the graph later do so by recursion, and some
        for each way to a node.
        """
        identity, in_flow = id(node), in_flow or bool(node.flow_style)
        if identity in self._open:
            raise UnusableError(
                node, "the value contains itself; do not use an alias in its own anchor"
            )
        if len(self._open) + self._levels.get(identity, 1) > MAX_DEPTH:
            text = f"more than {MAX_DEPTH} levels deep, with its aliases; take some away"
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
            elif in_flow and isinstance(child, ScalarNode):
                _settle(child)
        self._open.remove(identity)
        self._levels[identity] = below + 1
        if self._has_aliases and not self._open:
            self._count(node)
        return below + 1

    def visit_tree(self, root: CollectionNode) -> None:
        """Inspect a node that no alias leads to or from, and that is not written anew.

        Nothing in it can contain itself or come twice, and its scalars stay as they are. A large
        file is nearly all such: one item of a list after the other.
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
        """Count what stands here, aliases written out; raise UnusableError for far too much.

        Each node is counted once; what has no aliases, which is nearly everything, never.
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
            text = f"aliases make {values:,} values of it, which Prometheus refuses; take some away"
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
                    _settle(key)

    def _check_merge(self, value: Node) -> None:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._problems.at(source, f"<< wants a mapping, not {kind(source)}; name an anchor")


def _are_plain_keys(entries: list[tuple[Node, Node]]) -> bool:
    """Whether all keys are texts, each another one: then nothing is wrong with them."""
    texts = {key.value for key, _ in entries if isinstance(key, ScalarNode) and key.tag == TEXT_TAG}
    return len(texts) == len(entries)


def _allowed_share(values: int) -> float:
    """Return how large a share of so many values may come from aliases."""
    above = min((values - _FEW) / (_MANY - _FEW), 1.0)
    return _FEW_SHARE + above * (_MANY_SHARE - _FEW_SHARE)


def _settle(node: ScalarNode) -> None:
    """Make of a plain scalar, in flow style or a key, one that libyaml writes with its meaning.

    An empty one would become ``! ''``, so it becomes ``null``. One like ``1:30``, a number or time
    to PyYAML but text to Prometheus, would become ``!!int '1:30'``, so it becomes ``'1:30'``.
    """
    if not node.value and node.tag == NULL_TAG:
        node.value = "null"
    elif node.tag in _COLON_TAGS and ":" in node.value:
        node.tag = TEXT_TAG
