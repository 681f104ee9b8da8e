"""Property test: request and answer through the proxy are the same as without it."""

from __future__ import annotations

import http.client
import string
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.conftest import Web, leading
from tests.web.upstreams import Call, Persistent, persistent

# Fields of the connection, and of the framing, like Content-Length and Transfer-Encoding.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te",
              "proxy-connection", "trailer", "transfer-encoding", "upgrade", "content-length",
              "date", "server"}  # fmt: skip
ADDED = {"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via",
         "prometheus-elector-hop", "accept-encoding"}  # fmt: skip

NAMES = st.one_of(
    st.sampled_from(("X", "ETag", "Set-Cookie", "Cookie", "Accept", "Vary", "Content-Encoding",
                     "Last-Modified", "Range", "Content-Range", "Authorization", "Server",
                     "Keep-Alive", "Proxy-Authenticate", "Upgrade", "X-Named")),
    st.text("!#$%&'*+-.^`|~" + string.ascii_letters + string.digits, min_size=1, max_size=9),
)  # fmt: skip
VALUES = st.text("".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x100), 9))), max_size=20).map(
    lambda text: text.strip(" \t")
)
RESERVED = HOP_BY_HOP | ADDED | {"expect", "content-type"}
FIELDS = st.lists(
    st.tuples(NAMES, VALUES).filter(lambda field: field[0].lower() not in RESERVED), max_size=6
)
TARGETS = st.text(
    "".join(map(chr, range(0x21, 0x7F))), max_size=40
).map(lambda text: "/q/" + text)  # fmt: skip
BODIES = st.one_of(st.just(b""), st.binary(max_size=64), st.integers(1, 300_000).map(bytes))


@dataclass(frozen=True)
class Case:
    """A request, with its body in pieces if it is chunked, and the answer to it."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes | list[bytes] | None
    code: int
    reason: str
    answer_fields: list[tuple[str, str]]
    answer_body: bytes
    framing: str


CASES = st.builds(
    Case,
    method=st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")),
    target=TARGETS,
    fields=FIELDS,
    body=st.one_of(st.none(), BODIES, st.lists(BODIES, max_size=4)),
    code=st.sampled_from((200, 201, 204, 206, 302, 304, 400, 404, 422, 500, 503, 599)),
    reason=st.sampled_from(("OK", "", "Not really", "caf\xe9")),
    answer_fields=FIELDS,
    answer_body=BODIES,
    framing=st.sampled_from(("length", "chunked", "close")),
)


class Recorder:
    """Answers as the case defines, and records the request."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.head = b""
        self.body = b""

    def __call__(self, call: Call) -> bool:
        """Read the complete request, then answer it."""
        self.head, self.body = call.head, body_of(call)
        case = self.case
        fields = [*case.answer_fields, ("Connection", "X-Named")]
        has_body = case.method != "HEAD" and case.code not in (204, 304)
        if case.framing == "length":
            fields.append(("Content-Length", str(len(case.answer_body))))
        elif case.framing == "chunked" and has_body:
            fields.append(("Transfer-Encoding", "chunked"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"HTTP/1.1 {case.code} {case.reason}\r\n{lines}\r\n"
        call.sock.sendall(head.encode("latin-1") + (self._framed() if has_body else b""))
        return case.framing == "close"

    def _framed(self) -> bytes:
        body = self.case.answer_body
        if self.case.framing != "chunked":
            return body
        pieces = [body[at : at + 40_000] for at in range(0, len(body), 40_000)]
        return b"".join(b"%x\r\n%b\r\n" % (len(x), x) for x in pieces) + b"0\r\n\r\n"


def body_of(call: Call) -> bytes:
    """Return the complete body of a request."""
    fields = dict(fields_of(call.head))
    if "transfer-encoding" not in fields:
        return _read(call, call.rest, int(fields.get("content-length", 0)))
    body, data, size = b"", call.rest, -1
    while size:
        while b"\r\n" not in data:
            data = _read(call, data, len(data) + 1)
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        data = _read(call, data, size + 2)
        assert data[size : size + 2] == b"\r\n"
        body, data = body + data[:size], data[size + 2 :]
    return body


def _read(call: Call, data: bytes, wanted: int) -> bytes:
    """Return these bytes and the next ones, until there are as many as wanted."""
    while len(data) < wanted:
        piece = call.sock.recv(65536)
        assert piece, data
        data += piece
    return data


def fields_of(head: bytes) -> list[tuple[str, str]]:
    """Return the fields of a header, with names in lower case."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return [(name.lower(), value.strip(" \t")) for name, _, value in pairs]


def asked(url: str, case: Case) -> tuple[object, ...]:
    """Send the request; return status, end-to-end fields and body of the answer."""
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    client.putrequest(case.method, case.target, skip_accept_encoding=True)
    for name, value in case.fields:
        client.putheader(name, value.encode("latin-1"))
    if isinstance(case.body, list):
        client.putheader("Transfer-Encoding", "chunked")
    elif case.body is not None:
        client.putheader("Content-Length", str(len(case.body)))
    client.endheaders(case.body, encode_chunked=isinstance(case.body, list))
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer.status, answer.reason, sorted(end_to_end(answer.getheaders())), body


def end_to_end(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the end-to-end fields, without those that Connection names."""
    pairs = [(name.lower(), value.strip(" \t")) for name, value in fields]
    return [pair for pair in pairs if pair[0] not in HOP_BY_HOP | {"x-named"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Persistent]:
    """Run an upstream whose answer each example sets."""
    with persistent(Call.say) as server:
        yield server


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_direct_and_proxied_are_equal(shared_web: Web, upstream: Persistent, case: Case) -> None:
    """Request and answer are equal with and without the proxy, for any case.

    They are compared by status, target, end-to-end fields and body.
    """
    shared_web.tell(leading(upstream.url))
    direct, proxied = Recorder(case), Recorder(case)
    upstream.answer = direct
    answer = asked(upstream.url, case)
    upstream.answer = proxied
    assert asked(shared_web.url, case) == answer
    assert proxied.head.split(b"\r\n")[0] == direct.head.split(b"\r\n")[0]
    assert proxied.body == direct.body
    assert crossing(proxied) == crossing(direct)


def crossing(recorder: Recorder) -> list[tuple[str, str]]:
    """Return the fields of a request that must arrive unchanged."""
    return sorted(pair for pair in fields_of(recorder.head) if pair[0] not in ADDED)
