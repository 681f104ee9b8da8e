"""Routes the leader's ``remote_write`` through the gate, in both roles' sections; pure.

Each entry that the overrides add is written to both sections, with the gate's URL. The fields that
concern the connection to the receiver are moved from the entry to an ``Endpoint``. All other fields
stay as written. The entries of the follower's part are not changed.

Limitation: an entry with ``sigv4`` cannot go through the gate, because it signs its requests for
the receiver's host and path. It stays in the leader's section alone, and a note reports this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wrapper.access.remote_write_client import FIELDS, read_client
from wrapper.base.durations import parse_prometheus_duration, prometheus_duration
from wrapper.base.url_encoding import to_uri
from wrapper.configuration.client_files import REMOTE_WRITE
from wrapper.configuration.gate_notes import gate_notes
from wrapper.configuration.gate_settings import GatedSections, GateSettings, entries_of
from wrapper.configuration.patch import names_of
from wrapper.documents.problems import Problem, Problems
from wrapper.documents.yaml_fields import FieldReader
from wrapper.documents.yaml_nodes import TEXT_TAG, entries, is_null, kind, value_of, with_items
from wrapper.model.gate import Endpoint

# Prometheus waits this much longer for the gate than the gate for the receiver.
EXTRA_TIMEOUT_S = 5.0
_TIMEOUT_S, _BATCH_S, _BACKOFF_S = 30.0, 5.0, 5.0  # Prometheus' defaults
_NAME_DIGITS = 8
_SIGNED = "sigv4"
_APART = (
    "this entry does not go through the gate, because sigv4 signs the host and path of its "
    "requests: it is in the leader's configuration alone, and a failover loses samples of it"
)


def through_gate(
    base: MappingNode, merged: MappingNode, gate: GateSettings, problems: Problems
) -> GatedSections:
    """Return both sections; the entries that only ``merged`` has are routed through the gate."""
    own, items = entries_of(base), entries_of(merged)
    kept = {id(item) for item in own}
    given = [item for item in items if id(item) not in kept]
    reading = _Reading(gate, given, problems)
    gated = {id(item): node for item in given if (node := reading.gated(item)) is not None}
    if not gated:
        return GatedSections(base, merged, notes=tuple(reading.notes))
    of_follower = [*own, *gated.values()]
    of_leader = [gated.get(id(item), item) for item in items]
    _note_names(of_follower, problems)
    _note_names(of_leader, problems)
    return GatedSections(
        _with_list(base, merged, of_follower),
        _with_list(merged, merged, of_leader),
        tuple(reading.endpoints),
        (*reading.notes, *gate_notes(base, merged, gated.values(), gate)),
    )


def _with_list(section: MappingNode, merged: MappingNode, items: list[Node]) -> MappingNode:
    """Return a section with these items as its remote_write; the key's node is ``merged``'s."""
    found, (key, old) = entries(section), entries(merged)[REMOTE_WRITE]
    found[REMOTE_WRITE] = (key, with_items(old, items) if isinstance(old, SequenceNode) else old)
    return with_items(section, list(found.values()), flow_style=bool(merged.flow_style))


def _note_names(items: list[Node], problems: Problems) -> None:
    """Add a problem for each entry that has the name of an earlier one: Prometheus refuses it."""
    first: dict[str, Node] = {}
    for item in items:
        name = names_of(item).get("name")
        before = first.setdefault(name, item) if name else item
        if before is not item:
            mark = before.start_mark
            problems.at(
                item,
                f"the entry of {REMOTE_WRITE} at {mark.name}:{mark.line + 1} has this name too, "
                "and with the gate both are in the same configuration; give them different names, "
                "or remove one",
            )


class _Reading:
    """Reads the entries in their order: a generated name depends on the names before it."""

    def __init__(self, gate: GateSettings, given: list[Node], problems: Problems) -> None:
        self._gate = gate
        self._problems = problems
        self._names = {names_of(item).get("name", "") for item in given}
        self._numbers: dict[str, int] = {}  # last number used, by generated name
        self.notes: list[str] = []
        self.endpoints: list[Endpoint] = []

    def gated(self, item: Node) -> MappingNode | None:
        """Return the entry with the gate's URL; None if it cannot go there, or has problems."""
        if not isinstance(item, MappingNode):
            text = f"an entry of {REMOTE_WRITE} is a mapping, not {kind(item)}; write - url: …"
            self._problems.at(item, text)
            return None
        signature = value_of(item, _SIGNED)
        if signature is not None and not is_null(signature):
            self.notes.append(str(Problem.at(item, _APART)))
            return None
        own = Problems()
        endpoint = self._endpoint(FieldReader(item, own))
        self._problems.take(own)
        if own:
            return None
        self.endpoints.append(endpoint)
        timeout = prometheus_duration(endpoint.timeout_s + EXTRA_TIMEOUT_S)
        changed = {"url": self._gate.url_of(endpoint.name), "remote_timeout": timeout}
        return with_items(item, list(_pairs(item, changed)))

    def _endpoint(self, reader: FieldReader) -> Endpoint:
        queue = reader.section("queue_config")
        url = _url(reader)
        return Endpoint(
            self._name(reader.text("name"), url),
            url,
            _duration(reader, "remote_timeout", _TIMEOUT_S),
            _duration(queue, "batch_send_deadline", _BATCH_S),
            _duration(queue, "max_backoff", _BACKOFF_S),
            read_client(reader, self._gate.folder),
            retries_429=queue.is_on("retry_on_http_429", default=False),
        )

    def _name(self, given: str, url: str) -> str:
        """Return the entry's name, or one generated from its URL, the same in all replicas."""
        if given:
            return given
        made = name = _made_name(url)
        number = self._numbers.get(made, 1)
        while name in self._names:
            number += 1
            name = f"{made}-{number}"
        self._numbers[made] = number
        self._names.add(name)
        return name


def _pairs(item: MappingNode, changed: dict[str, str]) -> Iterator[tuple[Node, Node]]:
    """Yield the fields that stay in an entry, and those in ``changed`` with their new values."""
    left = dict(changed)
    for name, (key, value) in entries(item).items():
        if name in left:
            yield key, ScalarNode(TEXT_TAG, left.pop(name), value.start_mark, value.end_mark)
        elif name not in FIELDS:
            yield key, value
    for name, text in left.items():
        yield ScalarNode(TEXT_TAG, name), ScalarNode(TEXT_TAG, text)


def _made_name(url: str) -> str:
    """Return a name generated from a URL without its user and password, which may change."""
    parts = urlsplit(url)
    known = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return hashlib.sha256(known.encode()).hexdigest()[:_NAME_DIGITS]


def _url(reader: FieldReader) -> str:
    example = "for example http://receiver:9090/api/v1/write"
    written = reader.text("url")
    if not written and reader.has("url"):
        return ""  # it is no text; the reader has added a problem
    if not written:
        reader.add_problem("url", f"missing; write the receiver's, {example}")
        return ""
    try:
        return to_uri(written)
    except ValueError as error:
        reader.add_problem("url", f"{error}; write it whole, {example}")
        return ""


def _duration(reader: FieldReader, name: str, default_s: float) -> float:
    """Return a duration in seconds; add a problem if it is invalid or not above zero."""
    text = reader.text(name)
    if not text:
        return default_s
    try:
        seconds = parse_prometheus_duration(text)
    except ValueError as error:
        reader.add_problem(name, str(error))
        return default_s
    if not seconds:
        reader.add_problem(name, "not above zero; write a longer one, for example 5s")
    return seconds or default_s
