"""The leader's overrides on the follower's configuration, as nodes; pure.

Mappings merge, lists append, all else replaces. Neither side is changed, and both may share nodes.
"""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.problems import Problems, quoted
from wrapper.yaml_nodes import MERGE_TAG, is_null, kind

Entries = dict[str, tuple[ScalarNode, Node]]


def entries(node: MappingNode) -> Entries:
    """Return a mapping's entries by key, those of its merge keys among them.

    Where a key comes more than once the last one counts, as in Prometheus' decoder (go-yaml v2).
    """
    found: Entries = {}
    for key, value in node.value:
        if key.tag == MERGE_TAG:
            found.update(_merged_entries(value))
        elif isinstance(key, ScalarNode):
            found[key.value] = (key, value)
    return found


def _merged_entries(value: Node) -> Entries:
    """Return what a merge key brings in; of several mappings the first one counts."""
    sources = value.value if isinstance(value, SequenceNode) else [value]
    found: Entries = {}
    for source in reversed(sources):
        if isinstance(source, MappingNode):
            found.update(entries(source))
    return found


def merge(
    base: MappingNode, override: MappingNode, problems: Problems, path: str = ""
) -> MappingNode:
    """Return the base with the override's entries on it.

    The result is in flow style only where both are: what came from block style has not had its
    empty scalars written out.
    """
    if not override.value:
        return base
    merged = entries(base)
    for name, (key, value) in entries(override).items():
        old_key, old = merged.get(name, (key, None))
        merged[name] = (
            old_key,
            _combine(old, value, f"{path}.{name}" if path else name, problems),
        )
    return MappingNode(
        base.tag,
        list(merged.values()),
        base.start_mark,
        base.end_mark,
        flow_style=base.flow_style and override.flow_style,
    )


def _combine(old: Node | None, new: Node, path: str, problems: Problems) -> Node:
    """Return what stands in the leader where ``old`` is the follower's value and ``new`` its own.

    Mappings merge, lists append (to a list or to nothing), all else replaces.
    """
    if isinstance(old, MappingNode) and isinstance(new, MappingNode):
        return merge(old, new, problems, path)
    if not isinstance(new, SequenceNode) or old is None or is_null(old):
        return new
    if isinstance(old, SequenceNode):
        return _append(old, new)
    there = f"{old.start_mark.name}:{old.start_mark.line + 1}"
    text = f"{quoted(path)} is a list here and {kind(old)} at {there}; make both lists"
    problems.at(new, text)
    return new


def _append(old: SequenceNode, new: SequenceNode) -> SequenceNode:
    """Return a list of the items of both; in flow style as for mappings."""
    return SequenceNode(
        old.tag,
        [*old.value, *new.value],
        old.start_mark,
        old.end_mark,
        flow_style=old.flow_style and new.flow_style,
    )
