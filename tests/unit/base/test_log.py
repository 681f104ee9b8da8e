"""Whose word a line of the log is, and what of others' is left out."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from wrapper.base.log import LIBRARIES, Formatter

SPEAKING = """
import logging
from wrapper.base import log

log.set_up("debug")
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
def test_a_line_says_whose_it_is(logger: str, component: str) -> None:
    """What a library says is not taken for ours."""
    record = logging.makeLogRecord({"name": logger, "levelname": "ERROR", "msg": "so it is"})
    assert f" component={component} " in Formatter().format(record)


def test_libraries_tell_errors_only() -> None:
    """Whatever the level is: at debug they would tell what they send."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING], check=True, capture_output=True, text=True
    )
    said = [line.partition("component=")[2] for line in done.stderr.splitlines()]
    assert [line.split()[0] for line in said] == ["elector", "elector", "kombu", "amqp", "redis"]
    assert sum("a word of" in line for line in said) == 1
    assert {"kombu", "amqp", "redis"} <= LIBRARIES


def test_booleans_are_written_as_other_programs_write_them() -> None:
    """In logfmt as in JSON and in Prometheus' own lines."""
    record = logging.makeLogRecord({"name": "wrapper.web", "msg": "listening", "tls": False})
    assert Formatter(as_json=False).format(record).endswith(" tls=false")
