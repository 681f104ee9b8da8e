"""PID 1: a small parent that reaps orphans, forwards signals and passes on the exit status.

The kernel ignores a timer's SIGKILL for PID 1, so the dead-man's switch would not work there: the
supervisor has to be another process. This one forks before anything large is imported, and then
only waits. When it exits, the kernel kills everything else in its PID namespace.
"""

from __future__ import annotations

import contextlib
import os
import signal

FORWARDED = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_SIGNALLED = 128


def split() -> None:
    """Fork: the child returns from here, the parent stays as init and never does.

    The child has a process group of its own, so that a terminal's Ctrl-C reaches it only once.
    """
    watched = FORWARDED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_serve(child, watched))


def _serve(child: int, watched: frozenset[signal.Signals]) -> int:
    """Forward signals and reap until the child exits; return the exit status."""
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        status = _reap(child)
        if status is not None:
            return status if status >= 0 else _SIGNALLED - status


def _reap(child: int) -> int | None:
    """Reap all exited processes; return the child's exit status if it is one of them."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
    return ended
