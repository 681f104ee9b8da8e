"""Configured header fields among those of a message."""

from __future__ import annotations

import pytest

from wrapper.proxy.forwarded_request import forwarded_fields
from wrapper.proxy.header_overrides import ConfiguredFields, configured_fields
from wrapper.proxy.http_head import request_head


@pytest.mark.parametrize(
    ("fields", "lines", "expected"),
    [
        ((), b"A: 1\r\n", b"A: 1\r\n"),
        ((("B", "2"),), b"A: 1\r\n", b"A: 1\r\nB: 2\r\n"),
        ((("a", "2"),), b"A: 1\r\nAB: 1\r\nA:\r\nC: A: 1\r\n", b"AB: 1\r\nC: A: 1\r\na: 2\r\n"),
        ((("A", "1"), ("A", "2")), b"A: 0\r\n", b"A: 1\r\nA: 2\r\n"),
        ((("A.B", "1"),), b"AxB: 0\r\na.b: 0\r\n", b"AxB: 0\r\nA.B: 1\r\n"),
        ((("A", "caf\xe9"),), b"", b"A: caf\xe9\r\n"),
    ],
)
def test_configured_fields_replace_those_of_the_message(
    fields: tuple[tuple[str, str], ...], lines: bytes, expected: bytes
) -> None:
    """Each field of the same name, in any case, is removed; the configured ones are added."""
    assert configured_fields(fields).into(lines) == expected


def test_secrets_are_not_shown() -> None:
    """The representation has the names only."""
    assert "hunter" not in repr(configured_fields((("A", "hunter"),)))
    assert ConfiguredFields().names == frozenset()


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (b"Host: a\r\n", ()),
        (b"Host: a\r\nAUTHORIZATION:  Basic x \r\nA: b\r\n", (b"Basic x",)),
        (b"authorization: a\r\nHost: a\r\nAuthorization: b\r\n", (b"a", b"b")),
        (b"Proxy-Authorization: a\r\nX: Authorization: b\r\nHost: a\r\n", ()),
    ],
)
def test_credentials_are_kept_apart(lines: bytes, values: tuple[bytes, ...]) -> None:
    """Credentials are not part of the forwarded lines."""
    head = request_head(b"GET / HTTP/1.1\r\n%b\r\n" % lines)
    found = forwarded_fields(head, "192.0.2.1", "http")
    assert found.authorization == values
    assert b"\r\nauthorization:" not in b"\r\n" + found.lines.lower()
    assert found.problem is None
