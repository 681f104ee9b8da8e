"""Our log lines have the form of those of Prometheus, whatever its version."""

from __future__ import annotations

import re

import pytest
import requests

from tests.log_lines import LogLine, read_log
from tests.real.conftest import Start
from tests.real.fleet import own_lines
from tests.real.parts import WriteLog
from tests.real.replica import Replica
from tests.support import free_port, wait_until

# A line of Prometheus that has a component, as ours have; both 2.42 and 3.16 write it.
WITH_COMPONENT = "Start listening for connections"
HEAD = frozenset({"time", "ts", "level", "source", "caller", "component", "msg"})
ELSEWHERE = {"TZ": "Europe/Berlin"}  # Prometheus 3 writes local time, 2 does not


def form_of(line: LogLine, *, is_json: bool) -> tuple[object, ...]:
    """Return the form of a line: keys and their order, forms of time, level and source."""
    level = re.search(r'\blevel"?[:=]"?([A-Za-z]+)', line.text)
    assert level is not None
    fraction = r"\.\d{1,9}" if is_json else r"\.\d{3}"  # in JSON, 3.x writes up to nanoseconds
    time = re.sub(r"\d", "0", re.sub(fraction, ".0", line.time))
    source = re.fullmatch(r"\w+\.(go|py):\d+", line.source)
    keys = tuple(each for each in line.keys if each in HEAD)
    return keys, time, level[1].isupper(), source is not None, line.text.startswith("{")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_all_our_processes_use_the_form_of_prometheus(
    start: Start, write_log: WriteLog, form: str
) -> None:
    """Supervisor, web server and gate log in the form of Prometheus' version and --log.format."""
    leader = start_with_gate(start, "a", write_log, form)
    leader.await_leader()
    standby = start_with_gate(start, "b", write_log, form)
    standby.await_ready()
    wait_until(lambda: held_bytes(standby) > 0, 30, "its gate holds samples")
    standby.gate.terminate()
    wait_until(
        lambda: own_lines(standby, "warn", "held samples, which are lost"), 15, "the gate says so"
    )
    wait_until(lambda: own_lines(standby, "info", "listening"), 15, "the web server has started")
    lines = list(read_log(standby.log.read_text()))
    [example] = [each for each in lines if each.message == WITH_COMPONENT]
    ours = [each for each in lines if each.is_ours]
    files = {each.source.partition(":")[0] for each in ours}
    assert {"change_log.py", "app.py", "serving.py"} <= files
    expected = form_of(example, is_json=form == "json")
    assert {form_of(each, is_json=form == "json") for each in ours} == {expected}
    assert expected[-1] == (form == "json")


def start_with_gate(start: Start, name: str, write_log: WriteLog, form: str) -> Replica:
    """Start a replica with a gate, whose Prometheus uses this log format."""
    return start(
        name,
        "--remote-write-gate",
        f"--remote-write-gate-listen-address=127.0.0.1:{free_port()}",
        write_url=write_log.url(name),
        child_flags=("--log.format", form),
        environment=ELSEWHERE,
    )


def held_bytes(replica: Replica) -> int:
    """Return the size of the samples that its gate holds."""
    status = requests.get(f"{replica.api}/_elector/status", timeout=2).json()
    return sum(each["held_bytes"] for each in status["gate"]["endpoints"])


def test_the_log_level_of_prometheus_applies_to_our_lines(start: Start) -> None:
    """With Prometheus' --log.level=warn, no line of level debug or info is logged."""
    replica = start("a", child_flags=("--log.level=warn",))
    replica.await_ready()
    levels = {each.level for each in read_log(replica.log.read_text())}
    assert not levels & {"debug", "info"}


def test_log_format_overrides_the_form_of_prometheus(start: Start) -> None:
    """With --log-format, our lines have that format, whatever Prometheus' lines have."""
    replica = start("a", "--log-format=go-kit-json", "--log-level=info")
    replica.await_ready()
    ours = [each for each in read_log(replica.log.read_text()) if each.is_ours]
    assert ours
    assert all(each.text.startswith('{"') and "ts" in each.keys for each in ours)
