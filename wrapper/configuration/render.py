"""From the bytes that a person wrote to the bytes that Prometheus reads, for both roles; pure.

Guarantees: every scalar comes out as it was written (but for relative paths, where the output lies
in another folder), nothing is lost and mappings keep their order, because what no override lands on
is the input's own text, and the rest is YAML's node graph, never loaded values; a whole Prometheus
file is the follower's rendering byte for byte; and what is wrong with an input is said all at once,
with its place, and without any value (values may be secrets).

Whether Prometheus likes what is rendered is for Prometheus to say.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from yaml.nodes import MappingNode, SequenceNode

from wrapper.configuration.client_files import REMOTE_WRITE, ClientFile, client_files
from wrapper.configuration.merge import merge
from wrapper.configuration.remote_duplicates import note_duplicates
from wrapper.configuration.sections import Section, read_base, read_both, read_override
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import entries, value_of
from wrapper.documents.yaml_text import Serializer
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role

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

    ``suspicions`` are lines like those of ConfigurationError. ``follower_files`` and
    ``leader_files`` are what remote_write names in each rendering.
    """

    renderings: Renderings
    suspicions: tuple[str, ...]
    follower_files: tuple[ClientFile, ...] = ()
    leader_files: tuple[ClientFile, ...] = ()


@_collector_paused()
def render(source: Source) -> Rendered:
    """Render the one-file form, ``follower`` and ``leader`` side by side.

    Raises ConfigurationError with all that is wrong.
    """
    problems = Problems()
    follower, leader = read_both(source, problems)
    return _Base(follower).render([leader], problems)


@_collector_paused()
def recognized(role: Role, content: bytes, name: str) -> Rendering:
    """Return the rendering that these bytes are, as an earlier run has made it.

    ``name`` is what messages call it. Raises ConfigurationError where it is no configuration.
    """
    problems = Problems()
    section = read_base(Source(name, content), problems)
    problems.settle()
    return _rendering(role, section.node, content)


class WholeFile:
    """Renders a whole Prometheus file and the leader's overrides of it, again and again.

    It remembers the file that it read last: an override that changes costs no parsing of it. What
    is remembered is about twice the size of the file, since lists are text; where nothing can be
    cut out of it (``yaml_cuts``) it is the nodes, forty times the size.
    """

    def __init__(self) -> None:
        self._source: Source | None = None
        self._base: _Base | None = None

    @_collector_paused()
    def render(self, source: Source, overrides: Sequence[Source] = ()) -> Rendered:
        """Render the file and, in order, the overrides; an empty one changes nothing.

        Raises ConfigurationError with all that is wrong.
        """
        problems = Problems()
        given = [read_override(override, problems) for override in overrides]
        base = self._read(source, problems)
        problems.settle(only_if_broken=True)
        return base.render(given, problems)

    def _read(self, source: Source, problems: Problems) -> _Base:
        """Return the file, read where it has to be; one with problems is not remembered."""
        if self._base is not None and self._source == source:
            return self._base
        self._base = None  # both at once would take twice the memory
        own = Problems()
        base = _Base(read_base(source, own))
        problems.take(own)
        self._source, self._base = (None, None) if own else (source, base)
        return base


class _Base:
    """The follower's section, which overrides land on, and its rendering once there is one."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._texts = section.texts
        self._follower: Rendering | None = None

    def render(self, overrides: Sequence[Section], problems: Problems) -> Rendered:
        """Render both roles."""
        base = merged = self._section.node
        for override in overrides:
            merged = merge(merged, override.node, problems)
        note_duplicates(merged, problems)
        suspicions = _suspicions([base, *(override.node for override in overrides)])
        if problems:
            problems.take(suspicions)
        problems.settle()
        follower = self._follower = self._follower or self._write_follower()
        leader = replace(follower, role=Role.LEADER)
        if merged is not base:
            serializer = self._serializer(overrides)
            leader = _rendering(Role.LEADER, merged, serializer.write(merged))
        return Rendered(
            Renderings(follower, leader),
            suspicions.lines,
            tuple(client_files(base, (REMOTE_WRITE,))),
            tuple(client_files(merged, (REMOTE_WRITE,))),
        )

    def _write_follower(self) -> Rendering:
        """Return the file's own bytes, unless a path in it had to be rewritten."""
        section = self._section
        if section.content is not None:
            return _rendering(Role.FOLLOWER, section.node, section.content)
        serializer = self._serializer()
        content = serializer.write(section.node)
        self._texts = serializer.texts
        return _rendering(Role.FOLLOWER, section.node, content)

    def _serializer(self, overrides: Sequence[Section] = ()) -> Serializer:
        texts = dict(self._texts)
        for override in overrides:
            texts |= override.texts
        return Serializer(texts, is_tied=self._section.is_tied)


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 in hex by which a rendering is recognised."""
    return hashlib.sha256(content).hexdigest()


def _rendering(role: Role, section: MappingNode, content: bytes) -> Rendering:
    """Return what Prometheus reads in a role."""
    remote_write = value_of(section, REMOTE_WRITE)
    writes = isinstance(remote_write, SequenceNode) and bool(remote_write.value)
    return Rendering(role, content, fingerprint(content), writes)


def _suspicions(sections: Iterable[MappingNode]) -> Problems:
    """Return what stands at the top of a section and is surely meant otherwise."""
    found = Problems()
    for section in sections:
        for name, (key, _) in entries(section).items():
            if name in _SUSPICIOUS:
                found.at(key, f"unknown key {quoted(name)}; {_SUSPICIOUS[name]}")
    return found
