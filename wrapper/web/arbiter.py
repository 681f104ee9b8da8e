"""Serve by several workers: the children of gunicorn's arbiter, which restarts them.

The workers end with the arbiter. A signal to stop also reaches a worker that is just being forked.
Each worker creates its own app, and counts in its own slot.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from wrapper.base.process import die_with_parent
from wrapper.options.web_options import WebOptions
from wrapper.proxy.proxy_counters import ProxyCounters
from wrapper.web.server import FAILED, HEARTBEAT_S, STOPS, freeze_loaded_objects
from wrapper.web.worker import ProxyWorker, Tls

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs where the root may be read-only


class Worker(GeventWorker):  # type: ignore[misc]
    """Runs a ProxyWorker as a child of the arbiter."""

    _serving: ProxyWorker | None = None

    def run(self) -> None:
        """Serve until stopped; exit with status 1 if serving has failed."""
        self._serving = ProxyWorker(self.wsgi, self.app.options, self.app.tls)
        if not self.alive:  # the signal to stop came first
            return
        if not self._serving.run(self.sockets[0], self.notify):
            sys.exit(FAILED)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop serving; this is a signal handler."""
        super().handle_exit(sig, frame)
        if self._serving is not None:
            self._serving.stop()


class _Log(Logger):  # type: ignore[misc]
    """Logs gunicorn's warnings and errors in the format of our own log lines."""

    def setup(self, cfg: Any) -> None:
        """Use the root logger's handlers instead of gunicorn's."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(max(logging.getLogger().level, logging.WARNING))


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn on a listening socket, configured only by our options."""

    def __init__(
        self,
        options: WebOptions,
        listener_fd: int,
        counters: ProxyCounters,
        make_app: Callable[[], Flask],
        tls: Tls | None = None,
    ) -> None:
        self.options = options
        self.tls = tls
        self._listener_fd = listener_fd
        self._counters = counters
        self._make_app = make_app
        _guard_forks()
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = _gunicorn_settings(self.options, self._listener_fd) | _hooks(self._counters)
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the app; called in each worker, after gevent has patched blocking functions."""
        return self._make_app()


def _gunicorn_settings(options: WebOptions, listener_fd: int) -> dict[str, Any]:
    return {
        "bind": f"fd://{listener_fd}",
        "workers": options.workers,
        "worker_class": Worker,
        "worker_tmp_dir": _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None,
        "timeout": HEARTBEAT_S,
        "graceful_timeout": math.ceil(options.shutdown_grace_s),
        "control_socket_disable": True,
        "logger_class": _Log,
    }


def _hooks(counters: ProxyCounters) -> dict[str, Callable[[Any, Any], None]]:
    """Return gunicorn's hooks: a worker ends with its arbiter, and counts in its own slot."""

    def pre_fork(_arbiter: Any, worker: Any) -> None:
        worker.counter_slot = counters.reserve()
        freeze_loaded_objects()

    def post_fork(_arbiter: Any, worker: Any) -> None:
        die_with_parent(worker.ppid)
        counters.use(worker.counter_slot)

    def child_exit(_arbiter: Any, worker: Any) -> None:
        counters.give_up(worker.counter_slot)

    return {"pre_fork": pre_fork, "post_fork": post_fork, "child_exit": child_exit}


def _guard_forks() -> None:
    """Block signals during a fork, so that a new worker does not lose one.

    A new worker starts with the arbiter's signal handlers, which only queue a signal. The worker
    would not stop, and the arbiter would wait for it.
    """
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, STOPS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS),
        after_in_child=_reset_handlers,
    )


def _reset_handlers() -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
