"""An input's bytes → its sections: what the follower reads, and what the leader adds; pure.

A section is a mapping node, inspected, with its relative paths resolved. What is wrong goes to the
``Problems`` given; where ``is_broken`` is set there, the sections are not to be used.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node

from wrapper.config_paths import resolve_paths
from wrapper.model import Role
from wrapper.problems import Problems, quoted
from wrapper.yaml_inspection import Inspection
from wrapper.yaml_nodes import (
    MAP_TAG,
    Entries,
    UnusableError,
    compose,
    entries,
    explained,
    is_null,
    kind,
)

_MISSING = 'no configuration under "follower"; write "follower: {}" where none is meant'


@dataclass(frozen=True, slots=True)
class Source:
    """An input: its name for messages, its bytes, and where its relative paths begin.

    ``folder`` "": they are left as they are, since the output lies in the same folder.
    """

    name: str
    content: bytes = field(repr=False)
    folder: str = ""


def read_root(source: Source, problems: Problems) -> Node | None:
    """Return the first document's root, inspected; None where there is none or it is unusable."""
    try:
        root = compose(source.content, source.name)
        if root is not None:
            Inspection(problems).visit(root)
    except (yaml.YAMLError, UnusableError, RecursionError) as error:
        problems.is_broken = True
        problems.note(explained(error, source.content, source.name))
        return None
    return root


def read_base(source: Source, problems: Problems) -> tuple[MappingNode, MappingNode]:
    """Return a whole Prometheus file's section as it was written, and with its paths resolved."""
    root = read_root(source, problems)
    if is_null(root) and not problems.is_broken:
        problems.add(source.name, 1, 1, "no configuration; write {} where none is meant")
    written = _mapping(root, "the file", problems)
    return written, _resolved(written, source)


def read_override(source: Source, problems: Problems) -> MappingNode:
    """Return the section of a file with overrides; an empty file has an empty one."""
    root = read_root(source, problems)
    return _resolved(_mapping(root, "the file", problems), source)


def read_both(source: Source, problems: Problems) -> tuple[MappingNode, MappingNode]:
    """Return the follower's and the leader's section of a file that has both."""
    root = read_root(source, problems)
    if problems.is_broken:
        return _empty(), _empty()
    found = entries(_mapping(root, "the file", problems))
    for key, _ in (entry for text, entry in found.items() if text not in list(Role)):
        problems.at(key, f"unknown key {quoted(key.value)}; {_cure_of_key(key.value)}")
    _check_follower(root, found, source.name, problems)
    follower, leader = (
        _mapping(found[role][1] if role in found else None, role, problems)
        for role in (Role.FOLLOWER, Role.LEADER)
    )
    return _resolved(follower, source), _resolved(leader, source)


def _check_follower(root: Node | None, found: Entries, name: str, problems: Problems) -> None:
    """Note a missing follower; where the file is no mapping, that has been noted."""
    key, value = found.get(Role.FOLLOWER, (root, None))
    if key is None:
        problems.add(name, 1, 1, _MISSING)
    elif is_null(value) and (isinstance(root, MappingNode) or is_null(root)):
        problems.at(key, _MISSING)


def _cure_of_key(key: str) -> str:
    close = difflib.get_close_matches(key, list(Role), n=1)
    if close:
        return f"did you mean {quoted(close[0])}?"
    return 'move it under "follower" or "leader", which alone may stand here'


def _mapping(node: Node | None, what: str, problems: Problems) -> MappingNode:
    """Return the node if it is a mapping; else an empty one, and note what it is unless empty."""
    if isinstance(node, MappingNode):
        return node
    if node is not None and not is_null(node):
        problems.at(node, f"{what} must be a mapping, not {kind(node)}; write it as KEY: VALUE")
    return _empty()


def _empty() -> MappingNode:
    return MappingNode(MAP_TAG, [])


def _resolved(section: MappingNode, source: Source) -> MappingNode:
    return resolve_paths(section, source.folder) if source.folder else section
