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
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml.composer import Composer, ComposerError
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from wrapper.model import Rendering, Renderings, Role

_MERGE_TAG = "tag:yaml.org,2002:merge"
_MAP_TAG = "tag:yaml.org,2002:map"
_NULL_TAG = "tag:yaml.org,2002:null"
_TEXT_TAG = "tag:yaml.org,2002:str"
_COLON_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
_MAX_DEPTH = 200  # of nested collections; Prometheus' own go to about 12
_WIDTH = 1 << 30  # columns before a line is folded: never
_SUSPICIOUS = {"remote_writes": 'did you mean "remote_write"?'}
_CURES = {  # the cure for what libyaml says, by a part of it
    "cannot start any token": 'indent with spaces, not tabs; quote a value that begins with "%@`"',
    "mapping values are not allowed": 'mend the indentation, or quote a value that contains ": "',
    "undefined alias": "define the anchor above its alias, or quote a value that begins with *",
    "undefined tag": "quote a value that begins with !",
    "escape": "write it in single quotes, where a backslash is a backslash",
}
_MISSING = 'no configuration under "follower"; write "follower: {}" where none is meant'
_CURE = "mend the indentation, brackets or quotes, here or above"


_Entries = dict[str, tuple[ScalarNode, Node]]


class ConfigurationError(Exception):
    """An input cannot be used; ``problems`` are lines ``NAME:LINE:COLUMN: cause; cure``."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


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
    problems = _Problems()
    root = _read(content, name, problems)
    problems.settle(only_if_broken=True)
    follower, leader = _sections(root, name, problems)
    serializer = _Serializer(has_anchors=b"&" in content)
    return _render(follower, [leader], serializer, problems)


@_collector_paused()
def render_overrides(
    base: bytes, base_name: str, overrides: Sequence[tuple[str, bytes]]
) -> Rendered:
    """Render a whole Prometheus file and, in order, the leader's overrides (name, content).

    An empty override changes nothing. Raises ConfigurationError with all that is wrong.
    """
    problems = _Problems()
    inputs = [(base_name, base), *overrides]
    roots = [_read(content, name, problems) for name, content in inputs]
    problems.settle(only_if_broken=True)
    if _is_null(roots[0]):
        problems.add(base_name, 1, 1, "no configuration; write {} where none is meant")
    whole, *given = [_mapping(root, "the file", problems) for root in roots]
    serializer = _Serializer(has_anchors=any(b"&" in content for _, content in inputs))
    return _render(whole, given, serializer, problems)


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 in hex by which a rendering is recognised."""
    return hashlib.sha256(content).hexdigest()


# --- problems -------------------------------------------------------------------------------


class _Problem(NamedTuple):
    """What is wrong at one place; sorts in the order of reading."""

    name: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}: {self.text}"


class _Problems:
    """What is wrong with the inputs so far; ``is_broken`` when one cannot be worked on at all."""

    def __init__(self) -> None:
        self._found: set[_Problem] = set()
        self.is_broken = False

    def add(self, name: str, line: int, column: int, text: str) -> None:
        """Note a problem at a place, both counted from 1."""
        self.note(_Problem(name, line, column, text))

    def at(self, node: Node, text: str) -> None:
        """Note a problem at the start of a node."""
        self.note(_problem(node, text))

    def note(self, problem: _Problem) -> None:
        """Note a problem that knows its place."""
        self._found.add(problem)

    def settle(self, *, only_if_broken: bool = False) -> None:
        """Raise ConfigurationError with all that was noted, if anything was."""
        if self._found and (self.is_broken or not only_if_broken):
            raise ConfigurationError(map(str, sorted(self._found)))


def _problem(node: Node, text: str) -> _Problem:
    """Place a text at the start of a node; its mark knows the name of its input."""
    mark = node.start_mark
    return _Problem(mark.name, mark.line + 1, mark.column + 1, text)


def _quoted(key: str) -> str:
    """Return a key for a message: on one line, not too long."""
    return json.dumps(key if len(key) <= 60 else key[:60] + "…", ensure_ascii=False)  # noqa: PLR2004


def _kind(node: Node) -> str:
    """Name a node's kind without its value."""
    if isinstance(node, CollectionNode):
        return "a mapping" if isinstance(node, MappingNode) else "a list"
    return "empty" if _is_null(node) else "a single value"


def _is_null(node: Node | None) -> bool:
    """Whether there is nothing, or a null."""
    return node is None or (isinstance(node, ScalarNode) and node.tag == _NULL_TAG)


