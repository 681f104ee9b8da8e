"""One API server that all workers of a test run share, for tests that do not break it."""

from __future__ import annotations

import copy
import fcntl
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.parts import ApiServer, Etcd, started


@contextmanager
def common_server(folder: Path) -> Iterator[ApiServer]:
    """Give the API server of this folder; the first worker runs it until no other uses it.

    When a worker dies, the kernel releases its locks.
    """
    folder.mkdir(exist_ok=True)
    told = folder / "server.pickle"
    with (folder / "users").open("w") as users, (folder / "start").open("w") as start:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_EX)
        if told.exists():
            fcntl.flock(start, fcntl.LOCK_UN)
            server: ApiServer = pickle.loads(told.read_bytes())
            yield server
            return
        with started(Etcd(folder)) as etcd, started(ApiServer(folder, etcd)) as server:
            told.write_bytes(pickle.dumps(_without_process(server)))
            fcntl.flock(start, fcntl.LOCK_UN)
            yield server
            fcntl.flock(users, fcntl.LOCK_EX)


def _without_process(server: ApiServer) -> ApiServer:
    """Return a copy that another worker can send requests to, but neither stop nor start."""
    asked, etcd = copy.copy(server), copy.copy(server.etcd)
    asked.process = etcd.process = None
    asked.etcd = etcd
    return asked
