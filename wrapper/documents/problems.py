"""What is wrong with an input, and where: gathered, so that it is said all at once; pure.

A problem is one line with its place, its cause and its cure, and without any value, since values
may be secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the web process has problems to tell of, and no YAML
    from yaml.nodes import Node

_LONGEST_KEY = 60
MOST_LOGGED = 20  # reasons of one refusal; the API has all


class ConfigurationError(Exception):
    """An input cannot be used; ``problems`` are lines ``NAME:LINE:COLUMN: cause; cure``."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Problem(NamedTuple):
    """What is wrong at one place; sorts in the order of reading."""

    name: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}: {self.text}"

    @classmethod
    def at(cls, node: Node, text: str) -> Problem:
        """Place a text at the start of a node; its mark knows the name of its input."""
        mark = node.start_mark
        return cls(mark.name, mark.line + 1, mark.column + 1, text)


class Problems:
    """What is wrong with the inputs so far; ``is_broken`` when one cannot be worked on at all."""

    def __init__(self) -> None:
        self._found: set[Problem] = set()
        self.is_broken = False

    def add(self, name: str, line: int, column: int, text: str) -> None:
        """Note a problem at a place, both counted from 1."""
        self.note(Problem(name, line, column, text))

    def at(self, node: Node, text: str) -> None:
        """Note a problem at the start of a node."""
        self.note(Problem.at(node, text))

    def note(self, problem: Problem) -> None:
        """Note a problem that knows its place."""
        self._found.add(problem)

    def take(self, others: Problems) -> None:
        """Note all that others have noted."""
        self._found |= others._found
        self.is_broken = self.is_broken or others.is_broken

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def lines(self) -> tuple[str, ...]:
        """All that was noted, in the order of reading."""
        return tuple(map(str, sorted(self._found)))

    def settle(self, *, only_if_broken: bool = False) -> None:
        """Raise ConfigurationError with all that was noted, if anything was."""
        if self._found and (self.is_broken or not only_if_broken):
            raise ConfigurationError(self.lines)


def quoted(key: str) -> str:
    """Return a key for a message: on one line, not too long."""
    shown = key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "…"
    return json.dumps(shown, ensure_ascii=False)


def end_of(content: bytes) -> tuple[int, int]:
    """Return line and column, from 1, of the place right after these bytes."""
    line = content.count(b"\n") + 1
    return line, len(content[content.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
