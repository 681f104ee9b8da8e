"""Writes log lines to a descriptor, without waiting for a reader that does not read.

Guarantee: a line takes at most ``WAIT_S``. If nobody reads a pipe, it becomes full: the first line
that finds it full waits, and the next ones do not wait until there is room again.

A pipe or a terminal is opened anew, because O_NONBLOCK on the inherited description would change it
for the other processes that share it, such as Prometheus.

Limitation: that fails if it belongs to another user. Then, and for sockets, a line still waits if
another process takes the last room at the same moment; at a terminal, also if there is little room.
"""

from __future__ import annotations

import os
import select
import stat

from wrapper.base import clock

WAIT_S = 0.1


class LogOutput:
    """Writes whole lines. After a line of which only a part was written, it begins a new line."""

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor, whose flags are not changed."""
        self._descriptor, self._most_bytes = _without_waiting(descriptor)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)
        self._is_full = False
        self._is_cut = False

    def write(self, line: bytes) -> bool:
        """Write a line; return whether all of it was written."""
        until = clock.now() + (0.0 if self._is_full else WAIT_S)
        data = b"\n" + line if self._is_cut else line
        left = memoryview(data)
        while left and self._has_room(until):
            try:
                left = left[os.write(self._descriptor, left[: self._most_bytes]) :]
            except BlockingIOError:  # another process was faster, or a terminal has too little room
                if clock.now() >= until:
                    break
            except OSError:  # the reader has closed the pipe, or the disk is full
                break
        self._is_full = bool(left)
        self._is_cut = self._is_full and (self._is_cut or len(left) < len(data))
        return not left

    def _has_room(self, until: float) -> bool:
        """Wait until there is room for PIPE_BUF bytes; return False if there is none in time."""
        return bool(self._poll.poll(max(until - clock.now(), 0.0) * 1000))


def _without_waiting(descriptor: int) -> tuple[int, int]:
    """Return a descriptor of the same file, and how many bytes it takes at once without waiting."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor, 1 << 30
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{descriptor}", flags), 1 << 30
        except OSError:  # not ours, or it has no reader
            return descriptor, select.PIPE_BUF
    return descriptor, select.PIPE_BUF
