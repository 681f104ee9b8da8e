"""From the bytes that a person wrote to the bytes that Prometheus reads, for both roles; pure.

Guarantees: every scalar comes out as it was written (but for relative paths, where the output lies
in another folder), nothing is lost and mappings keep their order, because this works on YAML's node
graph and never on loaded values; a whole Prometheus file is the follower's rendering byte for byte;
and what is wrong with an input is said all at once, with its place, and without any value (values
may be secrets).

Whether Prometheus likes what is rendered is for Prometheus to say.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from wrapper.merge import merge
from wrapper.model import Rendering, Renderings, Role
from wrapper.problems import ConfigurationError, Problem, Problems, quoted
from wrapper.sections import Source, read_base, read_both, read_override
from wrapper.yaml_nodes import MAP_TAG, MERGE_TAG, TEXT_TAG, entries
from wrapper.yaml_text import Serializer, Texts, entry_texts, has_anchors

__all__ = ["ConfigurationError", "Rendered", "Source", "WholeFile", "fingerprint", "render"]

_REMOTE_WRITE = "remote_write"
_SUSPICIOUS = {"remote_writes": 'did you mean "remote_write"?'}


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
def render(source: Source) -> Rendered:
    """Render the one-file form, ``follower`` and ``leader`` side by side.

    Raises ConfigurationError with all that is wrong.
    """
    problems = Problems()
    follower, leader = read_both(source, problems)
    merged = merge(follower, leader, problems)
    problems.settle()
    serializer = Serializer(has_anchors=has_anchors(source.content))
    renderings = Renderings(
        _rendering(Role.FOLLOWER, follower, serializer.write(follower)),
        _rendering(Role.LEADER, merged, serializer.write(merged)),
    )
    return Rendered(renderings, tuple(_suspicions([follower, leader])))


class WholeFile:
    """Renders a whole Prometheus file and the leader's overrides of it, again and again.

    It remembers the file that it read last: an override that changes costs no parsing of it.
    """

    def __init__(self) -> None:
        self._base: _Base | None = None

    @_collector_paused()
    def render(self, source: Source, overrides: Sequence[Source] = ()) -> Rendered:
        """Render the file and, in order, the overrides; an empty one changes nothing.

        Raises ConfigurationError with all that is wrong.
        """
        problems = Problems()
        given = [read_override(override, problems) for override in overrides]
        keys = {key for section in given for key in entries(section)}
        are_tied = any(has_anchors(override.content) for override in overrides)
        base = self._read(source, None if are_tied else keys, problems)
        try:
            problems.settle(only_if_broken=True)
            return base.render(given, problems, are_tied=are_tied)
        finally:
            base.shed(keys | {_REMOTE_WRITE})

    def _read(self, source: Source, keys: set[str] | None, problems: Problems) -> _Base:
        """Return the file with the nodes of these entries, or of all; read where it has to be."""
        if self._base is not None and self._base.source == source and self._base.has(keys):
            return self._base
        self._base = None  # both at once would take twice the memory
        own = Problems()
        base = _Base(source, own)
        problems.take(own)
        self._base = None if own else base
        return base


class _Base:
    """A whole Prometheus file that has been read: the follower's part, which overrides land on.

    In the end it holds the nodes of those entries that overrides land on, and of others the text.
    """

    def __init__(self, source: Source, problems: Problems) -> None:
        self.source = source
        written, self._section = read_base(source, problems)
        self._is_as_written = self._section is written
        self._has_anchors = has_anchors(source.content)
        self._texts = _of(self._section, entry_texts(source.content, written))
        self._suspicions = tuple(_suspicions([written]))
        self._follower: Rendering | None = None
        self._shed: set[str] = set()

    def has(self, keys: set[str] | None) -> bool:
        """Tell whether the nodes of these entries are still there; None: of all."""
        return not self._shed if keys is None else self._shed.isdisjoint(keys)

    def render(
        self, overrides: Sequence[MappingNode], problems: Problems, *, are_tied: bool
    ) -> Rendered:
        """Render both roles; ``are_tied``: anchors may tie the overrides' entries together."""
        merged = self._section
        for override in overrides:
            merged = merge(merged, override, problems)
        problems.settle()
        follower = self._follower = self._follower or self._write_follower()
        leader = replace(follower, role=Role.LEADER)
        if merged is not self._section:
            serializer = Serializer(has_anchors=self._has_anchors or are_tied, known=self._texts)
            leader = _rendering(Role.LEADER, merged, serializer.write(merged))
        suspicions = (*self._suspicions, *_suspicions(overrides))
        return Rendered(Renderings(follower, leader), suspicions)

    def _write_follower(self) -> Rendering:
        """Return the file's own bytes, unless a path in it had to be rewritten."""
        if self._is_as_written:
            return _rendering(Role.FOLLOWER, self._section, self.source.content)
        serializer = Serializer(has_anchors=self._has_anchors, known=self._texts)
        content = serializer.write(self._section)
        self._texts = serializer.texts
        return _rendering(Role.FOLLOWER, self._section, content)

    def shed(self, keys: set[str]) -> None:
        """Forget the nodes of all entries but these, where their text is known."""
        pairs, texts = [], {}
        for key, value in self._section.value:
            text, kept = self._texts.get((id(key), id(value))), value
            if text is not None and key.tag != MERGE_TAG and key.value not in keys:
                self._shed.add(key.value)
                kept = ScalarNode(TEXT_TAG, "")
            pairs.append((key, kept))
            if text is not None:
                texts[id(key), id(kept)] = text
        self._section = MappingNode(MAP_TAG, pairs, flow_style=self._section.flow_style)
        self._texts = texts


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 in hex by which a rendering is recognised."""
    return hashlib.sha256(content).hexdigest()


def _of(section: MappingNode, texts: Texts) -> Texts:
    """Return the texts of a section's own entries: ids mean nothing once their nodes have gone."""
    identities = [(id(key), id(value)) for key, value in section.value]
    return {identity: texts[identity] for identity in identities if identity in texts}


def _rendering(role: Role, section: MappingNode, content: bytes) -> Rendering:
    """Return what Prometheus reads in a role."""
    _, remote_write = entries(section).get(_REMOTE_WRITE, (None, None))
    writes = isinstance(remote_write, SequenceNode) and bool(remote_write.value)
    return Rendering(role, content, fingerprint(content), writes)


def _suspicions(sections: Iterable[MappingNode]) -> Iterator[str]:
    """Yield what stands at the top of a section and is surely meant otherwise."""
    for section in sections:
        for name, (key, _) in entries(section).items():
            if name in _SUSPICIOUS:
                yield str(Problem.at(key, f"unknown key {quoted(name)}; {_SUSPICIOUS[name]}"))
