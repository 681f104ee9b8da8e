"""Signals that arrive before the loop handles them, and those of a command, which has no loop.

By default, each of the early ones would end the process. Until the loop handles them, they mean
nothing: the inputs are read later, and this replica does not lead. SIGINT then ends the process as
SIGTERM does, without Python's traceback.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

EARLY = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
STOPS = (signal.SIGTERM, signal.SIGINT)
SIGNALLED = 128  # the exit status after a signal is this and its number


def disregard() -> None:
    """Disregard the signals from now on; programs that are started have the default action."""
    for number in EARLY:
        signal.signal(number, _disregard)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def disregard_during_exec() -> None:
    """Disregard the signals until the next program of this process calls ``disregard``.

    An exec resets handlers to the default action, but keeps SIG_IGN.
    """
    for number in EARLY:
        signal.signal(number, signal.SIG_IGN)


def _disregard(_number: int, _frame: FrameType | None) -> None:
    pass


def end_quietly(*further: signal.Signals) -> None:
    """Have a stop signal, or a further one, end the process after it has cleaned up.

    Those that the parent has ignored stay ignored.
    """
    for number in (*STOPS, *further):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda told, _frame: sys.exit(SIGNALLED + told))
