"""A worker whose loops fail: it exits, and another one is started."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from tests.support import wait_until
from tests.web.conftest import Web

# Python loads this when it starts. The fault happens once the file "now" exists.
LOOKING = """
from pathlib import Path
from wrapper.proxy.exchange_watch import ExchangeWatch

look = ExchangeWatch._end_overdue

def planted(self, now):
    if Path({now!r}).exists():
        Path({now!r}).unlink()
        {deed}
    look(self, now)

ExchangeWatch._end_overdue = planted
"""
RETURNING = (
    LOOKING.replace("_end_overdue", "run")
    .replace("self, now", "self")
    .replace(
        "    if",
        "    import gevent\n    while not Path({now!r}).exists(): gevent.sleep(0.05)\n    if",
    )
)
ACCEPTING = """
import errno
from pathlib import Path
from gevent.server import StreamServer

read = StreamServer.do_read

def planted(self):
    if Path({now!r}).exists():
        Path({now!r}).unlink()
        {deed}
    return read(self)

StreamServer.do_read = planted
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("code", "deed", "said"),
    [
        (LOOKING, "raise ValueError('planted')", "ValueError: planted"),
        (RETURNING, "return", "connections are no longer watched"),
        (ACCEPTING, "raise OSError(errno.EBADF, 'planted')", "no longer accepted"),
    ],
    ids=["looking fails", "looking returns", "accepting fails"],
)
def test_a_worker_ends_with_what_it_needs(
    tmp_path: Path, code: str, deed: str, said: str, workers: int
) -> None:
    """If a loop of a worker fails, the worker logs the error and exits with status 1.

    A lone worker is the process that the supervisor starts again; of several, the arbiter starts
    the next one.
    """
    now = tmp_path / "now"
    (tmp_path / "sitecustomize.py").write_text(code.format(now=str(now), deed=deed))
    web = Web(environment={"PYTHONPATH": str(tmp_path)}, workers=workers)
    with contextlib.ExitStack() as stack:
        stack.callback(web.process.kill)
        first = web.workers
        now.touch()
        with contextlib.suppress(OSError):
            web.get("/_elector/healthz")  # so that a connection is accepted
        if workers == 1:
            assert web.process.wait(20) == 1
        else:
            wait_until(lambda: not all(map(is_alive, first)), 20, "a worker has ended")
            wait_until(lambda: len(web.workers) == workers, 20, "the arbiter has started the next")
            assert web.get("/_elector/healthz").status_code == 503
        log = web.stop()
    assert said in log
    assert workers == 1 or "exited with code 1" in log


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie has ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
