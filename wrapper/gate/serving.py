"""Run the gate: obey the supervisor, serve Prometheus, send held batches, and report the state.

All greenlets use one set of rules (``gate``), which never blocks.

Guarantee: before the gate opens, a kernel timer is set that kills this process at the deadline (the
dead-man's switch). The timer is disarmed only after the gate has closed: no request is in flight,
and none is accepted.

What the rules decide for a request is done by ``request_handler``.
"""

from __future__ import annotations

import logging
import math
import signal
import socket
from collections.abc import Callable
from typing import TypeAlias

import gevent
import gevent.socket
from gevent.event import Event

from wrapper.base import clock
from wrapper.base.process import DeadMansSwitch
from wrapper.gate import channel
from wrapper.gate.decisions import Replay
from wrapper.gate.gate import Gate
from wrapper.gate.in_flight import InFlight
from wrapper.gate.receivers import Receivers
from wrapper.gate.reporting import Reporting
from wrapper.gate.request_handler import RequestHandler, wall_ms
from wrapper.gate.samples import Undecodable, span
from wrapper.gate.server import Server
from wrapper.model.gate import GateOrder
from wrapper.options.gate_options import GateOptions

LOG = logging.getLogger(__name__)
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
BACKLOG = 1024
CHECK_S = 0.25  # between checks of what changes with time
BUSY_CHECK_S = 0.05  # during a hand-over, and before a burst of batches is decoded
IDLE_CHECK_S = 1.0  # if nothing has changed since the last check; until the next request
STALL_S = 0.25  # a check that is later than this follows a stall: this process did not run
READ_S = 0.05  # time to read the requests that arrived during a stall
END_S = 1.0  # time for aborted requests to end
FAILED = 1
Loop: TypeAlias = "gevent.Greenlet[..., None]"


