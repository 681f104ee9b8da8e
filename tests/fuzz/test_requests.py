"""Requests to the API and the proxy: this program and Go's net/http read the same.

Prometheus is behind the proxy, and other proxies may be in front of it: if one of them read a
request as two, or as another one, a forbidden request could be smuggled through. The requests that
only one of both accepts are listed in this file; each is intended.
"""

from __future__ import annotations

import re

from hypothesis import note
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.http_grammar import REQUESTS
from tests.fuzz.oracle import Message, Oracle
from tests.fuzz.understood import Taken, understood
from wrapper.proxy.http_head import origin_form

# Go accepts these and we do not: our messages, by reason.
REFUSED = re.compile(
    # A line that ends with only LF or CR: a proxy in front of us may not see its end.
    "LF|CR(LF)? |ends with LF|Invalid header (field|value) char|"
    # A body of two lengths, one of HTTP/1.0 in chunks, or with a length of 19 digits.
    "Transfer-Encoding|Duplicate Content-Length|length is ambiguous|Chunk size overflow|"
    # Invalid chunks; Go does not check extensions.
    "chunk size|chunk extension|chunk data|line between chunks|"
    # An invalid trailer or field; a folded one.
    "Invalid header token|Unexpected whitespace after header value|"
    # Versions other than 1.0 and 1.1; methods that llhttp does not know; HTTP/2.
    "HTTP version|first line|Invalid method|Expected space after method|HTTP/2|"
    # A target with bytes beyond ASCII, or that is no path or URL; CONNECT.
    "Invalid char(acter)? in url|in url (schema|server)|request target|CONNECT|one Host|"
    # Two fields where one is allowed, and unusually long fields.
    "two fields Host|longer than|"
    # Expect with another value, and the admin paths of Prometheus.
    "100-continue|admin paths"
)
# We accept these and Go does not: a target that cannot be decoded, for which Go answers 400, also
# behind us; an empty line before a request (RFC 9112, 2.2), which Go skips only after a POST; a
# chunk's length with many zeros or a long extension, which is rewritten; and a Trailer with a
# forbidden name, which is not forwarded.
TAKEN = re.compile(
    rb"%(?![0-9a-fA-F]{2})|^\r\n[A-Z]|000000000000000005\r\n|;x{8000}|Trailer.+Content-Length",
    re.MULTILINE,
)


@fuzzed(600, data=REQUESTS, piece_bytes=st.sampled_from((1 << 20, 1, 2, 3, 7)))
def test_requests_are_read_as_go_reads_them(go: Oracle, data: bytes, piece_bytes: int) -> None:
    """Requests that both accept have the same method, target and body, in any pieces."""
    note(repr(data)[:2000])
    ours, theirs = understood(data, piece_bytes), go.requests(data).messages
    for taken, seen in zip(ours.taken, theirs, strict=False):
        if seen.is_broken:
            assert taken.is_broken or TAKEN.search(data)
            return
        assert read(taken) == (seen.method, origin_form(seen.target), seen.minor, seen.body)
        assert not taken.is_broken
    if len(theirs) > len(ours.taken) and not ours.is_over:
        assert ours.refused
        assert REFUSED.search(str(ours.refused)), ours.refused
    if len(theirs) < len(ours.taken):
        assert TAKEN.search(data)


def read(taken: Taken) -> tuple[bytes, bytes, int, bytes]:
    """Return the parts that Go must read too."""
    request = taken.request
    return request.method, request.target, request.minor, taken.body


@fuzzed(300, data=REQUESTS)
def test_forwarded_requests_are_read_as_accepted(go: Oracle, data: bytes) -> None:
    """Go, as Prometheus, reads the forwarded requests as the same requests."""
    taken = [each for each in understood(data).taken if not each.is_broken]
    taken = [each for each in taken if not TAKEN.search(each.request.target)]
    seen = go.requests(b"".join(each.forwarded for each in taken)).messages
    assert [_forwarded(each) for each in taken] == [_seen(each) for each in seen]


def _forwarded(taken: Taken) -> tuple[bytes, ...]:
    return taken.request.method, taken.request.target, taken.body, b"upstream"


def _seen(message: Message) -> tuple[bytes, ...]:
    assert not message.is_broken
    return message.method, message.target, message.body, message.host
