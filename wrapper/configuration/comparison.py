"""What the leader reads beside what the follower reads, for people: without secrets; pure.

Secrets are hidden first, and all that is shown is made of what is left. Texts are YAML in block
style, one value a line, with aliases and merge keys written out, so that the difference is one of
meaning and not of how something was written; comments are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.diff import unified
from wrapper.configuration.override_trace import Landing, merge_traced
from wrapper.configuration.redact import Redaction
from wrapper.configuration.sections import read_base, read_both, read_override
from wrapper.documents.problems import Problems
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import entries
from wrapper.documents.yaml_text import serialize
from wrapper.model.roles import Role

_MOST_NODES = 5_000_000  # with aliases written out; a few lines can be made to unfold to billions


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the leader's configuration comes of the follower's; ``difference`` is a unified diff.

    ``follower`` and ``leader`` are what each reads, as lines.
    """

    landings: tuple[Landing, ...]
    difference: tuple[str, ...]
    follower: tuple[str, ...] = ()
    leader: tuple[str, ...] = ()


def compare_texts(
    sources: Sequence[Source],
    variables: Mapping[str, str],
    *,
    has_sections: bool,
    most_nodes: int = _MOST_NODES,
) -> Comparison:
    """Compare what the follower and the leader read of good inputs.

    ``has_sections``: the one source has both; else the first is the follower's, whole. Where
    aliases unfold to more than ``most_nodes``, they are shown as they were written.
    """
    problems, redaction = Problems(), Redaction(variables)
    if has_sections:
        follower, leader = read_both(sources[0], problems, as_nodes=True)
        return compare(follower.node, [leader.node], redaction, most_nodes)
    follower = read_base(sources[0], problems, as_nodes=True)
    overrides = [read_override(source, problems).node for source in sources[1:]]
    return compare(follower.node, overrides, redaction, most_nodes)


def compare(
    follower: MappingNode,
    overrides: Sequence[MappingNode],
    redaction: Redaction,
    most_nodes: int = _MOST_NODES,
) -> Comparison:
    """Compare the follower's section with that and the overrides, which are good, on it."""
    base = redaction.section(follower)
    merged, landings = merge_traced(base, [redaction.section(each) for each in overrides])
    before, after = _lines(base, most_nodes), _lines(merged, most_nodes)
    difference = unified(before, after, (Role.FOLLOWER, Role.LEADER))
    return Comparison(tuple(landings), tuple(difference), tuple(before), tuple(after))


def _lines(section: MappingNode, most_nodes: int) -> list[str]:
    """Return a section as lines of YAML; an empty one has none."""
    if not section.value:
        return []
    shown: Node = section if _size(section, {}) > most_nodes else _unfolded(section)
    return serialize(shown).decode().split("\n")[:-1]


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
