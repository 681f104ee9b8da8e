"""Starts threads. The system can refuse one, as it refuses other resources: by an OSError.

A container's limit of processes (``pids``) counts threads too.
"""

from __future__ import annotations

import errno
import threading


class ThreadRefused(OSError):
    """The system has refused another thread. The text has the cure."""


def start(thread: threading.Thread) -> None:
    """Start a thread; raise ThreadRefused if the system refuses it."""
    try:
        thread.start()
    except RuntimeError as error:
        text = "no thread can be started; raise the limit of processes (pids) of the container"
        raise ThreadRefused(errno.EAGAIN, text) from error
