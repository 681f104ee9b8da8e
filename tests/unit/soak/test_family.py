"""The resources of a process, without what its clients keep open."""

from __future__ import annotations

import os
import socket

from tests.soak.family import Life, figures


def descriptors() -> int:
    """Return the number of descriptors of this process that counts."""
    return int(figures(Life(os.getpid(), 0)).descriptors)


def test_connection_that_a_client_keeps_open_does_not_count() -> None:
    """A connection counts if its client has closed it and the server has not."""
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
