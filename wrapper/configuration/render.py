"""Renders the inputs into the configurations that Prometheus reads in both roles; pure.

Parts that no override changes are copied as text. The rest is handled as YAML nodes, never as
loaded values.

Guarantees:

- Every scalar is written as in the input, except relative paths if the output is in another folder.
  Nothing is lost, and mappings keep their order.
- A whole Prometheus file is the follower's rendering byte for byte, unless a path in it has to be
  resolved, or remote_write goes through the gate.
- All problems of an input are reported at once, with their places. Messages contain no values,
  which may be secrets.

Limitation: whether Prometheus accepts a rendering is not known here.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from yaml.nodes import MappingNode, SequenceNode

from wrapper.configuration.client_files import REMOTE_WRITE, ClientFile, client_files
from wrapper.configuration.duplicate_jobs import note_duplicate_jobs
from wrapper.configuration.known_items import Items, by_text
from wrapper.configuration.merge import merge
from wrapper.configuration.receiver_notes import ReceiverNote, receiver_notes
from wrapper.configuration.remote_duplicates import note_duplicates
from wrapper.configuration.sections import Section, read_base, read_both, read_override
from wrapper.documents.problems import Problems, quoted
from wrapper.documents.source import Source
from wrapper.documents.yaml_nodes import entries, is_null, kind, value_of
from wrapper.documents.yaml_text import Serializer
from wrapper.model.configuration import Rendering, Renderings
from wrapper.model.roles import Role

if TYPE_CHECKING:  # few replicas have a gate, and a start should be quick
    from wrapper.configuration.gate_settings import GatedSections, GateSettings
    from wrapper.model.gate import Endpoint

_NESTED = "move its content one level up, or, if the file has both parts, leave --leader-config out"
_SUSPICIOUS = {
    "remote_writes": 'did you mean "remote_write"?',
    Role.FOLLOWER: _NESTED,
    Role.LEADER: _NESTED,
}
_LISTS = frozenset(
    ("remote_read", "remote_write", "rule_files", "scrape_config_files", "scrape_configs")
)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector, which would walk the growing graph again and again.

    Reading then takes 2.1 s instead of 0.4 s. Use this as a decorator: the graph has no cycles, so
    it is freed before the collector runs again.
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
    """Both renderings, and what was found in them.

    - ``likely_mistakes``: lines like those of ConfigurationError, for entries that can be rendered
      but are surely mistakes. ``Inputs`` refuses them;
    - ``follower_files``, ``leader_files``: the files that remote_write names in each rendering;
    - ``gate_files``: the files that remote_write names, but that only the gate reads;
    - ``notes``: lines about settings with which a failover loses samples in spite of the gate;
    - ``receiver_notes``: notes about receivers that may refuse what they are sent.
    """

    renderings: Renderings
    likely_mistakes: tuple[str, ...]
    follower_files: tuple[ClientFile, ...] = ()
    leader_files: tuple[ClientFile, ...] = ()
    gate_files: tuple[ClientFile, ...] = ()
    notes: tuple[str, ...] = ()
    receiver_notes: tuple[ReceiverNote, ...] = ()


def render(source: Source, gate: GateSettings | None = None) -> Rendered:
    """Render a file that has both ``follower`` and ``leader``.

    ``gate`` is None without a gate. Raises ConfigurationError with all problems.
    """
    return OneFile(gate).render(source)


@_collector_paused()
def recognized(role: Role, content: bytes, name: str) -> Rendering:
    """Return the rendering of a role from its bytes, which an earlier run has written.

    ``name`` is its name in messages. Raises ConfigurationError if it is not a configuration.
    """
    problems = Problems()
    section = read_base(Source(name, content), problems)
    problems.raise_if_any()
    from wrapper.configuration.gate_comment import endpoints_in  # noqa: PLC0415 - rarely needed

    return _rendering(role, section.node, content, endpoints_in(content))


class OneFile:
    """Renders a file that has both ``follower`` and ``leader``, each time it changes.

    The items of the follower's lists are cached as text, so that only changed items are parsed
    again. The cache is about the size of the file. ``gate`` is None without a gate.
    """

    def __init__(self, gate: GateSettings | None = None) -> None:
        self._gate = gate
        self._previous_items = _PreviousItems()

    @_collector_paused()
    def render(self, source: Source) -> Rendered:
        """Render the file; raise ConfigurationError with all problems."""
        problems = Problems()
        follower, leader = read_both(source, problems, self._previous_items.items(source))
        self._previous_items.note(source, follower, problems)
        return _Base(follower).render([leader], problems, self._gate)


class WholeFile:
    """Renders a whole Prometheus file and the leader's overrides, each time one changes.

    The last file is cached. If only an override changes, the file is not parsed again. If the file
    changes, only its changed items are parsed. The cache is about twice the size of the file, since
    items of lists are cached as text. If no text can be cut out of the file (``source_spans``),
    nodes are cached instead, which take forty times its size. ``gate`` is None without a gate.
    """

    def __init__(self, gate: GateSettings | None = None) -> None:
        self._gate = gate
        self._previous_items = _PreviousItems()
        self._source: Source | None = None
        self._base: _Base | None = None

    @_collector_paused()
    def render(self, source: Source, overrides: Sequence[Source] = ()) -> Rendered:
        """Render the file with the overrides in order; an empty one changes nothing.

        Raises ConfigurationError with all problems.
        """
        problems = Problems()
        given = [read_override(override, problems) for override in overrides]
        base = self._read(source, problems)
        problems.raise_if_any(only_if_broken=True)
        return base.render(given, problems, self._gate)

    def _read(self, source: Source, problems: Problems) -> _Base:
        """Return the file from the cache, or parse it; one with problems is not cached."""
        if self._base is not None and self._source == source:
            return self._base
        self._base = None  # both at once would take twice the memory
        own = Problems()
        section = read_base(source, own, self._previous_items.items(source))
        self._previous_items.note(source, section, own)
        problems.take(own)
        base = _Base(section)
        self._source, self._base = (None, None) if own else (source, base)
        return base


class _PreviousItems:
    """The items of the file that was read last; their relative paths belong to its folder."""

    def __init__(self) -> None:
        self._folder = ""
        self._items: Items = {}

    def items(self, source: Source) -> Items:
        """Return the items that this file may still have; none if it is in another folder."""
        return self._items if source.folder == self._folder else {}

    def note(self, source: Source, section: Section, problems: Problems) -> None:
        """Keep the items of a file, unless it has problems or no items.

        The problems of an item are found when it is parsed. A kept item is not parsed again, so it
        must have none.
        """
        if not problems and (items := by_text(section.node)):
            self._folder, self._items = source.folder, items


class _Base:
    """The follower's section, and its rendering as soon as it has been needed."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._texts = section.texts
        self._follower: Rendering | None = None

    def render(
        self, overrides: Sequence[Section], problems: Problems, gate: GateSettings | None
    ) -> Rendered:
        """Render both roles."""
        base = merged = self._section.node
        for override in overrides:
            merged = merge(merged, override.node, problems)
        note_duplicate_jobs(base, merged, problems)
        note_duplicates(merged, problems, is_gated=gate is not None)
        if merged is not base:  # the override may remove duplicates of the base
            note_duplicates(base, problems, is_gated=gate is not None)
        gated = _through_gate(base, merged, gate, problems)
        likely_mistakes = _likely_mistakes([base, *(override.node for override in overrides)])
        if problems:
            problems.take(likely_mistakes)
        problems.raise_if_any()
        named = client_files(merged, (REMOTE_WRITE,))
        of_leader = named if gated is None else client_files(gated.leader, (REMOTE_WRITE,))
        if gated is not None and gated.endpoints:
            renderings = _gated(gated, self._serializer(overrides))
        else:
            renderings = self._both(merged, overrides)
        return Rendered(
            renderings,
            likely_mistakes.lines,
            tuple(client_files(base, (REMOTE_WRITE,))),
            tuple(of_leader),
            tuple(file for file in named if file not in of_leader),
            () if gated is None else gated.notes,
            tuple(receiver_notes(merged)),
        )

    def _both(self, merged: MappingNode, overrides: Sequence[Section]) -> Renderings:
        """Return both renderings without a gate."""
        follower = self._follower = self._follower or self._write_follower()
        if merged is self._section.node:
            return Renderings(follower, replace(follower, role=Role.LEADER))
        content = self._serializer(overrides).write(merged)
        return Renderings(follower, _rendering(Role.LEADER, merged, content))

    def _write_follower(self) -> Rendering:
        """Return the follower's rendering: the file's bytes, unless a path had to be resolved."""
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
    """Return the SHA-256 in hex that identifies a rendering."""
    return hashlib.sha256(content).hexdigest()


