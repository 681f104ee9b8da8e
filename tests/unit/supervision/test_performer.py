"""What the performer cannot do is told, and the loop goes on."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import fields
from typing import Any

import pytest

from wrapper.base.actors import Actors
from wrapper.model.actions import ReloadPrometheus, SignalPrometheus
from wrapper.model.events import Event
from wrapper.options.settings import Notifier
from wrapper.supervision.performer import Performer, PerformerParts


class OfAnotherUser:
    """A child that takes no signals from this process."""

    pid = 7

    def send_signal(self, _number: int) -> None:
        """Refuse, as the kernel does."""
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def performer(reported: list[Event], **parts: Any) -> Performer:
    """Return a performer that has only these parts, and a notifier that sends SIGHUP."""
    none: dict[str, Any] = dict.fromkeys(field.name for field in fields(PerformerParts))
    given = none | {"notifier": Notifier("", "POST", 1.0)} | parts
    return Performer(PerformerParts(**given), reported.append, Actors(reported.append))


def test_a_prometheus_that_takes_no_signals_is_told_once_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A reload is repeated; neither it nor a stop ends the loop."""
    acting = performer([], child=OfAnotherUser())
    for _ in range(3):
        acting.perform(ReloadPrometheus("a"))
    acting.perform(SignalPrometheus(signal.SIGTERM))
    reasons = [vars(record)["reason"] for record in caplog.records]
    assert [reason.partition(" cannot")[0] for reason in reasons] == ["signal 1", "signal 15"]
