"""Formats log lines like those of Prometheus, since both are in one stream; pure.

Prometheus 3 writes ``time``, ``level``, ``source`` and ``msg``, in local time (Go's log/slog).
Prometheus 2 writes ``ts``, ``caller``, ``level`` and ``msg``, in UTC (go-kit/log).

Guarantee: a record is one line, whatever its values contain.

Limitation: a control character is written as in JSON in all forms, since some readers of logfmt
(Loki's) do not accept what slog writes for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LAST_OF_FOUR_DIGITS = 0xFFFF


class Form(StrEnum):
    """A form of log lines: ``go-kit`` is that of Prometheus 2, the others are of Prometheus 3."""

    LOGFMT = "logfmt"
    JSON = "json"
    GO_KIT_LOGFMT = "go-kit-logfmt"
    GO_KIT_JSON = "go-kit-json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The content of a line. ``level`` is debug, info, warn or error; ``time`` is local."""

    time: datetime
    level: str
    source: str
    component: str
    message: str
    fields: Mapping[str, object]


def written(line: Line, form: Form) -> str:
    """Return the line in this form, without a line break at its end."""
    match form:
        case Form.LOGFMT:
            return _logfmt(_slog(line, "milliseconds"))
        case Form.JSON:
            return _json(_slog(line, "microseconds"))
        case Form.GO_KIT_LOGFMT:
            return _logfmt(_go_kit(line))
        case Form.GO_KIT_JSON:
            return _json(dict(sorted(_go_kit(line).items())))


def _slog(line: Line, timespec: str) -> dict[str, object]:
    return {
        "time": _rfc3339(line.time, timespec),
        "level": line.level.upper(),
        "source": line.source,
        "msg": line.message,
        "component": line.component,
        **line.fields,
    }


def _go_kit(line: Line) -> dict[str, object]:
    return {
        "ts": _rfc3339(line.time.astimezone(UTC), "milliseconds"),
        "caller": line.source,
        "level": line.level,
        "component": line.component,
        "msg": line.message,
        **line.fields,
    }


def _rfc3339(time: datetime, timespec: str) -> str:
    text = time.isoformat(timespec=timespec)
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _logfmt(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _quoted(value: object) -> str:
    """Return a value as both Go libraries write it: in quotes if it could be misread."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text and all(char.isprintable() and char not in ' ="' for char in text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable() or ord(char) > _LAST_OF_FOUR_DIGITS:
        return char
    return f"\\u{ord(_valid(char)):04x}"


def _json(fields: Mapping[str, object]) -> str:
    values = {name: _plain(value) for name, value in fields.items()}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _plain(value: object) -> object:
    """Return a value that JSON has: a number, a boolean or null as such, anything else as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def _valid(char: str) -> str:
    """Return U+FFFD, as Go does, for a surrogate, which is no character; else the character."""
    return "\ufffd" if "\ud800" <= char <= "\udfff" else char
