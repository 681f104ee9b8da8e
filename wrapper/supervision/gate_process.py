"""Starts the gate's process, sends orders to it, and forwards its reports to the loop as events.

Guarantee: the listening socket stays open while the gate restarts, so requests wait for the next
process. The gate inherits the locks, as Prometheus does, so they are free only when it has exited.

Limitation: the samples that a gate holds are lost when its process ends.
"""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace

from wrapper.base import clock, process
from wrapper.base.thread_group import ThreadGroup
from wrapper.gate import channel
from wrapper.model.events import Event, GateExited, GateReported, GateStarted
from wrapper.model.gate import GateOrder
from wrapper.options.gate_options import GateOptions

LOG = logging.getLogger(__name__)


class GateProcess:
    """The gate's process. Only the main thread may call the methods.

    The kernel kills the process when the thread that started it ends.
    """

    def __init__(
        self,
        options: GateOptions,
        listener: socket.socket,
        locks: Callable[[], tuple[int, ...]],
        report: Callable[[Event], None],
        threads: ThreadGroup,
    ) -> None:
        """Store the parts; ``start`` starts the process.

        ``listener`` is the listening socket, which stays open in this process. ``locks`` returns
        the descriptors of the locks that the gate inherits. ``report`` receives events.
        """
        self._options = replace(options, listen_fd=listener.fileno())
        self._listener = listener
        self._locks = locks
        self._report = report
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._end: socket.socket | None = None

    def start(self) -> Event:
        """Start the process; return the event GateStarted, or GateExited if the start failed."""
        try:
            gate, ours = self._started()
        except OSError as error:
            LOG.error("gate cannot be started; retrying", extra={"reason": str(error)})  # noqa: TRY400
            return GateExited(1)
        self._process, self._end = gate, ours
        return GateStarted(gate.pid, clock.wall())

    def _started(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start the process; return it and our end of the channel; raise OSError."""
        ours, its = channel.pair()
        try:
            with its:
                gate = self._start_process(its)
            self._start_watch(gate, ours)
        except OSError:
            ours.close()
            raise
        return gate, ours

    def _start_process(self, its: socket.socket) -> subprocess.Popen[bytes]:
        options = replace(self._options, control_fd=its.fileno())
        return subprocess.Popen(
            options.command(),
            pass_fds=(options.listen_fd, options.control_fd, *self._locks()),
            process_group=0,
        )

    def _start_watch(self, gate: subprocess.Popen[bytes], ours: socket.socket) -> None:
        """Start the thread that watches the process; if there is no thread, kill it and raise."""
        try:
            self._threads.start("wait-gate", lambda: self._watch(gate, ours))
        except OSError:
            process.kill_group(gate)
            raise

    def order(self, order: GateOrder) -> None:
        """Send an order; log a warning if the gate has exited or hangs, so that it is not sent."""
        if self._end is not None and not channel.send(self._end, order):
            LOG.warning("gate does not take orders", extra={"order": order.number})

    def kill(self, reason: str) -> None:
        """Kill the process: after that, no request is in flight."""
        if self._process is not None:
            LOG.error("killing the gate", extra={"reason": reason})
            process.send_signal(self._process, signal.SIGKILL)

    def leave_nothing(self) -> None:
        """Kill all processes of the gate that still run."""
        if self._process is not None:
            process.kill_group(self._process)

    def _watch(self, gate: subprocess.Popen[bytes], end: socket.socket) -> None:
        """Forward its reports until it closes its end of the channel, then report its exit."""
        while (report := channel.receive_report(end)) is not None:
            self._report(GateReported(gate.pid, report))
        self._report(GateExited(gate.wait()))
