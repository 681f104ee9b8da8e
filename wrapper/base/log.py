"""What the program writes: logs on standard error (logfmt or JSON), and the lines of commands."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

# Libraries that log only errors: this program logs their problems itself, once and with the cure.
# The rest is noise ("Restoring 2 unacknowledged message(s)"), or contains what they send.
LIBRARIES = frozenset({"amqp", "kombu", "kubernetes", "push_response", "redis", "urllib3"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Formatter(logging.Formatter):
    """Writes a record's time, level, source, message and its ``extra`` fields."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Choose JSON or logfmt."""
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(fields, default=str, ensure_ascii=False)
        return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(record.created, UTC)
    fields: dict[str, Any] = {
        "ts": stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z",
        "level": "warn" if record.levelno == logging.WARNING else record.levelname.lower(),
        "component": _component(record.name),
        "msg": record.getMessage(),
    }
    fields.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
    return fields


def _component(logger: str) -> str:
    """Return the source: the library that logged the line, or this program."""
    first = logger.partition(".")[0]
    return first if first in LIBRARIES else "elector"


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    is_plain = text and not any(c.isspace() or c in '="\\' or not c.isprintable() for c in text)
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def say_problems(problems: Iterable[str]) -> None:
    """Print problems on standard error, a line for each."""
    for problem in problems:
        say(f"prometheus-elector: {problem}", sys.stderr)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line of a command's, on standard output by default; a closed pipe is no error."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # the reader has enough (``| head``): the rest goes nowhere
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def set_up(level: str, *, as_json: bool = False) -> None:
    """Send the program's logs to standard error from ``level`` on (debug, info, warn, error)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": logging.WARNING}.get(level, level.upper()))
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.ERROR)
