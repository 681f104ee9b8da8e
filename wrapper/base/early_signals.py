"""Signals that arrive before the loop handles them.

By default, each of these would end the process. Until the loop handles them, they mean nothing: the
inputs are read later, and this replica does not lead.
"""

from __future__ import annotations

import signal
from types import FrameType

EARLY = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def disregard() -> None:
    """Disregard the signals from now on; programs that are started have the default action."""
    for number in EARLY:
        signal.signal(number, _disregard)


def disregard_during_exec() -> None:
    """Disregard the signals until the next program of this process calls ``disregard``.

    An exec resets handlers to the default action, but keeps SIG_IGN.
    """
    for number in EARLY:
        signal.signal(number, signal.SIG_IGN)


def _disregard(_number: int, _frame: FrameType | None) -> None:
    pass
