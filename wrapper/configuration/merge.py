"""Merges the leader's overrides into the follower's configuration, as YAML nodes; pure.

Mappings are merged, items are appended to lists, and other values are replaced. ``$patch`` in an
item of a list replaces or removes the follower's items instead (see ``patch``).

The arguments are not modified, and may share nodes with the result. If an override changes nothing,
the result is the base itself.
"""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.patch import Patches
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.yaml_nodes import entries, is_null, kind, with_items


def merge(base: MappingNode, override: MappingNode, problems: Problems) -> MappingNode:
    """Return the base merged with the override; add a problem for each entry that does not fit."""
    patches = Patches(problems)
    merged = _Merge(problems, patches).mapping(base, override, "")
    patches.note_misplaced(override)
    return merged


class _Merge:
    """Merges one override; ``path`` is the place that messages name."""

    def __init__(self, problems: Problems, patches: Patches) -> None:
        self._problems = problems
        self._patches = patches
        self._merged: dict[tuple[int, int], MappingNode] = {}

    def _once(self, base: MappingNode, override: MappingNode, path: str) -> MappingNode:
        """Return both merged, from a cache: aliases can lead to the same pair very often."""
        identity = id(base), id(override)
        if identity not in self._merged:
            self._merged[identity] = self.mapping(base, override, path)
        return self._merged[identity]

    def mapping(self, base: MappingNode, override: MappingNode, path: str) -> MappingNode:
        """Return a mapping with the entries of both, the base's first.

        It is in flow style only if both are: flow style would change empty scalars of block style.
        """
        merged, is_changed = entries(base), False
        for name, (key, new) in entries(override).items():
            old_key, old = merged.get(name, (key, None))
            value = self._value(old, new, f"{path}.{name}" if path else name)
            is_changed = is_changed or value is not old
            merged[name] = (old_key, value)
        if not is_changed:
            return base
        in_flow = bool(base.flow_style and override.flow_style)
        return with_items(base, list(merged.values()), flow_style=in_flow)

    def _value(self, old: Node | None, new: Node, path: str) -> Node:
        """Return the leader's value; ``old`` is the follower's, ``new`` the override's."""
        if isinstance(old, MappingNode) and isinstance(new, MappingNode):
            return self._once(old, new, path)
        if isinstance(new, SequenceNode):
            return self._list(old, new, path)
        return old if old is not None and _is_same_scalar(old, new) else new

    def _list(self, old: Node | None, new: SequenceNode, path: str) -> Node:
        """Return a list of the items of both; a missing or null ``old`` is an empty list."""
        if old is None or is_null(old):
            old = SequenceNode(new.tag, [], new.start_mark, flow_style=new.flow_style)
        elif not isinstance(old, SequenceNode):
            there = f"{old.start_mark.name}:{old.start_mark.line + 1}"
            text = f"{quoted(path)} is a list here and {kind(old)} at {there}; make both lists"
            self._problems.at(new, text)
            return new
        elif not new.value:
            return old
        items = self._patches.items(old.value, new.value, path)
        if items == new.value:  # keep the node, so that aliases still share it
            return new
        return with_items(old, items, flow_style=bool(old.flow_style and new.flow_style))


def _is_same_scalar(old: Node, new: Node) -> bool:
    """Return whether both are scalars of the same value, apart from quoting."""
    are_scalars = isinstance(old, ScalarNode) and isinstance(new, ScalarNode)
    return are_scalars and (old.tag, old.value) == (new.tag, new.value)
