"""Performs the plan's actions without blocking the loop.

An action that cannot block (a signal, a timer, a new stance) is performed at once. An action that
may block (a write to a slow disk, a reload over HTTP) runs in a thread, which reports its result as
an event.
"""

from __future__ import annotations

import logging
import queue
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wrapper.base import clock, files, process
from wrapper.base.process import DeadMansSwitch
from wrapper.base.thread_group import ThreadGroup
from wrapper.configuration.input_watch import InputWatch
from wrapper.configuration.last_good import LastGood
from wrapper.configuration.redact import message_without_secrets
from wrapper.election import step_down_pause
from wrapper.election.elector import Elector
from wrapper.election.pod_label_updater import PodLabelUpdater
from wrapper.model.actions import (
    Action,
    AnswerReload,
    ArmSwitch,
    DisarmSwitch,
    Exit,
    KillGate,
    LabelPod,
    OrderGate,
    ReadConfiguration,
    ReadPause,
    ReloadPrometheus,
    SaveRenderings,
    SignalPrometheus,
    StartGate,
    StartWeb,
    StopWeb,
    WriteRendering,
)
from wrapper.model.configuration import Rendering, SavedRenderings
from wrapper.model.events import (
    Event,
    PauseRead,
    ReloadAnswered,
    RenderingsSaved,
    RenderingWritten,
    WebExited,
    WebStarted,
    WriteFailed,
)
from wrapper.model.gate import Marks
from wrapper.model.roles import Stance
from wrapper.options.settings import Notifier
from wrapper.supervision.gate_process import GateProcess
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.sensors import LoadedSensor