# --- bytes to nodes ---------------------------------------------------------------------------


class _Stream:
    """Bytes to read that have a name, which the parser then writes into every mark."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self._content = content
        self._offset = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size``."""
        end = len(self._content) if size < 0 else self._offset + size
        piece, self._offset = self._content[self._offset : end], end
        return piece


class _AnchorsAnew(Composer, yaml.CSafeLoader):
    """The slow composer, for inputs that define an anchor twice, which is good YAML.

    libyaml's composer refuses them, Prometheus' does not.
    """

    def __init__(self, stream: _Stream) -> None:
        yaml.CSafeLoader.__init__(self, stream)
        Composer.__init__(self)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Forget an anchor when it is defined anew."""
        event = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        return super().compose_node(parent, index)


def _read(content: bytes, name: str, problems: _Problems) -> Node | None:
    """Return the first document's root, inspected; None where there is none or it is unusable."""
    try:
        root = _compose(content, name)
        if root is not None:
            _Inspection(problems).visit(root)
    except (yaml.YAMLError, _UnusableError, RecursionError) as error:
        problems.is_broken = True
        problems.note(_explained(error, content, name))
        return None
    return root


def _compose(content: bytes, name: str) -> Node | None:
    """Return the root of the first document; those after it are not even looked at."""
    try:
        return _first(yaml.CSafeLoader(_Stream(content, name)))
    except ComposerError as error:
        if "duplicate anchor" not in str(error.context):
            raise
        return _first(_AnchorsAnew(_Stream(content, name)))


def _first(loader: Any) -> Node | None:
    """Return a loader's first document; check_node goes before get_node."""
    try:
        return loader.get_node() if loader.check_node() else None
    finally:
        loader.dispose()


