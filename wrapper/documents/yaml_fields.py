"""Reads a mapping with a fixed set of fields; pure.

A field of the wrong kind, or with an unknown name, becomes a problem with its place, and is read as
empty. Scalars are returned as they were written, like strings in Prometheus' decoder.

Guarantee: messages contain no values, which may be secrets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source import Source
from wrapper.documents.yaml_inspection import NO_CONFIGURATION, as_mapping, read_document
from wrapper.documents.yaml_nodes import BOOL_TAG, MAP_TAG, TRUE, entries, is_null, kind

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)

T = TypeVar("T")


def read_fields(source: Source, problems: Problems) -> FieldReader:
    """Return a reader for a file; raise ConfigurationError if it is empty or not a mapping.

    An empty file is an error because editors truncate a file before they write it.
    """
    root = read_document(source, problems)
    problems.raise_if_any(only_if_broken=True)
    if is_null(root):
        problems.add(source.name, 1, 1, NO_CONFIGURATION)
    mapping = as_mapping(root, "the file", problems)
    if mapping is not root:
        problems.raise_if_any()
    return FieldReader(mapping, problems)


class FieldReader:
    """Reads the fields of one mapping; ``report_unread`` reports those that were never read."""

    def __init__(self, node: MappingNode, problems: Problems) -> None:
        self._node = node
        self._entries = entries(node)
        self._problems = problems
        self._asked: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields, in order."""
        return tuple(self._entries)

    def has(self, name: str) -> bool:
        """Return whether a field is present and not empty, without marking it as read."""
        _, value = self._entries.get(name, (None, None))
        return not is_null(value) and getattr(value, "value", None) not in ("", [])

    def add_problem(self, name: str, text: str) -> None:
        """Add a problem of a field: at its name, or at the mapping if the field is missing."""
        key, _ = self._entries.get(name, (self._node, None))
        self._problems.at(key, f"{name}: {text}" if key is self._node else text)

    def text(self, name: str) -> str:
        """Return a scalar as it was written; "" if there is none."""
        node = self._take(name)
        if isinstance(node, ScalarNode):
            return str(node.value)
        return self._misfit(name, node, "a single value", "")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the scalars of a list; none if there is no list."""
        node = self._take(name)
        if not isinstance(node, SequenceNode):
            return self._misfit(name, node, "a list", ())
        values = [item for item in node.value if isinstance(item, ScalarNode)]
        if len(values) < len(node.value):
            return self._misfit(name, node, "a list of single values", ())
        return tuple(item.value for item in values)

    def is_on(self, name: str, *, default: bool) -> bool:
        """Return a boolean field; ``default`` if there is none."""
        node = self._take(name)
        if node is not None and node.tag == BOOL_TAG:
            return node.value.lower() in TRUE
        return self._misfit(name, node, "true or false", default)

    def choice(self, name: str, meanings: Mapping[str, T], default: T) -> T:
        """Return the value in ``meanings`` of the field's word; ``default`` if there is none."""
        word = self.text(name)
        if word and word not in meanings:
            self.add_problem(name, f"unknown value {quoted(word)}; {_cure(word, meanings)}")
        return meanings.get(word, default)

    def section(self, name: str) -> FieldReader:
        """Return a reader for a mapping; for an empty mapping if there is none."""
        node = self._take(name)
        if not isinstance(node, MappingNode):
            self._misfit(name, node, "a mapping", None)
            node = MappingNode(MAP_TAG, [], self._node.start_mark, self._node.end_mark)
        return FieldReader(node, self._problems)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the name and value of each scalar field, in a mapping that may have any names."""
        for name, (_, value) in self._entries.items():
            text = self.text(name)
            if isinstance(value, ScalarNode):
                yield name, text

    def refuse(self, names: Iterable[str], text: str) -> None:
        """Add a problem for each of these fields that is set: they are not supported."""
        for name in names:
            self._asked.add(name)
            if self.has(name):
                self.add_problem(name, text)

    def report_unread(self) -> None:
        """Add a problem for each field that was never read."""
        for name, (key, value) in self._entries.items():
            if name not in self._asked:
                text = f"unknown key{_shown(name, value)}; {_cure(name, self._asked)}"
                self._problems.at(key, text)

    def _take(self, name: str) -> Node | None:
        """Mark a field as read and return its node; None if it is missing or empty."""
        self._asked.add(name)
        _, value = self._entries.get(name, (None, None))
        return None if is_null(value) else value

    def _misfit(self, name: str, node: Node | None, wanted: str, instead: T) -> T:
        if node is not None:
            self.add_problem(name, f"must be {wanted}, not {kind(node)}")
        return instead


def _shown(name: str, value: Node) -> str:
    """Return a key for a message; "" if it may be a value, as in {password:secret, more}."""
    return f" {quoted(name)}" if _NAME.fullmatch(name) and not is_null(value) else ""


def _cure(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {quoted(close[0])}?"
    return f"possible here: {', '.join(names)}" if names else "remove it"
