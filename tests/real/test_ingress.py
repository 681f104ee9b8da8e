"""The ingress detects clients that disconnect."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

import pytest

from tests.real import ingress as ingress_module
from tests.real.ingress import Ingress
from tests.support import wait_until


@pytest.mark.parametrize(("hangs_up", "within_s"), [(True, 15.0), (False, 0.5)])
def test_a_late_disconnect_of_a_client_is_recorded(
    monkeypatch: pytest.MonkeyPatch, *, hangs_up: bool, within_s: float
) -> None:
    """A disconnect after the last request is recorded, even if the request gets no answer.

    A network that was interrupted delivers the end of the connection after the request.
    """
    monkeypatch.setattr(ingress_module, "HANGS_UP_S", within_s)
    ingress = Ingress("http://127.0.0.1:1/")
    ingress.is_away = True
    with contextlib.closing(ingress):
        port = urlsplit(ingress.url("a")).port
        with socket.create_connection(("127.0.0.1", port), timeout=15) as client:
            client.sendall(b"POST /a/write HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):  # the request has been read, the end is not there yet
                client.recv(1)
            if hangs_up:
                client.close()
            wait_until(lambda: bool(ingress.passed), 15, "it is noted")
    assert [each.is_abandoned for each in ingress.passed] == [hangs_up]