if TYPE_CHECKING:
    from wrapper.supervision.reload_requests import ReloadRequests

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """The output file and its permission bits."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class PerformerParts:
    """The parts that the performer acts on; a part is None if this replica does not have it."""

    child: subprocess.Popen[bytes] | None
    switch: DeadMansSwitch | None
    elector: Elector | None
    labeller: PodLabelUpdater | None
    loaded: LoadedSensor | None
    reloads: ReloadRequests | None
    inputs: InputWatch
    output: Output
    last_good: LastGood
    notifier: Notifier
    api: PrometheusApi
    start_web: Callable[[], subprocess.Popen[bytes]] | None
    gate: GateProcess | None = None


class Performer:
    """Performs actions; ``report`` receives the resulting events.

    ``exit_status`` is None until an ``Exit`` was performed. ``re_executes`` is that of the
    ``Exit``.
    """

    def __init__(
        self, parts: PerformerParts, report: Callable[[Event], None], threads: ThreadGroup
    ) -> None:
        """Start the thread that writes the output file."""
        self._parts = parts
        self._report = report
        self._threads = threads
        self._web: subprocess.Popen[bytes] | None = None
        self._writes: queue.SimpleQueue[Rendering | None] = queue.SimpleQueue()
        self._written: Rendering | None = None
        self._signal_problem = ""
        self.exit_status: int | None = None
        self.re_executes = False
        threads.start("writer", self._write_all, end=lambda: self._writes.put(None))

    def perform(self, action: Action) -> Event | None:
        """Perform an action, or start it in a thread; return its event if it is already known."""
        match action:
            case ArmSwitch() | DisarmSwitch():
                self._set_switch(action)
            case WriteRendering() | SaveRenderings():
                self._store(action)
            case ReloadPrometheus(fingerprint):
                self._reload(fingerprint)
            case SignalPrometheus(number, reason):
                self._signal(number, reason)
            case ReadConfiguration() | ReadPause():
                self._read(action)
            case LabelPod(is_on):
                self._label(is_on=is_on)
            case AnswerReload():
                self._answer_reload(action)
            case StartWeb() | StopWeb():
                return self._control_web(action)
            case Exit(status, re_executes):
                self._log_survivor()
                self.exit_status, self.re_executes = status, re_executes
            case _:
                return self._control_gate(action)
        return None

    def instruct(self, stance: Stance, now: float, marks: Marks) -> None:
        """Give the elector its stance for this round of the loop, and the marks to write."""
        if self._parts.elector is not None:
            self._parts.elector.instruct(stance, now, marks)

    def want_evidence(self, is_wanted: bool) -> None:
        """Start or stop the queries of what Prometheus has loaded."""
        if self._parts.loaded is not None:
            self._parts.loaded.want(is_wanted)

    def _read(self, action: ReadConfiguration | ReadPause) -> None:
        if isinstance(action, ReadConfiguration):
            self._parts.inputs.look()
        else:
            # Without a thread, it is read here: it is a small local file.
            self._start("read-pause", self._read_pause, lambda _problem: self._read_pause())

    def _read_pause(self) -> PauseRead:
        return PauseRead(step_down_pause.read(step_down_pause.path_of(self._parts.output.path)))

    def _start(self, name: str, work: Callable[[], Event], failed: Callable[[str], Event]) -> None:
        """Do work in a thread, and report its event; if there is no thread, that of ``failed``."""
        try:
            self._threads.start(name, lambda: self._report(work()))
        except OSError as error:
            self._report(failed(str(error.strerror)))

    def _label(self, *, is_on: bool) -> None:
        if self._parts.labeller is not None:
            self._parts.labeller.order(is_on=is_on)

    def _answer_reload(self, action: AnswerReload) -> None:
        if self._parts.reloads is not None:
            self._parts.reloads.answer(action)

    def _set_switch(self, action: ArmSwitch | DisarmSwitch) -> None:
        if self._parts.switch is None:
            return
        if isinstance(action, ArmSwitch):
            self._parts.switch.arm(action.at)
        else:
            self._parts.switch.disarm()

    # --- the output file ---

    def _store(self, action: WriteRendering | SaveRenderings) -> None:
        """Write the output file in one thread, or save renderings for the next start in another."""
        if isinstance(action, WriteRendering):
            self._writes.put(action.rendering)
            return
        renderings = action.renderings
        self._start("keep", lambda: self._save(renderings), partial(RenderingsSaved, renderings))

    def _write_all(self) -> None:
        for rendering in iter(self._writes.get, None):
            self._report(self._write(rendering))

    def _write(self, rendering: Rendering) -> RenderingWritten | WriteFailed:
        output = self._parts.output
        try:
            files.write_if_changed(output.path, rendering.content, output.mode)
        except OSError as error:
            return WriteFailed(rendering, f"{output.path}: {error.strerror}")
        self._written = rendering
        return RenderingWritten(rendering)

    def _save(self, renderings: SavedRenderings) -> RenderingsSaved:
        try:
            self._parts.last_good.save(renderings)
        except OSError as error:
            problem = f"{self._parts.last_good.follower}: {error.strerror or error}"
            return RenderingsSaved(renderings, problem)
        return RenderingsSaved(renderings)

    # --- Prometheus ---

    def _reload(self, fingerprint: str) -> None:
        if self._parts.loaded is not None:
            self._parts.loaded.hurry()
        if self._parts.notifier.url:
            self._start(
                "reload",
                lambda: self._post(fingerprint),
                lambda problem: ReloadAnswered(
                    fingerprint, clock.now(), 0, problem, was_sent=False
                ),
            )
        elif self._parts.child is not None:
            self._send(self._parts.child, signal.SIGHUP)

    def _post(self, fingerprint: str) -> ReloadAnswered:
        notifier = self._parts.notifier
        sent_at = clock.now()
        answer = self._parts.api.reload(notifier.method, notifier.url, notifier.timeout_s)
        duration_s = clock.now() - sent_at
        problem = answer.detail
        if problem and answer.status and self._written is not None:
            # Prometheus may quote the configuration, with its secrets.
            problem = message_without_secrets(self._written.content, problem)
        return ReloadAnswered(fingerprint, sent_at, answer.status, problem, duration_s)

    def _signal(self, number: int, reason: str) -> None:
        if self._parts.child is None:
            return
        if number == signal.SIGKILL:
            LOG.error("killing Prometheus", extra={"reason": reason})
        elif reason:
            LOG.info("stopping Prometheus", extra={"reason": reason})
        self._send(self._parts.child, number)

    def _send(self, child: subprocess.Popen[bytes], number: int) -> None:
        """Send a signal to Prometheus; log once if that is not permitted."""
        problem = process.send_signal(child, number)
        if problem and problem != self._signal_problem:
            LOG.error("Prometheus can be neither reloaded nor stopped", extra={"reason": problem})
        self._signal_problem = problem

    def _log_survivor(self) -> None:
        """Log if Prometheus still runs when this program exits."""
        child = self._parts.child
        if child is not None and child.poll() is None:
            guess = "it still frees its memory, or waits inside the kernel, usually for a disk"
            extra = {"pid": child.pid, "reason": self._signal_problem or guess}
            LOG.error("exiting, although Prometheus has not exited after SIGKILL", extra=extra)

    # --- the web server ---

    def _control_web(self, action: StartWeb | StopWeb) -> Event | None:
        if isinstance(action, StartWeb) and self._parts.start_web is not None:
            return self._start_web(self._parts.start_web)
        if isinstance(action, StopWeb) and self._web is not None:
            process.send_signal(self._web, signal.SIGTERM)
        return None

    def _start_web(self, start: Callable[[], subprocess.Popen[bytes]]) -> Event:
        try:
            web = self._web = start()
            self._watch_web(web)
        except OSError as error:
            LOG.error("web server cannot be started; retrying", extra={"reason": str(error)})  # noqa: TRY400
            return WebExited(1)
        return WebStarted(web.pid)

    def _watch_web(self, web: subprocess.Popen[bytes]) -> None:
        """Start the thread that reports its exit; if there is no thread, kill it and raise."""
        try:
            self._threads.start("wait-web", lambda: self._report_web_exit(web.wait()))
        except OSError:
            process.kill_group(web)
            raise

    def _report_web_exit(self, status: int) -> None:
        if status not in {0, -signal.SIGTERM}:
            hung = {"reason": "it did not respond"} if status == -signal.SIGALRM else {}
            LOG.warning("web server exited", extra={"status": status, **hung})
        self._report(WebExited(status))

    def leave_nothing(self) -> None:
        """Kill all processes of the web server and the gate that still run."""
        if self._web is not None:
            process.kill_group(self._web)
        if self._parts.gate is not None:
            self._parts.gate.leave_nothing()

    # --- the gate ---

    def _control_gate(self, action: Action) -> Event | None:
        gate = self._parts.gate
        if gate is None:
            return None
        match action:
            case StartGate():
                return gate.start()
            case OrderGate(order):
                gate.order(order)
            case KillGate(reason):
                gate.kill(reason)
        return None
