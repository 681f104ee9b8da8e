"""The WSGI environment for the Flask app, and the bytes of its answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request

from wrapper.proxy.client_connection import Client
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.http_head import request_head
from wrapper.web.wsgi import answer_of, environ_of


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a client with a real connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sock,
    ):
        yield Client(sock, "192.0.2.1", "https")


def environ(client: Client, lines: bytes, line: bytes = b"GET / HTTP/1.1") -> dict[str, Any]:
    """Return the WSGI environment of a request with these fields, and the body "abc"."""
    head = request_head(b"%b\r\n%b\r\n" % (line, lines))
    found = forwarded_fields(head, client.address, client.scheme)
    own = Request(head.method, head.target, head.minor, found)
    return environ_of(own, head.fields, b"abc", client)


def test_an_environ_has_the_target_in_parts(client: Client) -> None:
    """The environment has the path, decoded once, and the query unchanged, and no fragment."""
    told = environ(client, b"", b"POST /a%2525/%C3%A9?b=%20#c HTTP/1.0")
    assert told["REQUEST_METHOD"] == "POST"
    assert (told["PATH_INFO"], told["QUERY_STRING"]) == ("/a%25/\xc3\xa9", "b=%20")
    assert (told["SERVER_PROTOCOL"], told["wsgi.url_scheme"]) == ("HTTP/1.0", "https")
    assert told["REMOTE_ADDR"] == "192.0.2.1"


def test_an_environ_has_the_fields(client: Client) -> None:
    """Repeated fields are joined; a name with "_" cannot replace one with "-"."""
    lines = b"Content-Type: a\r\nX-Y: 1\r\nX_Y: evil\r\nx-y: 2\r\nContent_Type: evil\r\n"
    told = environ(client, lines)
    assert (told["CONTENT_TYPE"], told["HTTP_X_Y"]) == ("a", "1,2")
    assert "evil" not in told.values()
    assert "HTTP_CONTENT_TYPE" not in told


@pytest.mark.parametrize(
    ("line", "keeps_client", "first", "last"),
    [
        (b"GET / HTTP/1.1", True, b"HTTP/1.1 200 OK\r\n", b"GMT\r\n\r\nabc"),
        (b"GET / HTTP/1.1", False, b"HTTP/1.1 200 OK\r\n", b"\r\nConnection: close\r\n\r\nabc"),
        (b"GET / HTTP/1.0", True, b"HTTP/1.0 200 OK\r\n", b"\r\nConnection: keep-alive\r\n\r\nabc"),
        (b"HEAD / HTTP/1.1", True, b"HTTP/1.1 200 OK\r\n", b"GMT\r\n\r\n"),
    ],
)
def test_an_answer_has_the_connection_field_of_its_version(
    client: Client, line: bytes, keeps_client: bool, first: bytes, last: bytes
) -> None:
    """The Connection field fits the HTTP version; the length is always there, HEAD has no body."""
    app = Flask("test")
    app.add_url_rule("/", view_func=lambda: request.get_data().decode())
    answer = answer_of(app, environ(client, b"", line), keeps_client=keeps_client)
    assert answer.startswith(first)
    assert b"\r\nContent-Length: 3\r\n" in answer
    assert answer.endswith(last)
