"""Runs histories with a low priority, on processors that are idle otherwise."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

NICENESS = 10


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run the test in a thread with low priority: other tests hold real leases."""
    names = pyfuncitem._fixtureinfo.argnames
    with ThreadPoolExecutor(1, initializer=_give_way) as pool:
        pool.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)  # 0 means this thread only
