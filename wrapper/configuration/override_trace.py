"""Describes the effect of each of the leader's overrides, for people; pure.

``merge`` merges the overrides. Then each single value and each item of a list in the overrides is
compared with the result, which gives an ``OverrideEffect``: the description of its effect. The
overrides must have no problems; ``merge`` reports those. Descriptions contain values, so secrets
must be hidden first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.configuration.merge import merge
from wrapper.configuration.patch import DELETE, PATCH, names_of
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.yaml_nodes import MAP_TAG, Entries, entries, is_null, kind, value_of

_NAKED = re.compile(r"(?:<secret \d+>|[\w$./:@=?*+-])+")
_LONGEST = 60
_EMPTY = MappingNode(MAP_TAG, [])
Trail = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class OverrideEffect:
    """The effect of one value or item of an override.

    - ``name``, ``line``: the input, and the line of the value in it;
    - ``trail``: the keys and indexes that lead to ``node`` in the result;
    - ``what``: the description of the effect;
    - ``node``: the value in the result; None if the override only removes something.
    """

    name: str
    line: int
    trail: Trail
    what: str
    node: Node | None = None

    @property
    def path(self) -> str:
        """The place in the result, for example ``remote_write[0]``."""
        return path_of(self.trail)


def path_of(trail: Trail) -> str:
    """Return a trail as text; items are counted from 0."""
    text = ""
    for step in trail:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w$-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{quoted(step)}]"
    return text


def merge_traced(
    base: MappingNode, overrides: Sequence[MappingNode]
) -> tuple[MappingNode, list[OverrideEffect]]:
    """Return the base merged with all overrides in order, and the effect of each."""
    merged = base
    found: list[OverrideEffect] = []
    for override in overrides:
        before, merged = merged, merge(merged, override, Problems())
        found.extend(_mapping(before, override, merged, ()))
    final = _FinalResult(merged)
    return merged, [final.final_position(effect) for effect in found]


def _mapping(
    old: MappingNode, new: MappingNode, merged: MappingNode, trail: Trail
) -> Iterator[OverrideEffect]:
    before, after = entries(old), entries(merged)
    for name, (key, value) in entries(new).items():
        _, was = before.get(name, (None, None))
        yield from _value(key, was, value, after[name][1], (*trail, name))


def _value(
    key: Node, was: Node | None, new: Node, now: Node, trail: Trail
) -> Iterator[OverrideEffect]:
    """Describe one entry; ``now`` is its value after the merge."""
    if isinstance(new, MappingNode) and isinstance(now, MappingNode):
        if isinstance(was, MappingNode):
            yield from _mapping(was, new, now, trail)
            return
        if not is_null(was) or not new.value:
            yield _at(key, trail, f"added{_in_place_of(was)}: a mapping", now)
        yield from _mapping(_EMPTY, new, now, trail)
    elif isinstance(new, SequenceNode) and isinstance(now, SequenceNode):
        yield from _list(key, was, new, now, trail)
    else:
        yield _at(key, trail, _said_of_value(was, new), now)


def _said_of_value(was: Node | None, new: Node) -> str:
    if was is None:
        return f"added: {shown(new)}"
    if not isinstance(was, ScalarNode):
        return f"set to {shown(new)}{_in_place_of(was)}"
    if (was.tag, was.value) == (new.tag, new.value):
        return f"is {shown(new)} already: changes nothing"
    return f"set to {shown(new)}, was {shown(was)}"


def _in_place_of(was: Node | None) -> str:
    return "" if was is None or is_null(was) else f", in place of {kind(was)}"


# --- lists ----------------------------------------------------------------------------------------


def _list(
    key: Node, was: Node | None, new: SequenceNode, now: SequenceNode, trail: Trail
) -> Iterator[OverrideEffect]:
    old = was.value if isinstance(was, SequenceNode) else []
    if not new.value:
        text = "an empty list: changes nothing" if old else "set to an empty list"
        yield _at(key, trail, text, now)
    added = [item for item in new.value if _directive(item) is None]
    at = len(now.value) - len(added)
    for item in new.value:
        verb = _directive(item)
        if verb is None:
            word = "appended as" if at else "added as"
            yield _at(item, (*trail, at), f"{word} item {at + 1}{_label(item)}", now.value[at])
            at += 1
        else:
            yield _patched(item, verb, old, now, trail)


def _patched(
    item: Node, verb: str, old: list[Node], now: SequenceNode, trail: Trail
) -> OverrideEffect:
    """Describe an item that replaces or removes one of the follower's items, or all."""
    place = _place(item, old)
    if place is None:
        return _at(item, trail, f"removes all {len(old)} items that were there")
    if verb == DELETE:
        return _at(item, trail, f"removes item {place + 1}{_label(item)}")
    at = _place(item, now.value) or 0
    return _at(item, (*trail, at), f"replaces item {place + 1}{_label(item)}", now.value[at])