class Serving:
    """All greenlets of the gate's process."""

    def __init__(self, options: GateOptions) -> None:
        """Take over the inherited sockets; the kernel timer is not set yet."""
        self._gate = Gate(options.memory_bytes)
        self._in_flight = InFlight()
        self._receivers = Receivers(self._in_flight)
        self._handler = RequestHandler(
            self._gate, self._receivers, has_ended=self._request_ended, has_held=self._batch_held
        )
        self._switch = DeadMansSwitch()
        self._control = gevent.socket.socket(fileno=options.control_fd)
        reports = self._control.dup()
        reports.settimeout(0)  # with a timeout, gevent would wait for a supervisor that hangs
        self._reporting = Reporting(reports)
        listener = gevent.socket.socket(fileno=options.listen_fd)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for what it accepts
        self._server = Server(listener, self._handler)
        self._options = options
        self._senders: dict[str, Loop] = {}
        self._holds = False
        self._is_idle = False
        self._changed = Event()
        self._has_passed = Event()
        self._stop = Event()
        self._status = 0

    def run(self) -> int:
        """Serve until stopped, or until the supervisor has exited; return the exit status."""
        for number in STOPS:
            gevent.signal_handler(number, self._stop.set)
        for loop in (self._obey, self._check_periodically, self._decode):
            self._spawn(loop)
        if self._options.peers:
            self._spawn(self._ask_peers)
        self._server.start()
        self._stop.wait()
        self._server.stop()
        if self._holds:
            LOG.warning(
                "the gate stops with held samples, which are lost: the receiver may miss them"
            )
        self._gate.apply_order(GateOrder(), clock.now(), wall_ms())
        self._in_flight.abort()
        until = clock.now() + END_S
        while self._in_flight and clock.now() < until:
            gevent.sleep(0.01)
        return self._status

    def _spawn(self, loop: Callable[..., None], *arguments: str) -> Loop:
        """Run a loop in a greenlet.

        An error in it ends the process, and the supervisor starts another.
        """
        greenlet = gevent.spawn(loop, *arguments)
        greenlet.link_exception(self._fail)
        return greenlet

    def _fail(self, greenlet: Loop) -> None:
        LOG.error("the gate failed: exiting", exc_info=greenlet.exc_info)
        self._status = FAILED
        self._stop.set()

    # --- the supervisor ---

    def _obey(self) -> None:
        """Apply orders until the supervisor has exited."""
        while (order := channel.receive_order(self._control)) is not None:
            if order.open_until is not None and clock.now() < order.open_until < math.inf:
                self._switch.arm(order.open_until)
            self._gate.apply_order(order, clock.now(), wall_ms())
            self._receivers.keep(order.endpoints)
            for each in order.endpoints:
                if each.name not in self._senders:
                    self._senders[each.name] = self._spawn(self._replay, each.name)
            self._wake()
        self._stop.set()

    def _check_periodically(self) -> None:
        """Do periodically what depends on time.

        This aborts requests at the deadline, disarms the kernel timer once the gate is closed, logs
        notices, and reports the state.
        """
        due_at = math.inf
        while True:
            now = clock.now()
            closes_at = self._gate.closes_at
            if closes_at is None or now >= closes_at:
                self._in_flight.abort()
            if not self._gate.is_open(now):
                self._switch.disarm()
            self._receivers.tidy(now, self._gate.knows)
            for notice in self._gate.notices(now):
                LOG.warning("%s", notice)
            if now > due_at + STALL_S:
                # Timers come before sockets: a hand-over would end before its last requests.
                gevent.sleep(READ_S)
                due_at = math.inf
                continue
            report = self._gate.report(now, wall_ms())
            self._holds = any(each.held_batches for each in report.endpoints)
            is_news = self._reporting.report_if_due(report, now)
            self._is_idle = not (is_news or self._gate.order.hands_over)
            pause_s = BUSY_CHECK_S if self._gate.order.hands_over else self._check_interval_s
            if closes_at is not None:
                pause_s = min(pause_s, max(closes_at - clock.now(), 0.001))
            due_at = clock.now() + pause_s
            self._wait(pause_s)

    @property
    def _check_interval_s(self) -> float:
        """How long to wait for the next check, in seconds, if nothing happens before."""
        return IDLE_CHECK_S if self._is_idle else CHECK_S

    def _request_ended(self) -> None:
        """Have the batch of a finished request decoded.

        If the gate is closed, or hands over, check immediately: this may have been the last
        request.
        """
        self._has_passed.set()
        if self._gate.order.open_until is None or self._gate.order.hands_over:
            self._wake()
        self._end_idle()

    def _batch_held(self) -> None:
        """Check now; while the gate is open, before Prometheus gets the answer.

        If this process is killed after the answer, the supervisor must know that samples are lost.
        """
        self._end_idle()
        if self._gate.closes_at is not None:
            self._wake()
            gevent.sleep(0)

    def _end_idle(self) -> None:
        """Check now, and at the normal interval from now on."""
        if self._is_idle:
            self._is_idle = False
            self._wake()

    # --- receivers and peers ---

    def _replay(self, name: str) -> None:
        """Send the held batches of one endpoint, as the rules decide, until it is forgotten."""
        while self._gate.knows(name):
            wanted = self._gate.next_to_replay(name, clock.now())
            if isinstance(wanted, Replay):
                self._handler.replay(wanted)
            else:
                self._wait(self._check_interval_s if wanted is None else min(wanted, CHECK_S))
        del self._senders[name]

    def _decode(self) -> None:
        """Read the timestamps of batches that were passed on, while no request needs the CPU."""
        while True:
            wanted = self._gate.to_decode(clock.now())
            if wanted is None:
                gevent.sleep(BUSY_CHECK_S)  # a burst of requests is decoded as a whole, after it
                self._has_passed.wait()
                self._has_passed.clear()
                continue
            try:
                found = span(wanted.body, wanted.protocol, is_thorough=wanted.is_thorough)
            except Undecodable:
                self._gate.undecodable(wanted)
            else:
                self._gate.decoded(wanted, found)
            gevent.sleep(0)  # requests have priority

    def _ask_peers(self) -> None:
        """Request the leader's marks while any batch is held."""
        from wrapper.gate.marks_of_peers import MarksOfPeers  # noqa: PLC0415 - 0.5 MiB, for peers

        marks = MarksOfPeers(self._options)
        while True:
            leader = self._gate.order.leader
            if not (leader and self._holds and self._gate.closes_at is None):
                self._wait(self._check_interval_s)
                continue
            found = marks.ask(leader)
            if found is not None and self._gate.order.leader == leader:
                self._gate.apply_marks(found.marks, wall_ms(), found.clock_offset_s)
            gevent.sleep(marks.pause_s)

    # --- waking ---

    def _wake(self) -> None:
        """Have all waiting greenlets check again."""
        changed, self._changed = self._changed, Event()
        changed.set()

    def _wait(self, within_s: float) -> None:
        self._changed.wait(within_s)
