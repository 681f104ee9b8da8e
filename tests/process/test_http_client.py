"""Connections of the HTTP client that one thread ends while another one uses them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority
from wrapper.access.http_client import Connection
from wrapper.access.prometheus_access import Access, PrometheusAccess

LIMIT_S = 20.0


def test_a_request_that_timed_out_is_never_sent(tmp_path: Path) -> None:
    """If a request times out during the connection, a late server gets no request."""
    authority = Authority(tmp_path / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server").paths)
    (tmp_path / "http.yml").write_text(f"tls_config: {{ca_file: {authority.file}}}")
    access = PrometheusAccess(str(tmp_path / "http.yml")).current()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(LIMIT_S)
        url = urlsplit(f"https://127.0.0.1:{listener.getsockname()[1]}")
        connection = Connection(url, access)
        with pytest.raises(TimeoutError):
            connection.within(0.2, lambda: connection.ask("GET", "/", LIMIT_S))
        client, _ = listener.accept()
        client.settimeout(LIMIT_S)
        with context.wrap_socket(client, server_side=True) as secured:
            try:
                assert secured.recv(1 << 16) == b""
            except ConnectionError:  # it was closed without a request
                return


def test_a_connection_can_be_ended_while_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection can be ended while another thread closes its response.

    The elector may end a watch when its thread has read the last byte.
    """
    flush = http.client.HTTPResponse.flush
    overtaken = threading.Event()

    def flush_late(response: http.client.HTTPResponse) -> None:
        if not overtaken.is_set():
            overtaken.set()
            other = threading.Thread(target=response.close)
            other.start()
            other.join(LIMIT_S)
        flush(response)  # ValueError: I/O operation on closed file

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection = Connection(url, Access())
        answer = threading.Thread(target=_answer_a_part, args=(listener,))
        answer.start()
        response = connection.ask("GET", "/", LIMIT_S)
        answer.join(LIMIT_S)
        monkeypatch.setattr(http.client.HTTPResponse, "flush", flush_late)
        connection.end()
    assert overtaken.is_set()
    assert response.closed


def _answer_a_part(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(1 << 16)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
