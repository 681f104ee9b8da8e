"""The leader's overrides on the follower's configuration, as nodes; pure.

Mappings merge, lists append, all else replaces; ``$patch`` in an item of a list says otherwise, see
``patch``. Neither side is changed, and both may share nodes with the result. Where an override
changes nothing, the result *is* the base.
"""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.patch import Patches
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.yaml_nodes import entries, is_null, kind


def merge(base: MappingNode, override: MappingNode, problems: Problems) -> MappingNode:
    """Return the base with the override's entries on it; note what does not fit."""
    patches = Patches(problems)
    merged = _Merge(problems, patches).mapping(base, override, "")
    patches.note_misplaced(override)
    return merged


class _Merge:
    """One override on its way onto the base; ``path`` says where, for messages."""

    def __init__(self, problems: Problems, patches: Patches) -> None:
        self._problems = problems
        self._patches = patches
        self._merged: dict[tuple[int, int], MappingNode] = {}

    def _once(self, base: MappingNode, override: MappingNode, path: str) -> MappingNode:
        """Return both merged, the same node each time: aliases can bring them here very often."""
        identity = id(base), id(override)
        if identity not in self._merged:
            self._merged[identity] = self.mapping(base, override, path)
        return self._merged[identity]

    def mapping(self, base: MappingNode, override: MappingNode, path: str) -> MappingNode:
        """Return a mapping of the entries of both, the base's first.

        It is in flow style only where both are: what came from block style has not had its empty
        scalars written out.
        """
        merged, is_changed = entries(base), False
        for name, (key, new) in entries(override).items():
            old_key, old = merged.get(name, (key, None))
            value = self._value(old, new, f"{path}.{name}" if path else name)
            is_changed = is_changed or value is not old
            merged[name] = (old_key, value)
        if not is_changed:
            return base
        return MappingNode(
            base.tag,
            list(merged.values()),
            base.start_mark,
            base.end_mark,
            flow_style=base.flow_style and override.flow_style,
        )

    def _value(self, old: Node | None, new: Node, path: str) -> Node:
        """Return what stands in the leader where the follower has ``old``, the override ``new``."""
        if isinstance(old, MappingNode) and isinstance(new, MappingNode):
            return self._once(old, new, path)
        if isinstance(new, SequenceNode):
            return self._list(old, new, path)
        return old if old is not None and _is_same_scalar(old, new) else new

    def _list(self, old: Node | None, new: SequenceNode, path: str) -> Node:
        """Return a list of the items of both (or of nothing and the override's)."""
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
        if items == new.value:  # nothing to add to: what shares this list goes on sharing it
            return new
        return SequenceNode(
            old.tag,
            items,
            old.start_mark,
            old.end_mark,
            flow_style=old.flow_style and new.flow_style,
        )


def _is_same_scalar(old: Node, new: Node) -> bool:
    """Tell whether both are the same single value, however quoted."""
    are_scalars = isinstance(old, ScalarNode) and isinstance(new, ScalarNode)
    return are_scalars and (old.tag, old.value) == (new.tag, new.value)
