"""What a process uses: not what its clients keep open."""

from __future__ import annotations

import os
import socket

from tests.soak.family import Life, figures


def descriptors() -> int:
    """Return the number that counts of this process."""
    return int(figures(Life(os.getpid(), 0)).descriptors)


def test_a_connection_that_its_client_keeps_open_does_not_count() -> None:
    """One that the client has closed, and the server has not, does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = descriptors()
        with socket.create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            with accepted:
                assert descriptors() == before + 1, "the client's own end"
                client.close()
                assert accepted.recv(1) == b""
                assert descriptors() == before + 1, "the server's end"
        assert descriptors() == before
