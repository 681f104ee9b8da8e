"""Applies ``$patch``, by which the leader replaces or removes items of the follower's lists; pure.

An item without this directive is appended. The directive is the key ``$patch`` in an item, as in
Kubernetes' strategic merge patch:

- ``$patch: replace`` with a ``job_name``, ``name`` or ``url``: the item replaces the follower's
  item that has the same value of this key;
- ``$patch: delete`` with one of these keys and no other: the follower's item is removed;
- ``$patch: replace`` alone, as the first item: all of the follower's items are removed.

The key is not written to the rendering. A directive that cannot be applied is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source_spans import TextItem
from wrapper.documents.yaml_nodes import entries, with_items

PATCH = "$patch"
REPLACE, DELETE = "replace", "delete"
NAMES = ("job_name", "name", "url")
_BESIDE = "job_name, name or url"


class Patches:
    """Applies the directives of an override, and reports those that have no effect."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen: set[int] = set()

    def items(self, old: list[Node], new: list[Node], path: str) -> list[Node]:
        """Return the follower's items with the directives applied and the other items appended."""
        kept, added = _Items(old), list[Node]()
        for item in new:
            if isinstance(item, MappingNode) and _patch_key(item) is not None:
                self._seen.add(id(item))
                self._follow(item, kept, is_first=item is new[0], path=path)
            else:
                added.append(item)
        return [*kept, *added]

    def note_misplaced(self, override: Node) -> None:
        """Add a problem for each directive that is not in an item of a list."""
        for mapping in _mappings(override):
            key = _patch_key(mapping)
            if key is not None and id(mapping) not in self._seen:
                self._problems.at(
                    key, f"{PATCH} has no effect here; write it in an item of a list of the leader"
                )

    def _follow(self, item: MappingNode, kept: _Items, *, is_first: bool, path: str) -> None:
        """Apply the directive of one item of the override to the follower's items."""
        others = entries(item)
        _, directive = others.pop(PATCH)
        verb = directive.value if isinstance(directive, ScalarNode) else ""
        name = next((name for name in NAMES if name in others), None)
        if verb not in (REPLACE, DELETE):
            self._refuse(item, f"{PATCH} must be {REPLACE} or {DELETE}; write one of them")
        elif name is not None:
            self._follow_named(item, kept, verb, name, path)
        elif others or verb == DELETE:
            self._refuse(
                item, f"{PATCH}: {verb} does not say which item; write {_BESIDE} beside it"
            )
        elif is_first:
            kept.clear()
        else:
            text = f"{PATCH}: {REPLACE} alone replaces the whole list; make it the first item"
            self._refuse(item, text)

    def _follow_named(
        self, item: MappingNode, kept: _Items, verb: str, name: str, path: str
    ) -> None:
        """Replace or remove the one item of the follower that has the same name."""
        places = kept.places(name, names_of(item).get(name))
        if len(places) != 1:
            several = "more than one item" if places else "no item"
            text = f"{several} of {quoted(path)} has this {name}; correct it, or remove {PATCH}"
            self._refuse(item, f"nothing to {verb}: {text}" if not places else text)
        elif verb == REPLACE:
            kept.put(min(places), _without_patch(item))
        elif len(item.value) > 2:  # noqa: PLR2004 - the name and the directive
            text = f"{PATCH}: {DELETE} needs the {name} alone; remove the other keys"
            self._refuse(item, text)
        else:
            kept.put(min(places), None)

    def _refuse(self, item: MappingNode, text: str) -> None:
        self._problems.at(_patch_key(item) or item, text)


class _Items:
    """The follower's items while directives are applied; an item is found by its names."""

    def __init__(self, items: list[Node]) -> None:
        self._items: list[Node | None] = list(items)  # None: removed
        self._places: dict[tuple[str, str], set[int]] | None = None

    def __iter__(self) -> Iterator[Node]:
        return (item for item in self._items if item is not None)

    def clear(self) -> None:
        """Remove all items."""
        self._items, self._places = [], None

    def places(self, name: str, value: str | None) -> set[int]:
        """Return the indexes of the items that have this value of the key; none for None."""
        if self._places is None:
            self._places = {}
            for at, item in enumerate(self._items):
                self._note(at, item)
        return set() if value is None else self._places.get((name, value), set())

    def put(self, at: int, item: Node | None) -> None:
        """Replace the item at an index; None removes it."""
        old, self._items[at] = self._items[at], item
        if old is not None and self._places is not None:
            for pair in names_of(old).items():
                self._places[pair].discard(at)
        self._note(at, item)

    def _note(self, at: int, item: Node | None) -> None:
        if item is not None and self._places is not None:
            for pair in names_of(item).items():
                self._places.setdefault(pair, set()).add(at)


def _patch_key(node: MappingNode) -> Node | None:
    """Return the key node of a mapping's directive; None if it has none."""
    keys = (key for key, _ in node.value if isinstance(key, ScalarNode))
    return next((key for key in keys if key.value == PATCH), None)


def names_of(item: Node) -> dict[str, str]:
    """Return the keys that identify an item of a list, with their values."""
    if isinstance(item, TextItem):
        return item.names
    found = entries(item) if isinstance(item, MappingNode) else {}
    values = {name: found[name][1] for name in NAMES if name in found}
    return {name: value.value for name, value in values.items() if isinstance(value, ScalarNode)}


def _without_patch(item: MappingNode) -> MappingNode:
    """Return an item without its directive."""
    key = _patch_key(item)
    return with_items(item, [pair for pair in item.value if pair[0] is not key])


def _mappings(root: Node) -> Iterator[MappingNode]:
    """Yield each mapping at and below a node once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            yield node
            waiting.extend(value for _, value in node.value)
        else:
            waiting.extend(node.value)