def _directive(item: Node) -> str | None:
    """Return the directive of an item; None if the item is to be appended."""
    value = value_of(item, PATCH)
    return None if value is None else str(value.value)


def _place(item: Node, items: list[Node]) -> int | None:
    """Return the index of the item with the same name; None if there is none."""
    name = _name(item)
    return next((at for at, other in enumerate(items) if name and _name(other) == name), None)


def _name(item: Node) -> tuple[str, str] | None:
    """Return the key that names an item, and its value."""
    return next(iter(names_of(item).items()), None)


def _label(item: Node) -> str:
    """Return an item's name, or its value, in brackets."""
    if isinstance(item, ScalarNode):
        return f" ({shown(item)})"
    name = _name(item)
    return f" ({name[0]}: {_short(name[1])})" if name else ""


# --- words ----------------------------------------------------------------------------------------


def shown(node: Node) -> str:
    """Return a value on one line, shortened if long; for a collection its kind."""
    if not isinstance(node, ScalarNode):
        return kind(node)
    return "null" if is_null(node) else _short(node.value)


def _short(text: str) -> str:
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return cut if _NAKED.fullmatch(text) else quoted(text)


def _at(place: Node, trail: Trail, what: str, node: Node | None = None) -> OverrideEffect:
    mark = place.start_mark
    return OverrideEffect(mark.name, mark.line + 1, trail, what, node)


class _FinalResult:
    """The result of all overrides. A later one may have overridden an earlier one."""

    def __init__(self, merged: MappingNode) -> None:
        self._merged = merged
        self._entries: dict[int, Entries] = {}

    def final_position(self, effect: OverrideEffect) -> OverrideEffect:
        """Return an effect with its trail in the final result, or marked as overridden."""
        node, last = effect.node, effect.trail[-1]
        if node is None:
            return effect
        if not isinstance(last, int):
            is_there = isinstance(node, MappingNode) or self._found(effect.trail) is node
            return effect if is_there else _overridden(effect)
        place = self._found(effect.trail[:-1])
        items = place.value if isinstance(place, SequenceNode) else []
        if last < len(items) and items[last] is node:
            return effect
        at = next((at for at, item in enumerate(items) if item is node), None)
        moved = (*effect.trail[:-1], at or 0)
        return _overridden(effect) if at is None else replace(effect, trail=moved)

    def _found(self, trail: Trail) -> Node | None:
        """Return the node at a trail of keys."""
        node: Node | None = self._merged
        for step in trail:
            _, node = self._entries_of(node).get(str(step), (None, None))
        return node

    def _entries_of(self, node: Node | None) -> Entries:
        if id(node) not in self._entries:
            self._entries[id(node)] = entries(node) if isinstance(node, MappingNode) else {}
        return self._entries[id(node)]


def _overridden(effect: OverrideEffect) -> OverrideEffect:
    return replace(effect, what=f"{effect.what}; overridden later")
