"""Finds the patterns of ``rule_files`` that also match the copy of a file's last good rules; pure.

The copy exists while new rules are loaded. With such a pattern, Prometheus would load it too, and
evaluate the old rules beside the new ones until its next reload.

Limitation: ``rule_files`` is found only if it is written at the beginning of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePath

import yaml
from yaml.nodes import ScalarNode, SequenceNode

from wrapper.documents.yaml_nodes import UnusableError, compose, value_of

_SECTION = re.compile(rb"^rule_files:.*(?:\n(?:[ \t-].*|#.*)?)*", re.MULTILINE)


def patterns_in(config: bytes) -> Iterator[str]:
    """Yield the patterns of ``rule_files`` in a configuration of Prometheus."""
    section = _SECTION.search(config)
    try:
        found = value_of(compose(section[0], ""), "rule_files") if section else None
    except (yaml.YAMLError, UnusableError, RecursionError):
        return
    if isinstance(found, SequenceNode):
        yield from (each.value for each in found.value if isinstance(each, ScalarNode))


def matches(pattern: PurePath, file: PurePath) -> bool:
    """Return whether a pattern matches a file; as in Prometheus, only its last part has a ``*``."""
    return pattern.parent == file.parent and fnmatchcase(file.name, pattern.name)
