"""A Prometheus: its file, its reloads one after the other, and whether it may really write.

As measured with real ones: a reload reads the file at its start; a removal of remote_write first
flushes the old queue, which may never end; only then does Prometheus report the new configuration,
and only at its end does the reload count as successful; an invalid rule file fails a reload,
although remote_write has been applied; several SIGHUPs during a reload cause one more reload.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.hub import Hub
from wrapper.model.configuration import Evidence, Rendering

READY_S = 0.3
UNLOADABLE = b"unloadable"  # a file that every Prometheus refuses


@dataclass
class Disk:
    """A pod's output file, and its rules; ``delay_s`` and ``fails`` are faults."""

    content: Rendering
    has_bad_rules: bool = False
    delay_s: float = 0.002
    fails: bool = False


@dataclass
class Behaviour:
    """How Prometheus behaves at the moment: seconds, and faults."""

    reload_s: float = 0.02
    flush_s: float = 0.05
    refuses_leader: bool = False
    has_broken_rules: bool = False
    hangs_until: float = 0.0


@dataclass
class Prometheus:
    """A Prometheus process; ``on_writing`` is called whenever it may have begun to write."""

    hub: Hub
    disk: Disk
    behaviour: Behaviour
    rng: random.Random
    on_writing: Callable[[], None]
    on_exit: Callable[[int], None]
    is_alive: bool = True
    started_at: float = 0.0
    applied: Rendering = field(init=False)
    shown: Rendering = field(init=False)
    is_flushing: bool = False
    is_successful: bool = True
    success_time: float = 0.0
    _waiting: list[Callable[[int], None]] = field(default_factory=list)
    _is_reloading: bool = False
    _is_asked: bool = False

    def __post_init__(self) -> None:
        self.applied = self.shown = self.disk.content
        self.started_at = self.success_time = self.hub.now
        self.hub.after(READY_S, self._next)

    @property
    def may_write(self) -> bool:
        """Whether it sends, or may still flush, by a leader's configuration."""
        return self.is_alive and (self.applied.writes_remotely or self.is_flushing)

    @property
    def is_ready(self) -> bool:
        """Whether its first configuration is loaded."""
        return self.is_alive and self.hub.now >= self.started_at + READY_S

    def die(self, status: int, after_s: float = 0.0) -> None:
        """End it after some seconds."""
        self.hub.after(after_s, lambda: self._end(status))

    def _end(self, status: int) -> None:
        if self.is_alive:
            self.is_alive = False
            self.on_exit(status)

    # --- reloading ---

    def receive_sighup(self) -> None:
        """Handle a SIGHUP, which is ignored during the start."""
        if self.is_ready:
            self._is_asked = True
            self._next()

    def post_reload(self, answer: Callable[[int], None]) -> None:
        """Handle a reload request, which is answered when that reload is done."""
        self._waiting.append(answer)
        self._next()

    def _next(self) -> None:
        if self._is_reloading or not self.is_ready or not (self._is_asked or self._waiting):
            return
        answer: Callable[[int], None] | None = None
        if self._is_asked:
            self._is_asked = False
        else:
            answer = self._waiting.pop(0)
        self._is_reloading = True
        read = self.disk.content
        self._after(self._some(self.behaviour.reload_s), lambda: self._apply(read, answer))

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Continue later, but not while it hangs, and not when it is dead."""

        def go_on() -> None:
            if not self.is_alive:
                return
            if self.hub.now < self.behaviour.hangs_until:
                self.hub.at(self.behaviour.hangs_until, go_on)
            else:
                happen()

        self.hub.after(seconds, go_on)

    def _some(self, seconds: float) -> float:
        return seconds * (0.2 + 0.8 * self.rng.random())

    def _apply(self, read: Rendering, answer: Callable[[int], None] | None) -> None:
        if read.content == UNLOADABLE or (read.writes_remotely and self.behaviour.refuses_leader):
            self._finish(answer, is_successful=False)
            return
        if self.applied.writes_remotely and not read.writes_remotely:
            self.is_flushing = True
            flush_s = self._some(self.behaviour.flush_s)
            self._after(flush_s, lambda: self._flushed(read, answer))
        else:
            self._applied(read, answer)

    def _flushed(self, read: Rendering, answer: Callable[[int], None] | None) -> None:
        self.is_flushing = False
        self._applied(read, answer)

    def _applied(self, read: Rendering, answer: Callable[[int], None] | None) -> None:
        self.applied = read
        if read.writes_remotely:
            self.on_writing()
        self.shown = read
        is_successful = not (self.behaviour.has_broken_rules or self.disk.has_bad_rules)
        self._after(
            self._some(self.behaviour.reload_s),
            lambda: self._finish(answer, is_successful=is_successful),
        )

    def _finish(self, answer: Callable[[int], None] | None, *, is_successful: bool) -> None:
        self.is_successful = is_successful
        if is_successful:
            self.success_time = self.hub.now
        self._is_reloading = False
        if answer is not None:
            answer(200 if is_successful else 500)
        self._next()

    # --- answering ---

    @property
    def answers(self) -> bool:
        """Whether it answers HTTP requests."""
        return self.is_ready and self.hub.now >= self.behaviour.hangs_until

    def evidence_after(self, shown: Rendering, asked_at: float) -> Evidence:
        """Return its evidence: what it showed when asked, and its current metrics."""
        return Evidence(
            shown_hash=shown.fingerprint,
            writes_remotely=shown.writes_remotely,
            is_successful=self.is_successful,
            success_time=self.success_time,
            asked_at=asked_at,
        )
