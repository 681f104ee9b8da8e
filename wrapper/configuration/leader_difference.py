"""Compares the leader's configuration with the follower's, for people, without secrets; pure.

Both configurations are written as YAML in block style: one value per line, without comments, with
aliases and merge keys expanded. So the difference shows changes of meaning, not of formatting.

Secrets are hidden before the overrides are merged. With the gate they are hidden last, because the
names of its endpoints are generated from URLs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.diff import unified
from wrapper.configuration.gate_entries import through_gate
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.merge import merge
from wrapper.configuration.override_trace import OverrideEffect, merge_traced
from wrapper.configuration.redact import Redaction
from wrapper.configuration.sections import read_base, read_both, read_override
from wrapper.documents.problems import Problems
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import entries
from wrapper.documents.yaml_text import serialize
from wrapper.model.roles import Role

_MOST_NODES = 5_000_000  # with aliases expanded: a few lines can become billions of nodes
_NODE_CHARACTERS = 100  # of a text that counts as one node


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    - ``effects``: the effect of each value and item of the overrides;
    - ``difference``: the lines of the unified diff;
    - ``follower``, ``leader``: the lines of each configuration.
    """

    effects: tuple[OverrideEffect, ...]
    difference: tuple[str, ...]
    follower: tuple[str, ...] = ()
    leader: tuple[str, ...] = ()


def compare_texts(
    sources: Sequence[Source],
    variables: Mapping[str, str],
    *,
    has_sections: bool,
    gate: GateSettings | None = None,
    most_nodes: int = _MOST_NODES,
) -> Comparison:
    """Compare the two configurations of valid inputs, as Prometheus reads them.

    - ``variables``: the values of those with a secret's name are hidden everywhere;
    - ``has_sections``: the only source has both sections; otherwise the first source is the
      follower's configuration, and the others are overrides;
    - ``gate``: the gate that remote_write goes through; None without a gate;
    - ``most_nodes``: aliases are not expanded if that would make more nodes than this.
    """
    problems, redaction = Problems(), Redaction(variables)
    if has_sections:
        follower, leader = read_both(sources[0], problems, as_nodes=True)
        return compare(follower.node, [leader.node], redaction, gate, most_nodes)
    follower = read_base(sources[0], problems, as_nodes=True)
    overrides = [read_override(source, problems).node for source in sources[1:]]
    return compare(follower.node, overrides, redaction, gate, most_nodes)


def compare(
    follower: MappingNode,
    overrides: Sequence[MappingNode],
    redaction: Redaction,
    gate: GateSettings | None = None,
    most_nodes: int = _MOST_NODES,
) -> Comparison:
    """Compare the follower's section with the result of these overrides, which must be valid."""
    base = redaction.section(follower)
    merged, effects = merge_traced(base, [redaction.section(each) for each in overrides])
    if gate is not None:
        base, merged = _through_gate(follower, overrides, redaction, gate)
    before, after = _lines(base, most_nodes), _lines(merged, most_nodes)
    difference = unified(before, after, (Role.FOLLOWER, Role.LEADER))
    return Comparison(tuple(effects), tuple(difference), tuple(before), tuple(after))


def _through_gate(
    follower: MappingNode,
    overrides: Sequence[MappingNode],
    redaction: Redaction,
    gate: GateSettings,
) -> tuple[MappingNode, MappingNode]:
    """Return both sections, routed through the gate and without secrets."""
    problems, merged = Problems(), follower
    for override in overrides:
        merged = merge(merged, override, problems)
    sections = through_gate(follower, merged, gate, problems)
    return redaction.section(sections.follower), redaction.section(sections.leader)


def _lines(section: MappingNode, most_nodes: int) -> list[str]:
    """Return a section as lines of YAML; none if it is empty."""
    if not section.value:
        return []
    shown: Node = section if _size(section, {}) > most_nodes else _unfolded(section)
    return serialize(shown).decode().split("\n")[:-1]


def _size(node: Node, known: dict[int, int]) -> int:
    """Return the number of nodes with aliases expanded; a long text counts as several."""
    if id(node) not in known:
        size = 1
        if isinstance(node, ScalarNode):
            size += len(node.value) // _NODE_CHARACTERS
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                size += _size(key, known) + _size(value, known)
        elif isinstance(node, SequenceNode):
            for item in node.value:
                size += _size(item, known)
        known[id(node)] = size
    return known[id(node)]


def _unfolded(node: Node) -> Node:
    """Return a copy in block style with aliases and merge keys expanded."""
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
