"""Run gunicorn: its listening socket, its settings, and what happens when a worker is forked.

A lone worker is the web process itself, and the supervisor restarts it: an arbiter, gunicorn's
parent process, would use a third of the web's memory. Several workers are the children of an
arbiter, which restarts them; they die with it, and a signal to stop also reaches a worker that is
just being forked. Each worker makes its own app.
"""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.sock import create_sockets  # type: ignore[import-untyped]

from wrapper.base.process import die_with_parent
from wrapper.options.web_options import WebOptions
from wrapper.proxy.proxy_counters import ProxyCounters
from wrapper.proxy.upstream import KEEP_ALIVE
from wrapper.web.worker import ProxyWorker, Tls

BIND_PATIENCE_S = 1.0  # the workers of the web process before this one may not have ended yet
HEARTBEAT_S = 60  # a worker that hangs for so long is killed
BACKLOG = 1024
CONNECTIONS = 4000
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs where the root may be read-only


def serve(
    options: WebOptions,
    listener: socket.socket,
    counters: ProxyCounters,
    make_app: Callable[[], Flask],
    tls: Tls | None = None,
) -> None:
    """Serve on a listening socket until told to stop.

    ``make_app`` is called once in each worker, ``tls`` for each connection, since certificates may
    change.
    """
    server = Server(options, listener.detach(), counters, make_app, tls)
    if options.workers == 1:
        server.run_alone()
    else:
        _guard_forks()
        server.run()


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's log lines in the form of ours, from warnings on."""

    def setup(self, cfg: Any) -> None:
        """Use the root logger's handlers instead of gunicorn's."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(max(logging.getLogger().level, logging.WARNING))


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn on a listening socket, configured by our options alone."""

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
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = _gunicorn_settings(self.options, self._listener_fd) | _hooks(self._counters)
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the app; called in each worker, after gevent has patched what blocks."""
        return self._make_app()

    def run_alone(self) -> None:
        """Serve in this process, as the only worker; the supervisor restarts it when it ends."""
        log = self.cfg.logger_class(self.cfg)
        sockets = create_sockets(self.cfg, log)
        _freeze_loaded_objects()
        ProxyWorker(1, os.getppid(), sockets, self, HEARTBEAT_S, self.cfg, log).init_process()


def _gunicorn_settings(options: WebOptions, listener_fd: int) -> dict[str, Any]:
    return {
        "bind": f"fd://{listener_fd}",
        "workers": options.workers,
        "worker_class": ProxyWorker,
        "worker_connections": CONNECTIONS,
        "worker_tmp_dir": _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None,
        "timeout": HEARTBEAT_S,
        "graceful_timeout": math.ceil(options.shutdown_grace_s),
        "control_socket_disable": True,
        "logger_class": _Log,
    }


def _hooks(counters: ProxyCounters) -> dict[str, Callable[[Any, Any], None]]:
    """Return gunicorn's hooks: a worker dies with its arbiter, and counts in a slot of its own."""

    def pre_fork(_arbiter: Any, worker: Any) -> None:
        worker.counter_slot = counters.reserve()
        _freeze_loaded_objects()

    def post_fork(_arbiter: Any, worker: Any) -> None:
        die_with_parent(worker.ppid)
        counters.use(worker.counter_slot)

    def child_exit(_arbiter: Any, worker: Any) -> None:
        counters.give_up(worker.counter_slot)

    return {"pre_fork": pre_fork, "post_fork": post_fork, "child_exit": child_exit}


def _freeze_loaded_objects() -> None:
    """Keep the garbage collector from what is loaded already: workers then share those pages.

    They are given back to it at exit, where objects would otherwise be destroyed after the modules
    that they need.
    """
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)


def _guard_forks() -> None:
    """Block signals during a fork, so that a new worker does not lose one.

    It begins with the arbiter's handlers, which only queue a signal: the arbiter would wait in vain
    for the worker to stop.
    """
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS),
        after_in_child=_reset_handlers,
    )


def _reset_handlers() -> None:
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise OSError. Waits BIND_PATIENCE_S for a port that is in use.

    Its connections inherit TCP keep-alive, which finds clients that have vanished.
    """
    deadline = time.monotonic() + BIND_PATIENCE_S
    while True:
        try:
            listener = _listen(host, port)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
    for option in KEEP_ALIVE:
        listener.setsockopt(*option)
    return listener


def _listen(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:  # which means that IPv6 is switched off
                raise
    found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    family, address = found[0][0], found[0][4]
    return socket.create_server(address, family=family, backlog=BACKLOG)
