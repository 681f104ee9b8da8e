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


def test_large_order_is_received() -> None:
    """An order of twelve endpoints with inline certificates is received whole."""
    endpoints = [
        Endpoint(f"endpoint {number}", "http://a", client=CERTIFICATES) for number in range(12)
    ]
    order = GateOrder(1, endpoints=tuple(endpoints))
    ours, its = channel.pair()
    with ours, its:
        assert channel.send(ours, order)
        assert channel.receive_order(its) == order


def test_end_of_the_other_process_closes_the_channel() -> None:
    """After the other process has ended, its last message is received, and sending fails."""
    ours, its = channel.pair()
    with its:
        with ours:
            assert channel.send(ours, GateOrder(1))
        assert channel.receive_order(its) == GateOrder(1)
        assert channel.receive_order(its) is None
        assert not channel.send(its, GateOrder(2))


def test_sending_to_a_hanging_process_does_not_block() -> None:
    """If the other process hangs, sending fails once the buffer is full, and nothing is lost."""
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


def test_message_without_a_free_descriptor_is_lost() -> None:
    """A message for which no descriptor is free is lost; the next one replaces it."""
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