def _explained(error: Exception, content: bytes, name: str) -> _Problem:
    """Return the problem that keeps a whole input from being used."""
    if isinstance(error, _UnusableError):
        return _problem(error.node, str(error))
    if isinstance(error, ReaderError):
        text = f"not text ({error.reason}); write the file in UTF-8, without control characters"
        return _Problem(name, *_end_of(content[: error.position]), text)
    if isinstance(error, yaml.MarkedYAMLError):
        return _Problem(name, *_place(error, content), _syntax(error))
    return _Problem(name, 1, 1, f"not YAML; {_CURE}")


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Return cause and cure of a YAML error, without the alias that the slow composer quotes."""
    problem = re.sub("(?<=undefined alias).*", "", str(error.problem))
    cause = f"{error.context} {problem}" if error.context else problem
    cure = next((cure for part, cure in _CURES.items() if part in problem), _CURE)
    return f"not YAML: {cause}; {cure}"


def _place(error: yaml.MarkedYAMLError, content: bytes) -> tuple[int, int]:
    """Return line and column of a YAML error: what was never closed, else where it was noticed."""
    end = _end_of(content.rstrip())
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    places = [(mark.line + 1, mark.column + 1) for mark in marks]
    return next((place for place in places if place <= end), end)


def _end_of(content: bytes) -> tuple[int, int]:
    """Return line and column, from 1, of the place right after these bytes."""
    line = content.count(b"\n") + 1
    return line, len(content[content.rfind(b"\n") + 1 :].decode(errors="replace")) + 1


# --- what Prometheus would refuse, or libyaml write wrongly --------------------------------------


class _UnusableError(Exception):
    """A graph that cannot be walked."""

    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


class _Inspection:
    """One walk over a document, each node once (again where an alias brings it into flow style).

    It notes repeated keys, keys that are none and merges of what is no mapping, and sees to the
    scalars that libyaml would write wrongly, see ``_settle``.
    """

    def __init__(self, problems: _Problems) -> None:
        self._problems = problems
        self._was_in_flow: dict[int, bool] = {}
        self._open: set[int] = set()

    def visit(self, node: Node, *, in_flow: bool = False) -> None:
        """Inspect a node and all below it; raise _UnusableError."""
        if not isinstance(node, CollectionNode):
            return
        in_flow = in_flow or bool(node.flow_style)
        if id(node) in self._open:
            raise _UnusableError(
                node, "the value contains itself; do not use an alias in its own anchor"
            )
        if self._was_in_flow.get(id(node)) in (True, in_flow):
            return
        self._was_in_flow[id(node)] = in_flow
        self._enter(node, in_flow=in_flow)

    def _enter(self, node: CollectionNode, *, in_flow: bool) -> None:
        if len(self._open) == _MAX_DEPTH:
            raise _UnusableError(node, f"more than {_MAX_DEPTH} levels deep; take some away")
        self._open.add(id(node))
        for child in self._children(node, in_flow=in_flow):
            if not isinstance(child, ScalarNode):
                self.visit(child, in_flow=in_flow)
            elif in_flow:
                _settle(child)
        self._open.remove(id(node))

    def _children(self, node: CollectionNode, *, in_flow: bool) -> list[Node]:
        if isinstance(node, MappingNode):
            self._check_keys(node.value, in_flow=in_flow)
            return [value for _, value in node.value]
        children: list[Node] = node.value
        return children

    def _check_keys(self, entries: list[tuple[Node, Node]], *, in_flow: bool) -> None:
        first: dict[str, Node] = {}
        for key, value in entries:
            if not isinstance(key, ScalarNode):
                self._problems.at(key, f"{_kind(key)} cannot be a key; quote a value with braces")
            elif key.tag == _MERGE_TAG:
                self._check_merge(value)
            elif key.value in first:
                line = first[key.value].start_mark.line + 1
                text = f"the key {_quoted(key.value)} is already on line {line}; keep one of them"
                self._problems.at(key, text)
            else:
                first[key.value] = key
                if in_flow or not key.value:
                    _settle(key)

    def _check_merge(self, value: Node) -> None:
        sources = value.value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._problems.at(
                    source, f"<< wants a mapping, not {_kind(source)}; name an anchor"
                )


def _settle(node: ScalarNode) -> None:
    """Make of a plain scalar, in flow style or a key, one that libyaml writes with its meaning.

    An empty one would become ``! ''``, so it becomes ``null``. One like ``1:30``, a number or time
    to PyYAML but text to Prometheus, would become ``!!int '1:30'``, so it becomes ``'1:30'``.
    """
    if not node.value and node.tag == _NULL_TAG:
        node.value = "null"
    elif node.tag in _COLON_TAGS and ":" in node.value:
        node.tag = _TEXT_TAG


# --- nodes to sections ------------------------------------------------------------------------


def _sections(root: Node | None, name: str, problems: _Problems) -> tuple[MappingNode, MappingNode]:
    """Return the follower and the leader section."""
    entries = _entries(_mapping(root, "the file", problems))
    for key, _ in (entry for text, entry in entries.items() if text not in list(Role)):
        problems.at(key, f"unknown key {_quoted(key.value)}; {_cure_of_key(key.value)}")
    _check_follower(root, entries, name, problems)
    follower, leader = (
        entries[role][1] if role in entries else None for role in (Role.FOLLOWER, Role.LEADER)
    )
    return _mapping(follower, "follower", problems), _mapping(leader, "leader", problems)


def _check_follower(root: Node | None, entries: _Entries, name: str, problems: _Problems) -> None:
    """Note a missing follower; where the file is no mapping, that has been noted."""
    key, value = entries.get(Role.FOLLOWER, (root, None))
    if key is None:
        problems.add(name, 1, 1, _MISSING)
    elif _is_null(value) and (isinstance(root, MappingNode) or _is_null(root)):
        problems.at(key, _MISSING)


def _cure_of_key(key: str) -> str:
    close = difflib.get_close_matches(key, list(Role), n=1)
    if close:
        return f"did you mean {_quoted(close[0])}?"
    return 'move it under "follower" or "leader", which alone may stand here'


def _mapping(node: Node | None, what: str, problems: _Problems) -> MappingNode:
    """Return the node if it is a mapping; else an empty one, and note what it is unless empty."""
    if isinstance(node, MappingNode):
        return node
    if node is not None and not _is_null(node):
        problems.at(node, f"{what} must be a mapping, not {_kind(node)}; write it as KEY: VALUE")
    return MappingNode(_MAP_TAG, [])


def _entries(node: MappingNode) -> _Entries:
    """Return a mapping's entries by key, those of its merge keys among them.

    Where a key comes more than once the last one counts, as in Prometheus' decoder (go-yaml v2).
    """
    entries: _Entries = {}
    for key, value in node.value:
        if key.tag == _MERGE_TAG:
            entries.update(_merged_entries(value))
        elif isinstance(key, ScalarNode):
            entries[key.value] = (key, value)
    return entries


def _merged_entries(value: Node) -> _Entries:
    """Return what a merge key brings in; of several mappings the first one counts."""
    sources = value.value if isinstance(value, SequenceNode) else [value]
    entries: _Entries = {}
    for source in reversed(sources):
        if isinstance(source, MappingNode):
            entries.update(_entries(source))
    return entries


# --- sections to renderings ---------------------------------------------------------------------


def _render(
    base: MappingNode,
    overrides: Sequence[MappingNode],
    serializer: _Serializer,
    problems: _Problems,
) -> Rendered:
    """Merge, serialize, and look for what is surely a mistake."""
    merged = base
    for override in overrides:
        merged = _merge(merged, override, "", problems)
    problems.settle()
    follower = _rendering(Role.FOLLOWER, base, serializer)
    leader = _rendering(Role.LEADER, merged, serializer)
    return Rendered(Renderings(follower, leader), tuple(_suspicions([base, *overrides])))


def _merge(base: MappingNode, override: MappingNode, path: str, problems: _Problems) -> MappingNode:
    """Return the base with the override's entries on it; neither is changed, both may be shared.

    The result is in flow style only where both are: what came from block style has not had its
    empty scalars written out.
    """
    if not override.value:
        return base
    entries = _entries(base)
    for name, (key, value) in _entries(override).items():
        old_key, old = entries.get(name, (key, None))
        entries[name] = (
            old_key,
            _combine(old, value, f"{path}.{name}" if path else name, problems),
        )
    return MappingNode(
        base.tag,
        list(entries.values()),
        base.start_mark,
        base.end_mark,
        flow_style=base.flow_style and override.flow_style,
    )


def _combine(old: Node | None, new: Node, path: str, problems: _Problems) -> Node:
    """Return what stands in the leader where ``old`` is the follower's value and ``new`` its own.

    Mappings merge, lists append (to a list or to nothing), all else replaces.
    """
    if isinstance(old, MappingNode) and isinstance(new, MappingNode):
        return _merge(old, new, path, problems)
    if not isinstance(new, SequenceNode) or old is None or _is_null(old):
        return new
    if isinstance(old, SequenceNode):
        return _append(old, new)
    there = f"{old.start_mark.name}:{old.start_mark.line + 1}"
    text = f"{_quoted(path)} is a list here and {_kind(old)} at {there}; make both lists"
    problems.at(new, text)
    return new


def _append(old: SequenceNode, new: SequenceNode) -> SequenceNode:
    """Return a list of the items of both; in flow style as for mappings."""
    return SequenceNode(
        old.tag,
        [*old.value, *new.value],
        old.start_mark,
        old.end_mark,
        flow_style=old.flow_style and new.flow_style,
    )


def _rendering(role: Role, section: MappingNode, serializer: _Serializer) -> Rendering:
    """Return what Prometheus reads in a role."""
    content = serializer.write(section)
    _, remote_write = _entries(section).get("remote_write", (None, None))
    writes = isinstance(remote_write, SequenceNode) and bool(remote_write.value)
    return Rendering(role, content, fingerprint(content), writes)


class _Serializer:
    """Writes sections, and what two of them have in common only once.

    Top-level entries are serialized one by one and joined, unless anchors may tie them together or
    the text of one would end the document.
    """

    def __init__(self, *, has_anchors: bool) -> None:
        self._has_anchors = has_anchors
        self._texts: dict[tuple[int, int], bytes] = {}

    def write(self, section: MappingNode) -> bytes:
        """Return a section as a YAML document in UTF-8."""
        is_plain = section.value and not section.flow_style and section.tag == _MAP_TAG
        if self._has_anchors or not is_plain:
            return _serialize(section)
        texts = [self._text(key, value) for key, value in section.value]
        if any(text.endswith(b"...\n") for text in texts):
            return _serialize(section)
        return b"".join(texts)

    def _text(self, key: Node, value: Node) -> bytes:
        identity = (id(key), id(value))
        if identity not in self._texts:
            entry = MappingNode(_MAP_TAG, [(key, value)], flow_style=False)
            self._texts[identity] = _serialize(entry)
        return self._texts[identity]


def _serialize(node: Node) -> bytes:
    """Return a node as a YAML document in UTF-8."""
    text: bytes = yaml.serialize(
        node, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, width=_WIDTH
    )
    return text


def _suspicions(sections: Iterable[MappingNode]) -> Iterator[str]:
    """Yield what stands at the top of a section and is surely meant otherwise."""
    for section in sections:
        for name, (key, _) in _entries(section).items():
            if name in _SUSPICIOUS:
                yield str(_problem(key, f"unknown key {_quoted(name)}; {_SUSPICIOUS[name]}"))
