"""What a client sends to the API and the proxy: we and Go's net/http understand the same of it.

A Prometheus is behind the proxy, and others may be in front of it: were there a request that one of
them takes for two, or for another, it could be smuggled past what is refused here. What only one of
both takes is listed in this file: each was decided.
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

# Go takes it, we do not: our words for it, by why.
REFUSED = re.compile(
    # A line that ends with LF alone, or with CR: a proxy before us may not see its end.
    "LF|CR(LF)? |ends with LF|Invalid header (field|value) char|"
    # A body of two lengths, one of HTTP/1.0 in chunks, or with a length of 19 digits.
    "Transfer-Encoding|Duplicate Content-Length|length is ambiguous|Chunk size overflow|"
    # Chunks that are not as the grammar has them; Go does not look at extensions.
    "chunk size|chunk extension|chunk data|line between chunks|"
    # A trailer, or a field, that is none; one that is folded.
    "Invalid header token|Unexpected whitespace after header value|"
    # Versions but 1.0 and 1.1; methods that llhttp does not know; HTTP/2.
    "HTTP version|first line|Invalid method|Expected space after method|HTTP/2|"
    # A target with bytes beyond ASCII, one that is no path or URL, CONNECT.
    "Invalid char(acter)? in url|in url (schema|server)|request target|CONNECT|one Host|"
    # Two fields where one is meant, and what is unusually long.
    "two fields Host|longer than|"
    # Expect with another word, and the admin paths of Prometheus.
    "100-continue|admin paths"
)
# We take it, Go does not: a target that cannot be decoded, at which it answers 400 also behind us;
# an empty line before a request (RFC 9112, 2.2), which it skips after a POST only; a chunk's length
# with many zeros or a long extension, which is written anew; and a Trailer with a name that no
# trailer may have, neither of which is forwarded.
TAKEN = re.compile(
    rb"%(?![0-9a-fA-F]{2})|^\r\n[A-Z]|000000000000000005\r\n|;x{8000}|Trailer.+Content-Length",
    re.MULTILINE,
)


@fuzzed(600, data=REQUESTS, piece_bytes=st.sampled_from((1 << 20, 1, 2, 3, 7)))
def test_requests_are_what_go_understands(go: Oracle, data: bytes, piece_bytes: int) -> None:
    """What both take has the same method, target and body, however it comes."""
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
    """Return what Go has to see too."""
    request = taken.request
    return request.method, request.target, request.minor, taken.body


@fuzzed(300, data=REQUESTS)
def test_what_is_forwarded_is_what_was_taken(go: Oracle, data: bytes) -> None:
    """Go, as Prometheus, sees as many requests on a connection as are sent on it, and the same."""
    taken = [each for each in understood(data).taken if not each.is_broken]
    taken = [each for each in taken if not TAKEN.search(each.request.target)]
    seen = go.requests(b"".join(each.forwarded for each in taken)).messages
    assert [_forwarded(each) for each in taken] == [_seen(each) for each in seen]


def _forwarded(taken: Taken) -> tuple[bytes, ...]:
    return taken.request.method, taken.request.target, taken.body, b"upstream"


def _seen(message: Message) -> tuple[bytes, ...]:
    assert not message.is_broken
    return message.method, message.target, message.body, message.host
