"""A parser for log lines of this program, and of Prometheus 2 and 3, as logfmt or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# As strict as go-logfmt: a bare value contains no space, no = and no quote.
_FIELD = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="]*)(?: |$)')
_HEADS = {"time": ("time", "source"), "ts": ("ts", "caller")}
_OURS = "elector"


@dataclass(frozen=True)
class LogLine:
    """A log line: its ``text``, the fields of all lines, and the other ``fields``.

    ``keys`` are all keys in their order; ``level`` is in lower case; ``component`` is "" for most
    lines of Prometheus.
    """

    text: str
    keys: tuple[str, ...]
    time: str
    level: str
    source: str
    component: str
    message: str
    fields: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        """Whether this program wrote it, and not Prometheus or a library."""
        return self.component == _OURS

    def has(self, *words: str) -> bool:
        """Return whether the line contains all these words."""
        return all(word in self.text for word in words)


def read_line(text: str) -> LogLine | None:
    """Parse a line; return None for text that is no log line, such as a traceback."""
    fields = _json(text) if text.startswith("{") else _logfmt(text)
    times = [name for name in _HEADS if name in (fields or {})]
    if not fields or not times:
        return None
    time, source = _HEADS[times[0]]
    keys = tuple(fields)
    return LogLine(
        text=text,
        keys=keys,
        time=fields.pop(time),
        level=fields.pop("level").lower(),
        source=fields.pop(source, ""),
        component=fields.pop("component", ""),
        message=fields.pop("msg", ""),
        fields=fields,
    )


def read_log(text: str) -> Iterator[LogLine]:
    """Yield the lines of a log, without text that is no log line."""
    yield from filter(None, map(read_line, text.split("\n")))


def _json(text: str) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return fields


def _logfmt(text: str) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    at = 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if found is None or found[1] in fields:
            return None
        fields[found[1]] = json.loads(found[2]) if found[2].startswith('"') else found[2]
        at = found.end()
    return fields
