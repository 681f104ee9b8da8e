"""The channel between the supervisor and the gate."""

from __future__ import annotations

import os
import resource
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

from tests.support import wait_until
from wrapper.gate import channel
from wrapper.model.gate import Endpoint, GateOrder

# All certificates of Debian are 220 kB.
CERTIFICATES = {"tls_config": {"ca": "0123456789abcde\n" * 14_000}}


def test_an_order_may_be_large() -> None:
    """Of twelve endpoints that all name their certificates in the configuration, for example."""
    endpoints = [
        Endpoint(f"endpoint {number}", "http://a", client=CERTIFICATES) for number in range(12)
    ]
    order = GateOrder(1, endpoints=tuple(endpoints))
    ours, its = channel.pair()
    with ours, its:
        assert channel.send(ours, order)
        assert channel.receive_order(its) == order


def test_the_end_of_the_other_process_is_the_end() -> None:
    """What it has sent before is received first; nothing is sent any more."""
    ours, its = channel.pair()
    with its:
        with ours:
            assert channel.send(ours, GateOrder(1))
        assert channel.receive_order(its) == GateOrder(1)
        assert channel.receive_order(its) is None
        assert not channel.send(its, GateOrder(2))


def test_sending_to_one_that_hangs_never_blocks() -> None:
    """The buffer is full at some time; what it has, is received later."""
    ours, its = channel.pair()
    with ours, its:
        sent = 0
        while channel.send(ours, GateOrder(sent)):
            sent += 1
        assert [channel.receive_order(its) for _ in range(sent)] == [
            GateOrder(number) for number in range(sent)
        ]


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Let this process open no more files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - it has the lowest free number
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 1, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def is_readable(end: socket) -> bool:
    """Return whether a message is waiting."""
    return bool(select.select([end], [], [], 0)[0])


def test_what_no_descriptor_is_free_for_is_lost_and_the_next_comes() -> None:
    """It replaces what was lost."""
    ours, its = channel.pair()
    with ours, its:
        assert channel.send(ours, GateOrder(1))
        received = []
        with no_free_descriptor():
            thread = threading.Thread(target=lambda: received.append(channel.receive_order(its)))
            thread.start()
            wait_until(lambda: not is_readable(its), 20, "the first one is taken")
            assert not channel.send(ours, GateOrder(2))
        assert channel.send(ours, GateOrder(3))
        thread.join(20)
    assert received == [GateOrder(3)]
