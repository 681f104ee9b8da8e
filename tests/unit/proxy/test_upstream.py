"""What a failed connection to Prometheus leaves in memory: nothing."""

from __future__ import annotations

import threading

import gevent
import pytest

from tests.memory import stays
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.proxy.resolver import Resolver
from wrapper.proxy.upstream import Target, Unreachable, Upstreams


@pytest.mark.parametrize("where", ["127.0.0.1:1", "no-such-name.invalid", "a..b"])
def test_failed_connection_is_not_kept_in_memory(where: str) -> None:
    """The error of a failed connection is not kept, because its request would stay with it."""
    upstreams = Upstreams(5.0, PrometheusAccess())
    target = Target(f"http://{where}", is_local=False)
    assert not stays(lambda: upstreams.fresh(target), Unreachable)


def test_connection_that_timed_out_is_not_kept_in_memory() -> None:
    """After a timeout, neither its error nor the connection's is kept."""
    end = threading.Event()

    def hang(_name: str, _port: int) -> list[str]:
        end.wait(20)
        return []

    upstreams = Upstreams(0.05, PrometheusAccess())
    upstreams._resolver = Resolver(1, hang)
    target = Target("http://hangs.invalid", is_local=False)
    try:
        assert not stays(lambda: upstreams.fresh(target), Unreachable, lambda: gevent.sleep(0))
    finally:
        end.set()
