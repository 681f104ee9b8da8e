"""Standard error is a full pipe without a reader: processes continue, and count dropped lines.

The supervisor's part is in tests/real/test_one_machine.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.full_pipe import FullPipe, into
from tests.log_lines import read_log
from tests.process.receiving import receiving
from tests.process.running_gate import LIMIT_S, V1, RunningGate
from tests.process.test_gate_http import sent
from tests.support import wait_until
from tests.web.conftest import Web
from wrapper.base.line_limit import FIRST
from wrapper.model.gate import Endpoint

TOO_MANY = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n"


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[FullPipe]:
    """Return a named pipe that is full."""
    with FullPipe(tmp_path / "log") as full:
        yield full


def test_the_web_process_answers(pipe: FullPipe) -> None:
    """With a full log pipe, the web process answers, and later logs how many lines it dropped."""
    web = Web(run_by=into(pipe))
    try:
        for _ in range(FIRST):
            assert web.raw(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert web.get("/_elector/healthz").status_code
        pipe.empty()
        assert web.raw(TOO_MANY).startswith(b"HTTP/1.1 431")
        [line] = read_log(pipe.empty())
        assert line.fields["status"] == "431"
        assert int(line.fields["lines_dropped"]) >= FIRST
    finally:
        web.stop()


def test_the_gate_passes_batches_on(pipe: FullPipe) -> None:
    """With a full log pipe, the gate passes batches on, and later logs the dropped lines."""
    with receiving() as receiver:
        gate = RunningGate(pipe.path)
        try:
            gate.open(Endpoint("x", receiver.url))
            for _ in range(FIRST):
                assert sent(gate, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
            assert gate.post(b"a batch", V1).status_code == 204
            gate.close()
            pipe.empty()
            assert sent(gate, TOO_MANY).startswith(b"HTTP/1.1 431")
            [line] = wait_until(lambda: list(read_log(pipe.empty())), LIMIT_S, "a line")
            assert int(line.fields["lines_dropped"]) >= FIRST
        finally:
            gate.stop()
            gate.listener.close()
