"""Collects the problems of an input, so that all are reported at once; pure.

A problem is one line: place, cause, cure.

Guarantee: a problem contains no value of the input, since values may be secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the web process reports problems, and does not load YAML
    from yaml.nodes import Node

_LONGEST_KEY = 60
MOST_LOGGED = 20  # problems of one input; the API lists all that are kept
MOST_KEPT = 1000  # problems in memory; a large file can have a million


class ConfigurationError(Exception):
    """An input cannot be used; ``problems`` are lines ``NAME:LINE:COLUMN: cause; cure``."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Problem(NamedTuple):
    """A problem at one place; problems sort by input, line and column."""

    name: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}: {self.text}"

    @classmethod
    def at(cls, node: Node, text: str) -> Problem:
        """Return a problem at the start of a node, whose mark has the name of the input."""
        mark = node.start_mark
        return cls(mark.name, mark.line + 1, mark.column + 1, text)


class Problems:
    """The problems found so far. ``is_broken``: an input could not be parsed at all."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()
        self._left_out = 0
        self.is_broken = False

    def add(self, name: str, line: int, column: int, text: str) -> None:
        """Add a problem at a line and column, both counted from 1."""
        self.note(Problem(name, line, column, text))

    def at(self, node: Node, text: str) -> None:
        """Add a problem at the start of a node."""
        self.note(Problem.at(node, text))

    def note(self, problem: Problem) -> None:
        """Add a problem."""
        if self.is_full and problem not in self._found:
            self._left_out += 1
        else:
            self._found.add(problem)

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self._found) >= MOST_KEPT

    def take(self, others: Problems) -> None:
        """Add all problems of another collection."""
        for problem in others._found:
            self.note(problem)
        self._left_out += others._left_out
        self.is_broken = self.is_broken or others.is_broken

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> tuple[str, ...]:
        """The first problems that were found, sorted by input, line and column."""
        more = f"{self._left_out} more problems are not shown; correct these first"
        return (*map(str, sorted(self._found)), *([more] if self._left_out else ()))

    def raise_if_any(self, *, only_if_broken: bool = False) -> None:
        """Raise ConfigurationError with all problems, if there are any."""
        if self._found and (self.is_broken or not only_if_broken):
            raise ConfigurationError(self.lines)


def quoted(key: str) -> str:
    """Return a key quoted for a message: on one line, and shortened if it is long."""
    shown = key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "…"
    text = json.dumps(shown, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def end_of(content: bytes) -> tuple[int, int]:
    """Return the line and column, both from 1, of the position after these bytes."""
    line = content.count(b"\n") + 1
    return line, len(content[content.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
