"""Writes logs to standard error, and the lines of commands to standard output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TextIO

from wrapper.base import clock
from wrapper.base.line_limit import LineLimit
from wrapper.base.log_form import Form, Line, written
from wrapper.base.log_output import LogOutput

# Of these libraries, only errors are logged. This program itself logs their problems, once and with
# the cure. Their other lines are noise ("Restoring 2 unacknowledged message(s)"), or contain what
# they send.
LIBRARIES = frozenset({"amqp", "kombu", "kubernetes", "push_response", "redis", "urllib3"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Formatter(logging.Formatter):
    """Formats a record: its time, level, source, message and ``extra`` fields."""

    def __init__(self, form: Callable[[], Form]) -> None:
        """Take the function that returns the form, called for each line; the first may block."""
        super().__init__()
        self.form = form

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        return written(self._line(record), self.form())

    def _line(self, record: logging.LogRecord) -> Line:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return Line(
            time=datetime.fromtimestamp(record.created, UTC).astimezone(),
            level=_level(record.levelno),
            source=f"{record.filename}:{record.lineno}",
            component=_component(record.name),
            message=record.getMessage(),
            fields=fields,
        )


class Handler(logging.Handler):
    """Writes records as lines. Lines that nobody reads are dropped, so that nothing waits for them.

    The next line has the field ``lines_dropped`` with their number.
    """

    def __init__(self, output: LogOutput) -> None:
        """Take the output, which only this handler uses."""
        super().__init__()
        self._output = output
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it."""
        if self._dropped:
            record.lines_dropped = self._dropped
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - as in logging: a mistake in a line does not end a thread
            self.handleError(record)
            return
        is_written = self._output.write(line.encode(errors="backslashreplace"))
        self._dropped = 0 if is_written else self._dropped + 1


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def _component(logger: str) -> str:
    """Return the component that logged the line: a library, or this program."""
    first = logger.partition(".")[0]
    return first if first in LIBRARIES else "elector"


def limited(logger: logging.Logger) -> logging.Logger:
    """Limit how often this logger writes one message with one ``status``; see ``line_limit``.

    A line has the field ``lines_left_out`` if others like it were left out before it. For messages
    that clients can cause. Only one thread may use the logger.
    """
    limit = LineLimit()

    def admit(record: logging.LogRecord) -> bool:
        left_out = limit.left_out_before((record.msg, vars(record).get("status")), clock.now())
        if left_out:
            record.lines_left_out = left_out
        return left_out is not None

    logger.addFilter(admit)
    return logger


def say_problems(problems: Iterable[str]) -> None:
    """Print problems on standard error, one line each."""
    for problem in problems:
        say(f"prometheus-elector: {problem}", sys.stderr)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a command's text, by default to standard output. A closed pipe is no error."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # the reader has ended (``| head``): the rest is discarded
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def form_in_use() -> Form:
    """Return the form of log lines, for this program's other processes; may block at first."""
    formatter = logging.getLogger().handlers[0].formatter
    return formatter.form() if isinstance(formatter, Formatter) else Form.LOGFMT


def set_up(level: str, form: Callable[[], Form]) -> None:
    """Log to standard error from this level on (debug, info, warn or error)."""
    handler = _handler()
    handler.setFormatter(Formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"warn": logging.WARNING}.get(level, level.upper()))
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.ERROR)


def _handler() -> logging.Handler:
    try:
        return Handler(LogOutput(sys.stderr.fileno()))
    except (AttributeError, OSError):  # it was closed at the start, or has no descriptor
        return logging.StreamHandler()
