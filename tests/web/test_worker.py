"""What has to go on while a worker serves is watched: its end is the worker's, which is healed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from tests.support import wait_until
from tests.web.conftest import Web

# Loaded by Python itself as it starts; "now" is a file that is there when it is time.
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


@pytest.mark.parametrize(
    ("code", "deed", "said"),
    [
        (LOOKING, "raise ValueError('planted')", "ValueError: planted"),
        (RETURNING, "return", "the watch over connections has ended"),
        (ACCEPTING, "raise OSError(errno.EBADF, 'planted')", "no longer accepted"),
    ],
    ids=["looking fails", "looking returns", "accepting fails"],
)
def test_a_worker_ends_with_what_it_needs(tmp_path: Path, code: str, deed: str, said: str) -> None:
    """It says what has ended, with its traceback, and the next one serves."""
    now = tmp_path / "now"
    (tmp_path / "sitecustomize.py").write_text(code.format(now=str(now), deed=deed))
    web = Web(environment={"PYTHONPATH": str(tmp_path)})
    with contextlib.ExitStack() as stack:
        stack.callback(web.process.kill)
        first = psutil.Process(web.process.pid).children()[0]
        now.touch()
        with contextlib.suppress(OSError):
            web.get("/_elector/healthz")  # so that somebody is accepted
        wait_until(lambda: not first.is_running(), 20, "the worker has ended")
        assert web.get("/_elector/healthz").status_code == 503
        log = web.stop()
    assert said in log
    assert f"(pid:{first.pid}) exited with code 1" in log
