"""From the bytes that a person wrote to the bytes that Prometheus reads, for both roles; pure.

Guarantees: every scalar comes out as it was written, nothing is lost and mappings keep their
order, because this works on YAML's node graph and never on loaded values; and what is wrong with
an input is said all at once, with its place, and without any value (values may be secrets).

Whether Prometheus likes what is rendered is for Prometheus to say. Comments, the names of anchors
and the width of lines are not kept, nor is any document after the first.
"""

from __future__ import annotations

import difflib
import gc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from wrapper.merge import Entries, entries, merge
from wrapper.model import Rendering, Renderings, Role
from wrapper.problems import ConfigurationError, Problem, Problems, quoted
from wrapper.yaml_inspection import Inspection
from wrapper.yaml_nodes import MAP_TAG, UnusableError, compose, explained, is_null, kind
from wrapper.yaml_text import Serializer

__all__ = ["ConfigurationError", "Rendered", "fingerprint", "render", "render_overrides"]

_SUSPICIOUS = {"remote_writes": 'did you mean "remote_write"?'}
_MISSING = 'no configuration under "follower"; write "follower: {}" where none is meant'


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a growing graph again and again (2.1 s for 0.4 s).

    As a decorator: the graph, which has no cycles, is then gone before the collector is back.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Rendered:
    """Both renderings, and what renders but is surely a mistake: a start refuses it.

    ``suspicions`` are lines like those of ConfigurationError.
    """

    renderings: Renderings
    suspicions: tuple[str, ...]


@_collector_paused()
def render(content: bytes, name: str) -> Rendered:
    """Render the one-file form, ``follower`` and ``leader`` side by side.

    ``name`` is the file's, for messages. Raises ConfigurationError with all that is wrong.
    """
    problems = Problems()
    root = _read(content, name, problems)
    problems.settle(only_if_broken=True)
    follower, leader = _sections(root, name, problems)
    serializer = Serializer(has_anchors=b"&" in content)
    return _render(follower, [leader], serializer, problems)


@_collector_paused()
def render_overrides(
    base: bytes, base_name: str, overrides: Sequence[tuple[str, bytes]]
) -> Rendered:
    """Render a whole Prometheus file and, in order, the leader's overrides (name, content).

    An empty override changes nothing. Raises ConfigurationError with all that is wrong.
    """
    problems = Problems()
    inputs = [(base_name, base), *overrides]
    roots = [_read(content, name, problems) for name, content in inputs]
    problems.settle(only_if_broken=True)
    if is_null(roots[0]):
        problems.add(base_name, 1, 1, "no configuration; write {} where none is meant")
    whole, *given = [_mapping(root, "the file", problems) for root in roots]
    serializer = Serializer(has_anchors=any(b"&" in content for _, content in inputs))
    return _render(whole, given, serializer, problems)


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 in hex by which a rendering is recognised."""
    return hashlib.sha256(content).hexdigest()


# --- bytes to sections ----------------------------------------------------------------------------


def _read(content: bytes, name: str, problems: Problems) -> Node | None:
    """Return the first document's root, inspected; None where there is none or it is unusable."""
    try:
        root = compose(content, name)
        if root is not None:
            Inspection(problems).visit(root)
    except (yaml.YAMLError, UnusableError, RecursionError) as error:
        problems.is_broken = True
        problems.note(explained(error, content, name))
        return None
    return root


def _sections(root: Node | None, name: str, problems: Problems) -> tuple[MappingNode, MappingNode]:
    """Return the follower and the leader section."""
    found = entries(_mapping(root, "the file", problems))
    for key, _ in (entry for text, entry in found.items() if text not in list(Role)):
        problems.at(key, f"unknown key {quoted(key.value)}; {_cure_of_key(key.value)}")
    _check_follower(root, found, name, problems)
    follower, leader = (
        found[role][1] if role in found else None for role in (Role.FOLLOWER, Role.LEADER)
    )
    return _mapping(follower, "follower", problems), _mapping(leader, "leader", problems)


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
    return MappingNode(MAP_TAG, [])


# --- sections to renderings -----------------------------------------------------------------------


def _render(
    base: MappingNode,
    overrides: Sequence[MappingNode],
    serializer: Serializer,
    problems: Problems,
) -> Rendered:
    """Merge, serialize, and look for what is surely a mistake."""
    merged = base
    for override in overrides:
        merged = merge(merged, override, problems)
    problems.settle()
    follower = _rendering(Role.FOLLOWER, base, serializer)
    leader = _rendering(Role.LEADER, merged, serializer)
    return Rendered(Renderings(follower, leader), tuple(_suspicions([base, *overrides])))


def _rendering(role: Role, section: MappingNode, serializer: Serializer) -> Rendering:
    """Return what Prometheus reads in a role."""
    content = serializer.write(section)
    _, remote_write = entries(section).get("remote_write", (None, None))
    writes = isinstance(remote_write, SequenceNode) and bool(remote_write.value)
    return Rendering(role, content, fingerprint(content), writes)


def _suspicions(sections: Iterable[MappingNode]) -> Iterator[str]:
    """Yield what stands at the top of a section and is surely meant otherwise."""
    for section in sections:
        for name, (key, _) in entries(section).items():
            if name in _SUSPICIOUS:
                yield str(Problem.at(key, f"unknown key {quoted(name)}; {_SUSPICIOUS[name]}"))
