"""The init process: a small parent as PID 1, with the supervisor as its child.

It reaps orphans, forwards signals to the supervisor, and exits with the supervisor's exit status.
The supervisor cannot be PID 1 itself: the kernel ignores a timer's SIGKILL for PID 1, so the
dead-man's switch would not work. This process forks before any large module is imported, and then
only waits. When it exits, the kernel kills all other processes in its PID namespace.
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
    """Fork: only the child returns. The parent stays as init, and exits when the child has exited.

    The child gets its own process group, so that Ctrl-C in a terminal reaches it only once.
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
    """Forward signals and reap orphans until the child exits; return the exit status.

    It is that of the child, or 128 + N if signal N has killed the child.
    """
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
    """Reap all exited processes; return the child's exit status, None if it still runs.

    The status is negative if a signal has killed the child.
    """
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
    return ended
