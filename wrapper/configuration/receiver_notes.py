"""Finds entries of remote_write whose receiver, judged by its URL, may refuse or drop them; pure.

The path of the URL identifies the kind of receiver if no other kind has that path. If several kinds
have it, the note is not sure (``is_sure``), and says which of them fail. An entry that is not known
to fail has no note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from wrapper.configuration.client_files import REMOTE_WRITE
from wrapper.documents.problems import Problem
from wrapper.documents.source_spans import whole_items
from wrapper.documents.yaml_nodes import value_of

_PROTOCOL_2 = "io.prometheus.write.v2.Request"


class ReceiverNote(NamedTuple):
    """A line ``NAME:LINE:COLUMN: cause; cure`` about an entry; it contains none of its values."""

    line: str
    is_sure: bool


_OTLP = (
    "by its path the receiver accepts OTLP, not remote_write; use its remote_write path, for "
    "example /api/v1/write"
)
# What is known for every protocol, and whether it is sure. A proxy may add any path before the
# receiver's path, and its own path may end like a receiver's.
_ALWAYS = {
    re.compile(r"/loki/api/v1/push$"): (
        (
            "by its path the receiver is Loki, which accepts logs, not remote_write; use the URL "
            "of a metrics receiver"
        ),
        True,
    ),
    re.compile(r"^(.*/(otlp|opentelemetry))?/v1/metrics$"): (_OTLP, True),
    re.compile(r"/v1/metrics$"): (
        (
            "by its path this may be an OTLP receiver, which does not accept remote_write; if so, "
            "use its remote_write path, for example /api/v1/write"
        ),
        False,
    ),
}
# What is known for protocol 2 (protobuf_message), and whether it is sure.
_OF_2 = {
    re.compile(r"/insert/[^/]+/prometheus(/api/v1/(write|push))?$"): (
        (
            "by its path the receiver is VictoriaMetrics, which answers 204 to protocol 2 "
            "(protobuf_message) but stores nothing (seen with 1.151); remove protobuf_message"
        ),
        True,
    ),
    re.compile(r"/api/v1/write$"): (
        (
            "a receiver with this path stores protocol 2 (protobuf_message) if it is a Prometheus "
            "from 2.54 on; an older one, and VictoriaMetrics (seen with 1.151), answer 204 but "
            "store nothing: then remove protobuf_message"
        ),
        False,
    ),
    re.compile(r"/api/v1/push$"): (
        (
            "a receiver with this path may refuse protocol 2 (protobuf_message), and Prometheus "
            "drops what is refused: Cortex answers 415 (seen with 1.21) unless it is started with "
            "-distributor.remote-writev2-enabled; enable it, or remove protobuf_message"
        ),
        False,
    ),
    re.compile(r"/api/v1/receive$"): (
        (
            "by its path the receiver is Thanos, which answers 200 to protocol 2 "
            "(protobuf_message) but stores nothing (seen with 0.42); remove protobuf_message"
        ),
        True,
    ),
}


def receiver_notes(section: MappingNode) -> Iterator[ReceiverNote]:
    """Yield a note for each entry of ``remote_write`` that its receiver may refuse."""
    items = value_of(section, REMOTE_WRITE)
    if not isinstance(items, SequenceNode):
        return
    for item, entry in whole_items(items):
        if isinstance(entry, MappingNode) and (found := _known_of(entry)):
            text, is_sure = found
            yield ReceiverNote(str(Problem.at(item, text)), is_sure)


def _known_of(entry: MappingNode) -> tuple[str, bool] | None:
    """Return what is known of the entry's receiver, and whether it is sure."""
    path, protocol = _path(entry), value_of(entry, "protobuf_message")
    is_2 = isinstance(protocol, ScalarNode) and protocol.value == _PROTOCOL_2
    all_known = (*_ALWAYS.items(), *(_OF_2.items() if is_2 else ()))
    return next((known for pattern, known in all_known if pattern.search(path)), None)


def _path(entry: MappingNode) -> str:
    url = value_of(entry, "url")
    try:
        return urlsplit(url.value).path.rstrip("/") if isinstance(url, ScalarNode) else ""
    except ValueError:  # Prometheus refuses it
        return ""
