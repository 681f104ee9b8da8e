"""Connections of the HTTP client that are ended while they are still being made."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.certificates import Authority
from wrapper.access.http_client import Connection
from wrapper.access.prometheus_access import PrometheusAccess

LIMIT_S = 20.0


def test_what_is_ended_before_it_is_made_sends_nothing(tmp_path: Path) -> None:
    """Whoever asked has been told that there is no answer: a late server gets no request."""
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
            except ConnectionError:  # it has gone away, having said nothing
                return
