"""Listen, and serve by one worker in this process.

With only one worker, there is no arbiter (the parent process of gunicorn), because it would use a
third of the web process' memory. The supervisor restarts the process instead. If the watch over
connections fails, or the accepting of connections, the process exits with status 1. ``arbiter``
runs several workers.
"""

from __future__ import annotations

import atexit
import errno
import gc
import signal
import socket
import time
from collections.abc import Callable

import gevent.socket
from flask import Flask
from gevent import monkey

from wrapper.base.allocator import freeze_objects
from wrapper.options.web_options import WebOptions
from wrapper.proxy.upstream import KEEP_ALIVE
from wrapper.web.worker import ProxyWorker, Tls

BIND_PATIENCE_S = 1.0  # the workers of the previous web process may not have ended yet
HEARTBEAT_S = 60  # a worker that hangs for this long is killed
BACKLOG = 1024
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
FAILED = 1


def serve(
    options: WebOptions,
    listener: socket.socket,
    make_app: Callable[[], Flask],
    tls: Tls | None = None,
) -> int:
    """Serve on a listening socket by one worker until stopped; return the exit status.

    ``tls`` is called for each connection, because certificates may change.
    """
    monkey.patch_all()
    freeze_loaded_objects()
    worker = ProxyWorker(make_app(), options, tls)
    for number in STOPS:
        gevent.signal_handler(number, worker.stop)
    accepting = gevent.socket.socket(listener.family, listener.type, fileno=listener.detach())
    return 0 if worker.run(accepting, _set_alarm) else FAILED


def _set_alarm() -> None:
    """Have the kernel end this process if it hangs: there is no arbiter that would."""
    signal.alarm(HEARTBEAT_S)


def freeze_loaded_objects() -> None:
    """Exclude all loaded objects from garbage collection, so that workers share their memory pages.

    At exit they are included again. Otherwise objects would be destroyed after the modules that
    they need.
    """
    freeze_objects()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise OSError.

    If the port is in use, wait for it for up to BIND_PATIENCE_S. Accepted connections inherit TCP
    keep-alive, which finds clients that have vanished.
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
            if error.errno != errno.EADDRNOTAVAIL:  # this error means that IPv6 is disabled
                raise
    found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    family, address = found[0][0], found[0][4]
    return socket.create_server(address, family=family, backlog=BACKLOG)
