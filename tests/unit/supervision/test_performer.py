"""Failures of the performer are logged or reported, and the loop goes on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.support import refuse_threads
from wrapper.base.thread_group import ThreadGroup
from wrapper.election import step_down_pause
from wrapper.model.actions import (
    Exit,
    ReadPause,
    ReloadPrometheus,
    SaveRenderings,
    SignalPrometheus,
    StartWeb,
)
from wrapper.model.events import (
    Event,
    PauseRead,
    ReloadAnswered,
    RenderingsSaved,
    WebExited,
)
from wrapper.options.settings import Notifier
from wrapper.supervision.performer import Output, Performer, PerformerParts
from wrapper.supervision.shutdown import FAILED


class ForeignChild:
    """A child of another user, which this process cannot signal."""

    pid = 7

    def poll(self) -> None:
        """Report that the child still runs."""

    def send_signal(self, _number: int) -> None:
        """Fail as the kernel does."""
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def performer(reported: list[Event], **parts: Any) -> Performer:
    """Return a performer with only these parts, and a notifier that sends SIGHUP."""
    none: dict[str, Any] = dict.fromkeys(field.name for field in fields(PerformerParts))
    given = none | {"notifier": Notifier("", "POST", 1.0)} | parts
    return Performer(PerformerParts(**given), reported.append, ThreadGroup(reported.append))


def test_failed_signal_is_logged_once_for_each_signal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If Prometheus cannot be signalled, one line per signal is logged, and the loop goes on."""
    acting = performer([], child=ForeignChild())
    for _ in range(3):
        acting.perform(ReloadPrometheus("a"))
    acting.perform(SignalPrometheus(signal.SIGTERM))
    reasons = [vars(record)["reason"] for record in caplog.records]
    assert [reason.partition(" cannot")[0] for reason in reasons] == ["signal 1", "signal 15"]


def test_prometheus_that_outlives_this_program_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """If Prometheus could not be killed before the exit, the log gives the reason."""
    acting = performer([], child=ForeignChild())
    acting.perform(SignalPrometheus(signal.SIGKILL))
    acting.perform(Exit(FAILED))
    assert acting.exit_status == FAILED
    last = caplog.records[-1]
    assert last.getMessage() == "exiting, although Prometheus has not exited after SIGKILL"
    assert "start this program as the user" in vars(last)["reason"]


def test_action_without_a_thread_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, the action is reported as failed, so that the plan repeats it.

    A pause is read without a thread.
    """
    reported: list[Event] = []
    output = tmp_path / "prometheus.yml"
    renderings: Any = object()
    by_http = Notifier("http://127.0.0.1:9/-/reload", "POST", 1.0)
    acting = performer(reported, notifier=by_http, output=Output(output, 0o600))
    step_down_pause.write(step_down_pause.path_of(output), 60)
    refuse_threads(monkeypatch)
    acting.perform(SaveRenderings(renderings))
    acting.perform(ReloadPrometheus("a"))
    acting.perform(ReadPause())
    saved, answered, read = reported
    assert isinstance(saved, RenderingsSaved)
    assert saved.renderings is renderings
    assert "no thread" in saved.problem
    assert isinstance(answered, ReloadAnswered)
    assert (answered.fingerprint, answered.status, answered.was_sent) == ("a", 0, False)
    assert "no thread" in answered.problem
    assert isinstance(read, PauseRead)
    assert read.pause is not None


def test_web_server_without_a_watching_thread_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can watch the web server, it is killed, so that its start is retried."""
    started = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"], process_group=0))
        return started[0]

    acting = performer([], start_web=start)
    refuse_threads(monkeypatch)
    assert acting.perform(StartWeb()) == WebExited(1)
    assert started[0].wait(20) == -signal.SIGKILL