def _rendering(
    role: Role, section: MappingNode, content: bytes, endpoints: tuple[Endpoint, ...] = ()
) -> Rendering:
    """Return the rendering of a role."""
    remote_write = value_of(section, REMOTE_WRITE)
    writes = isinstance(remote_write, SequenceNode) and bool(remote_write.value)
    if not endpoints:
        return Rendering(role, content, fingerprint(content), writes)
    from wrapper.configuration.gate_settings import are_gated  # noqa: PLC0415 - few have a gate

    is_gated = are_gated(section, endpoints)
    return Rendering(role, content, fingerprint(content), writes, endpoints, is_gated)


def _through_gate(
    base: MappingNode, merged: MappingNode, gate: GateSettings | None, problems: Problems
) -> GatedSections | None:
    """Return both sections, routed through the gate; None without a gate."""
    if gate is None:
        return None
    from wrapper.configuration.gate_entries import through_gate  # noqa: PLC0415 - few have a gate

    return through_gate(base, merged, gate, problems)


def _gated(sections: GatedSections, serializer: Serializer) -> Renderings:
    """Return both renderings, each with the endpoints in its last line."""
    from wrapper.configuration.gate_comment import with_endpoints  # noqa: PLC0415 - see above

    endpoints = sections.endpoints
    follower, leader = (
        _rendering(role, section, with_endpoints(serializer.write(section), endpoints), endpoints)
        for role, section in (
            (Role.FOLLOWER, sections.follower),
            (Role.LEADER, sections.leader),
        )
    )
    return Renderings(follower, leader)


def _likely_mistakes(sections: Iterable[MappingNode]) -> Problems:
    """Return a problem for each top-level entry that is surely a mistake."""
    found = Problems()
    for section in sections:
        for name, (key, value) in entries(section).items():
            if name in _SUSPICIOUS:
                found.at(key, f"unknown key {quoted(name)}; {_SUSPICIOUS[name]}")
            elif name in _LISTS and not isinstance(value, SequenceNode) and not is_null(value):
                text = f"{name} must be a list, not {kind(value)}; write a dash before each item"
                found.at(key, text)
    return found
