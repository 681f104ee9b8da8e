"""A gate that cannot be started is retried, whatever is short at that moment."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from typing import Any

import pytest

from wrapper.base.thread_group import ThreadGroup
from wrapper.gate import channel
from wrapper.model.events import Event, GateExited
from wrapper.options.gate_options import GateOptions
from wrapper.supervision.gate_process import GateProcess


def refuse(*_: Any, **__: Any) -> Any:
    """Be a kernel that has no more descriptors."""
    raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))


@pytest.mark.parametrize(("module", "name"), [(channel, "pair"), (subprocess, "Popen")])
def test_a_gate_that_cannot_be_started_has_exited(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: Any, name: str
) -> None:
    """It is an event, at which the plan waits and tries again; the loop goes on."""
    monkeypatch.setattr(module, name, refuse)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = GateOptions(
            listen_fd=listener.fileno(),
            control_fd=-1,
            parent_pid=os.getpid(),
            memory_bytes=1,
            identity="a",
        )
        reported: list[Event] = []
        gate = GateProcess(
            options, listener, lambda: (), reported.append, ThreadGroup(reported.append)
        )
        assert gate.start() == GateExited(1)
    assert not reported
    assert "gate cannot be started; retrying" in caplog.text
