"""Prometheus' answers to the proxy: the client gets the answer that Go's net/http reads.

A client relies on the proxy for the end of an answer: if the proxy ended it elsewhere than
Prometheus, a part of it could count as the answer to the next request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypothesis import note
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from tests.fuzz.http_grammar import ANSWERS
from tests.fuzz.oracle import Message, Oracle
from wrapper.proxy.forwarded_request import Request, forwarded_fields
from wrapper.proxy.forwarded_response import forwarding
from wrapper.proxy.header_overrides import configured_fields
from wrapper.proxy.http_body import BadBody
from wrapper.proxy.http_head import BadHead, request_head, response_head

OWN = configured_fields(())
CONNECTION = re.compile(rb"(?im)^connection:(.*(?:\n[ \t].*)*)").findall
OF_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade date "
    b"content-length".split()
)


@dataclass(frozen=True, slots=True)
class PassedOn:
    """What a client gets: the bytes, whether they are complete, and which connections stay."""

    data: bytes
    is_whole: bool
    keeps_client: bool
    keeps_upstream: bool


def request_of(method: bytes, minor: int) -> Request:
    """Return a request with this method and version."""
    head = request_head(b"%b / HTTP/1.%d\r\nHost: a\r\n\r\n" % (method, minor))
    return Request(
        head.method, head.target, head.minor, forwarded_fields(head, "192.0.2.1", "http")
    )


def passed_on(data: bytes, request: Request, piece_bytes: int) -> PassedOn | None:
    """Return what a client gets of an answer in pieces of this size; None if it is invalid."""
    head = response_head(data)
    while head is not None and head.code < 200 and head.code != 101:
        data = data[head.end :]
        head = response_head(data)
    if head is None or head.code == 101:
        return None
    answer = forwarding(head, request, 0.0, OWN, keeps_client=True)
    passed = answer.head
    rest = data[head.end :]
    for at in range(0, len(rest), piece_bytes):
        if not answer.body.is_complete:
            passed += answer.body.take(rest[at : at + piece_bytes])
    if not answer.body.is_complete:
        passed += answer.body.end()
    return PassedOn(passed, answer.body.is_complete, answer.keeps_client, answer.keeps_upstream)


@fuzzed(
    600,
    data=ANSWERS,
    method=st.sampled_from((b"GET", b"HEAD", b"POST")),
    minor=st.sampled_from((1, 0)),
    piece_bytes=st.sampled_from((1 << 20, 1, 3)),
)
def test_the_client_gets_the_answer_that_go_reads(
    go: Oracle, data: bytes, method: bytes, minor: int, piece_bytes: int
) -> None:
    """Status, fields and body for the client are those that Go reads, and nothing follows them."""
    note(repr(data)[:2000])
    request = request_of(method, minor)
    try:
        passed = passed_on(data, request, piece_bytes)
    except (BadHead, BadBody):
        return
    if passed is None:
        return
    theirs, ours = go.answer(method, data), go.answer(method, passed.data)
    assert len(ours.messages) == 1, ours
    assert not ours.rest
    assert not ours.messages[0].is_broken
    if theirs.messages and not theirs.messages[0].is_broken:
        named = options(data)
        assert understood(ours.messages[0], named) == understood(theirs.messages[0], named)


def options(data: bytes) -> frozenset[bytes]:
    """Return the names of the fields in Connection, which are not passed on.

    Go cannot answer this: if one option is "close", its client removes the whole field.
    """
    return frozenset(
        word.strip().lower() for value in CONNECTION(data) for word in value.split(b",")
    )


def understood(message: Message, named: frozenset[bytes]) -> tuple[object, ...]:
    """Return what a client reads; Go keeps the space of a folded line that is empty."""
    left_out = OF_HOP | named
    fields = [(name, value.strip()) for name, value in message.fields if name not in left_out]
    return message.status, message.body, fields
