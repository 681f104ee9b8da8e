"""The component, level and source of a log line, and which lines of libraries are left out."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layers import ROOT
from tests.log_lines import read_log
from wrapper.base.log import LIBRARIES, Formatter, Handler
from wrapper.base.log_form import Form
from wrapper.base.log_output import LogOutput

SPEAKING = """
import logging
from wrapper.base import log
from wrapper.base.log_form import Form

log.set_up("debug", lambda: Form.LOGFMT)
for name in ("wrapper.targets.target_queue", "kombu.transport.virtual.base", "amqp", "redis"):
    logging.getLogger(name).info("a word of %s", name)
    logging.getLogger(name).error("an error of %s", name)
"""


@pytest.mark.parametrize(
    ("logger", "component"),
    [
        ("wrapper.supervision.supervisor", "elector"),
        ("__main__", "elector"),
        ("root", "elector"),
        ("kombu.transport.virtual.base", "kombu"),
        ("amqp.connection.Connection.heartbeat_tick", "amqp"),
        ("urllib3.connectionpool", "urllib3"),
    ],
)
def test_line_names_its_component(logger: str, component: str) -> None:
    """A line of a library names the library, so that it is not taken for ours."""
    record = logging.makeLogRecord({"name": logger, "levelno": 40, "msg": "so it is"})
    [line] = read_log(Formatter(lambda: Form.LOGFMT).format(record))
    assert line.component == component


def test_libraries_log_errors_only() -> None:
    """At any level, libraries log errors only: at debug they would log what they send."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING], check=True, capture_output=True, text=True
    )
    said = list(read_log(done.stderr))
    assert [line.component for line in said] == ["elector", "elector", "kombu", "amqp", "redis"]
    assert sum("a word of" in line.message for line in said) == 1
    assert {"kombu", "amqp", "redis"} <= LIBRARIES


@pytest.mark.parametrize(
    ("number", "level"),
    [(10, "debug"), (20, "info"), (30, "warn"), (40, "error"), (50, "error")],
)
def test_levels_are_those_of_prometheus(number: int, level: str) -> None:
    """Python's levels become those of Prometheus, which has no critical one."""
    record = logging.makeLogRecord({"levelno": number, "name": "wrapper"})
    [line] = read_log(Formatter(lambda: Form.GO_KIT_JSON).format(record))
    assert line.level == level


def test_line_has_its_place_in_the_code() -> None:
    """A line has its file and line number, as in Prometheus."""
    record = logging.makeLogRecord(
        {"levelno": 40, "name": "wrapper", "filename": "plan.py", "lineno": 7}
    )
    [line] = read_log(Formatter(lambda: Form.LOGFMT).format(record))
    assert line.source == "plan.py:7"


def test_traceback_stays_in_the_line() -> None:
    """A traceback is a field of its line."""
    error = ValueError("it's so")
    fields = {"levelno": 40, "name": "wrapper", "exc_info": (ValueError, error, None)}
    record = logging.makeLogRecord(fields)
    [line] = read_log(Formatter(lambda: Form.LOGFMT).format(record))
    assert line.fields["traceback"].endswith("ValueError: it's so")


def test_next_line_has_the_number_of_dropped_lines() -> None:
    """If lines were dropped because nobody read them, the next line has their number."""
    reading, writing = os.pipe()
    handler = Handler(LogOutput(writing))
    handler.setFormatter(Formatter(lambda: Form.LOGFMT))
    text = b""
    for number in range(3000):
        handler.handle(
            logging.makeLogRecord({"levelno": 20, "name": "wrapper", "msg": str(number)})
        )
    text += os.read(reading, 1 << 20)
    for number in (3000, 3001):
        handler.handle(
            logging.makeLogRecord({"levelno": 20, "name": "wrapper", "msg": str(number)})
        )
    text += os.read(reading, 1 << 20)
    os.close(reading)
    os.close(writing)
    lines = list(read_log(text.decode()))
    written = len(lines) - 2
    assert [each.message for each in lines] == [*map(str, range(written)), "3000", "3001"]
    dropped = [each.fields.get("lines_dropped") for each in lines]
    assert dropped == [None] * written + [str(3000 - written), None]


def test_no_field_of_a_message_replaces_a_common_field() -> None:
    """In each format, a message's own fields have names other than the common fields."""
    taken = {"time", "ts", "level", "source", "caller", "component", "msg", "traceback"}
    named = {
        (path.name, name) for path in (ROOT / "wrapper").rglob("*.py") for name in _extra(path)
    }
    assert {name for _, name in named} > {"reason", "file", "wal_replay", "identity"}
    assert not {each for each in named if each[1] in taken}


def _extra(path: Path) -> Iterator[str]:
    """Yield the keys of all literals in a module that passes fields to its log."""
    tree = ast.parse(path.read_text())
    if not any(isinstance(node, ast.keyword) and node.arg == "extra" for node in ast.walk(tree)):
        return
    for node in ast.walk(tree):
        keys = node.keys if isinstance(node, ast.Dict) else [getattr(node, "slice", None)]
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value
