"""A Prometheus: a file, reloads one after the other, and the truth about who may write.

As measured with real ones: a reload reads the file at its start; taking remote_write away flushes
the old queue first and may take for ever; only then does it show the new configuration, and only at
its end count as successful; a broken rule file fails it although remote_write has been applied;
SIGHUPs during a reload collapse into one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.hub import Hub
from wrapper.model.configuration import Evidence, Rendering

READY_S = 0.3
UNLOADABLE = b"unloadable"  # what no Prometheus loads


@dataclass
class Disk:
    """A pod's output file, and rules beside it; ``delay_s`` and ``fails`` are its faults."""

    content: Rendering
    has_bad_rules: bool = False
    delay_s: float = 0.002
    fails: bool = False


@dataclass
class Temper:
    """How Prometheus behaves at the moment; seconds and claims."""

    reload_s: float = 0.02
    flush_s: float = 0.05
    refuses_leader: bool = False
    has_broken_rules: bool = False
    hangs_until: float = 0.0


@dataclass
class Prometheus:
    """One Prometheus process; ``on_writing`` is told whenever it may have begun to write."""

    hub: Hub
    disk: Disk
    temper: Temper
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
        """Whether it sends, or may still flush, what a leader's configuration says."""
        return self.is_alive and (self.applied.writes_remotely or self.is_flushing)

    @property
    def is_ready(self) -> bool:
        """Whether its first configuration is loaded."""
        return self.is_alive and self.hub.now >= self.started_at + READY_S

    def die(self, status: int, after_s: float = 0.0) -> None:
        """End it, a moment later."""
        self.hub.after(after_s, lambda: self._end(status))

    def _end(self, status: int) -> None:
        if self.is_alive:
            self.is_alive = False
            self.on_exit(status)

    # --- reloading ---

    def hang_up(self) -> None:
        """Take SIGHUP; ignored while it starts."""
        if self.is_ready:
            self._is_asked = True
            self._next()

    def post_reload(self, answer: Callable[[int], None]) -> None:
        """Take a reload request; answered with its status when that reload is done."""
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
        self._after(self._some(self.temper.reload_s), lambda: self._apply(read, answer))

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Go on later: not while it hangs, and not when it is dead."""

        def go_on() -> None:
            if not self.is_alive:
                return
            if self.hub.now < self.temper.hangs_until:
                self.hub.at(self.temper.hangs_until, go_on)
            else:
                happen()

        self.hub.after(seconds, go_on)

    def _some(self, seconds: float) -> float:
        return seconds * (0.2 + 0.8 * self.rng.random())

    def _apply(self, read: Rendering, answer: Callable[[int], None] | None) -> None:
        if read.content == UNLOADABLE or (read.writes_remotely and self.temper.refuses_leader):
            self._finish(answer, is_successful=False)
            return
        if self.applied.writes_remotely and not read.writes_remotely:
            self.is_flushing = True
            flush_s = self._some(self.temper.flush_s)
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
        is_successful = not (self.temper.has_broken_rules or self.disk.has_bad_rules)
        self._after(
            self._some(self.temper.reload_s),
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
        """Whether HTTP answers."""
        return self.is_ready and self.hub.now >= self.temper.hangs_until

    def evidence_after(self, shown: Rendering, asked_at: float) -> Evidence:
        """Return what it says: what it showed when asked, and its metrics as they are now."""
        return Evidence(
            shown_hash=shown.fingerprint,
            writes_remotely=shown.writes_remotely,
            is_successful=self.is_successful,
            success_time=self.success_time,
            asked_at=asked_at,
        )
