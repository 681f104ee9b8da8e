"""A gate that cannot be started is retried, whichever resource is missing."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import refuse_threads
from wrapper.base.thread_group import ThreadGroup
from wrapper.gate import channel
from wrapper.model.events import Event, GateExited
from wrapper.options.gate_options import GateOptions
from wrapper.supervision.gate_process import GateProcess


def refuse(*_: Any, **__: Any) -> Any:
    """Fail as a kernel that has no more descriptors."""
    raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give the gate's listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def gate_of(listener: socket.socket, reported: list[Event]) -> GateProcess:
    """Return a gate that has not been started."""
    options = GateOptions(
        listen_fd=listener.fileno(),
        control_fd=-1,
        parent_pid=os.getpid(),
        memory_bytes=1,
        identity="a",
    )
    return GateProcess(options, listener, lambda: (), reported.append, ThreadGroup(reported.append))


@pytest.mark.parametrize(("module", "name"), [(channel, "pair"), (subprocess, "Popen")])
def test_gate_that_cannot_be_started_counts_as_exited(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: Any,
    name: str,
) -> None:
    """If the gate cannot be started, an exit is reported, so that the plan waits and retries."""
    monkeypatch.setattr(module, name, refuse)
    reported: list[Event] = []
    assert gate_of(listener, reported).start() == GateExited(1)
    assert not reported
    assert "gate cannot be started; retrying" in caplog.text


def test_gate_without_a_watching_thread_is_killed(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can watch the gate, it is killed and counts as exited, so that it is retried."""
    started = []
    popen = subprocess.Popen

    def start(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
        started.append(popen(["sleep", "60"], process_group=0))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    refuse_threads(monkeypatch)
    reported: list[Event] = []
    assert gate_of(listener, reported).start() == GateExited(1)
    assert started[0].wait(20) == -signal.SIGKILL
    assert not reported
