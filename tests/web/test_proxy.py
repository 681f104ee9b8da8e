"""The proxy in the real web process, with an upstream that records and misbehaves."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.support import free_port, wait_until
from tests.web.conftest import FOLLOWER, Upstream, Web, following, leading, read_all, say
from wrapper.base import clock
from wrapper.model.snapshot import Snapshot
from wrapper.options.web_options import WebOptions
from wrapper.proxy.http_head import origin_form
from wrapper.proxy.refusals import Refused
from wrapper.proxy.route import plain_path, target_of
from wrapper.proxy.upstream import Target

PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OPTIONS = WebOptions(snapshot_fd=0, local_port=9091, remote_port=9092, service_name="prom.mon")


def test_request_and_answer_pass(web: Web, upstream: Upstream) -> None:
    """The client gets the answer of the leader's Prometheus."""
    web.tell(leading(upstream.url))
    answer = web.get("/api/v1/query?query=up")
    assert (answer.status_code, answer.text) == (200, "hello")
    assert upstream.request_line == "GET /api/v1/query?query=up HTTP/1.1"


# --- the target of a request ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("snapshot", "target"),
    [
        (leading("http://10.0.0.1:1/prefix"), Target("http://10.0.0.1:1", is_local=True)),
        (leading(), Target("http://127.0.0.1:9091", is_local=True)),
        (
            leading(prometheus_url="http://10.0.0.1:1"),
            Target("http://127.0.0.1:9091", is_local=True),
        ),
        (following("http://10.0.0.2:2/x"), Target("http://10.0.0.2:2", is_local=False)),
        (following(), Target("http://prometheus-1.prom.mon:9092", is_local=False)),
        (
            following(prometheus_url="https://10.0.0.1:1"),
            Target("https://prometheus-1.prom.mon:9092", is_local=False),
        ),
    ],
    ids=["own child", "sidecar", "sidecar, URL known", "lock file", "service", "service, TLS"],
)
def test_the_target_is_the_leaders_prometheus(snapshot: Snapshot, target: Target) -> None:
    """The target is the own child, a local port, the lease's URL, or the holder's host name."""
    now = clock.now()
    assert target_of(replace(snapshot, stamped_at=now), OPTIONS, now) == target


@pytest.mark.parametrize(
    ("snapshot", "age_s", "reason"),
    [
        (None, 0.0, "not published"),
        (leading(), 6.0, "6.0 s ago"),
        (FOLLOWER, 0.0, "no replica is known to lead"),
        (following(lease_expires_at=clock.now() - 1), 0.0, "no replica is known to lead"),
        (leading(leads_until_at=clock.now() - 1), 0.0, "no replica is known to lead"),
    ],
    ids=["no snapshot", "stale", "nobody", "lease run out", "own lease run out"],
)
def test_without_a_leader_there_is_no_target(
    snapshot: Snapshot | None, age_s: float, reason: str
) -> None:
    """If no leader is known, the request is refused with the reason."""
    now = clock.now()
    stamped = replace(snapshot, stamped_at=now - age_s) if snapshot else None
    with pytest.raises(Refused, match=reason) as refused:
        target_of(stamped, OPTIONS, now)
    assert refused.value.code == 503


def test_a_leader_without_an_address_is_no_target() -> None:
    """If neither the lease nor a service name locates the holder, the request is refused."""
    now = clock.now()
    with pytest.raises(Refused, match="prometheus-1 leads, but"):
        target_of(replace(following(), stamped_at=now), replace(OPTIONS, service_name=""), now)


@pytest.mark.parametrize(
    "holder",
    [
        "169.254.169.254/",
        "evil.example:80/",
        "evil.example?",
        "evil.example#",
        "evil.example\\",
        "alice@evil.example/",
        "[::1]/",
        "evil.example:1",
        "evil example",
        ".evil",
        "a..b",
        "evil.example.",
        "é",
        "x" * 64,
        "a\n",
    ],
)
def test_a_holder_that_is_no_host_name_is_refused(holder: str) -> None:
    """A holder that is not a host name is refused, because it could lead to any host."""
    now = clock.now()
    with pytest.raises(Refused, match="cannot be a host's name") as refused:
        target_of(replace(following(holder=holder), stamped_at=now), OPTIONS, now)
    assert refused.value.code == 502


@pytest.mark.parametrize("holder", ["prometheus-1", "a.b", "Host_1", "10.0.0.1"])
def test_a_host_name_is_resolved_in_the_service(holder: str) -> None:
    """A holder that is a host name is resolved as a name in the Service."""
    now = clock.now()
    target = target_of(replace(following(holder=holder), stamped_at=now), OPTIONS, now)
    assert target == Target(f"http://{holder}.prom.mon:9092", is_local=False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("age_s", [0.0, 60.0])
def test_no_leader_is_503(web: Web, method: str, age_s: float) -> None:
    """Without a leader, or with a stale snapshot, the answer is a 503 with Retry-After."""
    web.tell(FOLLOWER, age_s)
    answer = web.get("/api/v1/query", method=method, data=b"x" if method == "POST" else None)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    if method != "HEAD":
        assert answer.json().keys() == {"status", "errorType", "error"}
        assert answer.json()["errorType"] == "unavailable"


# --- header fields and targets ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        ("/", "/"),
        ("/a%2Fb", "/a%2Fb"),
        ("//a//b/", "//a//b/"),
        ("/a/../b/./c", "/a/../b/./c"),
        ("/%e2%82%ac?q=%7B%22a%22%7D&q=+&q", "/%e2%82%ac?q=%7B%22a%22%7D&q=+&q"),
        ("/a?b=c?d/e;f", "/a?b=c?d/e;f"),
        ("/a;b=c", "/a;b=c"),
        ("/?", "/?"),
        ("http://elsewhere/a%2Fb?c", "/a%2Fb?c"),
        ("http://elsewhere", "/"),
        ("http://elsewhere?a=/b", "/?a=/b"),
        ("/" + "x" * 60_000, "/" + "x" * 60_000),
    ],
)
def test_the_request_target_is_passed_unchanged(
    web: Web, upstream: Upstream, target: str, arrives: str
) -> None:
    """Path and query are passed on unchanged."""
    web.tell(leading(upstream.url))
    web.raw(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert upstream.request_line == f"GET {arrives} HTTP/1.1"


def test_end_to_end_request_fields_are_passed(web: Web, upstream: Upstream) -> None:
    """End-to-end fields are passed on; hop-by-hop fields and those in Connection are not."""
    web.tell(leading(upstream.url))
    web.raw(
        b"GET / HTTP/1.0\r\nHost: client.example\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n"
        b"Keep-Alive: 1\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: websocket\r\n"
        b"Proxy-Authorization: p\r\nProxy-Connection: close\r\n"
        b"Authorization: Bearer a\r\nCookie: a=1\r\nCookie: b=2\r\nAccept-Encoding: zstd\r\n"
        b'X-Latin: caf\xe9\r\nIf-None-Match: "1,2"\r\nRange: bytes=0-1\r\n\r\n'
    )
    assert sorted(upstream.fields) == [
        ("accept-encoding", "zstd"),
        ("authorization", "Bearer a"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("forwarded", 'for=127.0.0.1;host="client.example";proto=http'),
        ("host", upstream.url.removeprefix("http://")),
        ("if-none-match", '"1,2"'),
        ("prometheus-elector-hop", "1"),
        ("range", "bytes=0-1"),
        ("via", "1.1 prometheus-elector"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "client.example"),
        ("x-forwarded-proto", "http"),
        ("x-latin", "caf\xe9"),
    ]


def test_forwarding_fields_are_continued(web: Web, upstream: Upstream) -> None:
    """Forwarding fields of a previous proxy are kept and extended."""
    web.tell(leading(upstream.url))
    before = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Via": "2 edge"}
    before["Forwarded"] = "for=192.0.2.7;proto=https"
    web.get("/", headers={**before, "X-Forwarded-Host": "grafana.example"})
    fields = dict(upstream.fields)
    assert fields["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"
    assert fields["x-forwarded-proto"] == "https"
    assert fields["x-forwarded-host"] == "grafana.example"
    assert fields["via"] == "2 edge, 1.1 prometheus-elector"
    address = web.url.removeprefix("http://")
    ours = f'for=127.0.0.1;host="{address}";proto=http'
    assert fields["forwarded"] == f"for=192.0.2.7;proto=https, {ours}"


def test_end_to_end_answer_fields_are_passed(web: Web, upstream: Upstream) -> None:
    """End-to-end fields of the answer are passed back; hop-by-hop fields are not."""
    upstream.answer = say(
        b"\x1f\x8bnot really",
        b"HTTP/1.1 206 Some Of It\r\nContent-Length: 12\r\nContent-Encoding: gzip\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nSet-Cookie: a=1; Path=/\r\n"
        b'Set-Cookie: b=2\r\nETag: "x"\r\nX-Folded: a\r\n b\r\nX-Latin: caf\xe9',
    )
    web.tell(leading(upstream.url))
    head, _, body = web.raw(PLAIN).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0] == "HTTP/1.1 206 Some Of It"
    ours = ("Server:", "Date:", "Connection:")
    assert sorted(x for x in lines[1:] if not x.startswith(ours)) == [
        "Content-Encoding: gzip",
        "Content-Length: 12",
        'ETag: "x"',
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2",
        "X-Folded: a b",
        "X-Latin: caf\xe9",
    ]
    assert body == b"\x1f\x8bnot really"


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: a/b", "1234"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b", None),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Type: a/b", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nContent-Type: a/b", "1234"),
    ],
    ids=["HEAD", "HEAD, chunked", "204", "304"],
)
def test_answers_without_a_body_end_at_once(
    web: Web, upstream: Upstream, method: str, head: bytes, length: str | None
) -> None:
    """Answers to HEAD, 204 and 304 have fields but no body, and the connection stays open."""
    upstream.answer = say(b"", head)
    web.tell(leading(upstream.url))
    client = http.client.HTTPConnection(*web.address, timeout=10)
    for _ in range(2):
        client.request(method, "/")
        answer = client.getresponse()
        assert answer.read() == b""
        assert answer.getheader("Content-Length") == length
        assert answer.getheader("Content-Type") == "a/b"
    client.close()


# --- bodies --------------------------------------------------------------------------------------


def _echo(client: socket.socket, rest: bytes) -> None:
    """Answer with the body as it was received, with its chunks."""
    while not rest.endswith(b"0\r\n\r\n"):
        rest += client.recv(65536)
    say(rest)(client, b"")


def test_a_chunked_request_is_chunked_upstream(web: Web, upstream: Upstream) -> None:
    """A chunked body is complete and chunked at the upstream."""
    upstream.answer = _echo
    web.tell(leading(upstream.url))
    received = web.get("/", method="POST", data=iter([b"a" * 100_000, b"b"])).content
    assert _unchunked(received) == b"a" * 100_000 + b"b"
    assert ("transfer-encoding", "chunked") in upstream.fields


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
    return body


@pytest.mark.parametrize("length", [0, 1, 300_000])
def test_a_request_keeps_its_content_length(web: Web, upstream: Upstream, length: int) -> None:
    """A body with a Content-Length is passed on unchanged, with that length."""
    body = bytes(range(256)) * (length // 256) + b"x" * (length % 256)

    def answer(client: socket.socket, rest: bytes) -> None:
        while len(rest) < length:
            rest += client.recv(65536)
        say(rest)(client, b"")

    upstream.answer = answer
    web.tell(leading(upstream.url))
    assert web.get("/", method="PUT", data=body or b"").content == body
    assert ("content-length", str(length)) in upstream.fields


def test_expect_continue_is_passed_on(web: Web, upstream: Upstream) -> None:
    """Expect: 100-continue is passed on, and so is the upstream's 100."""

    def answer(client: socket.socket, rest: bytes) -> None:
        assert rest == b""
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        say(client.recv(10))(client, b"")

    upstream.answer = answer
    web.tell(leading(upstream.url))
    with socket.create_connection(web.address, timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n")
        client.sendall(b"Connection: close\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"abc")
        assert read_all(client).endswith(b"abc")
    assert dict(upstream.fields)["expect"] == "100-continue"


def _stream(pieces: int, piece: bytes) -> Callable[[socket.socket, bytes], None]:
    def answer(client: socket.socket, _rest: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head)
        for _ in range(pieces):
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.sendall(b"0\r\n\r\n")

    return answer


def test_a_large_answer_needs_little_memory(web: Web, upstream: Upstream) -> None:
    """An answer of 200 MB takes less than a tenth of that in memory."""
    upstream.answer = _stream(200, b"x" * 1_000_000)
    web.tell(leading(upstream.url))
    (worker,) = web.workers
    Path(f"/proc/{worker.pid}/clear_refs").write_text("5")  # reset the peak
    before = _peak_bytes(worker.pid)
    answer = web.get("/", stream=True)
    assert sum(len(piece) for piece in answer.iter_content(1 << 20)) == 200_000_000
    assert _peak_bytes(worker.pid) - before < 20_000_000


def _peak_bytes(pid: int) -> int:
    """Return the peak memory of a process."""
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) << 10


def test_an_answer_arrives_piece_by_piece(web: Web, upstream: Upstream) -> None:
    """The client gets each part of an answer when the upstream has sent it."""
    has_arrived = threading.Event()

    def answer(client: socket.socket, _rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert has_arrived.wait(10)
        client.sendall(b"1\r\nb\r\n0\r\n\r\n")

    upstream.answer = answer
    web.tell(leading(upstream.url))
    pieces = web.get("/", stream=True).iter_content(None)
    assert next(pieces) == b"a"
    has_arrived.set()
    assert next(pieces) == b"b"


def test_an_answer_may_end_with_its_connection(web: Web, upstream: Upstream) -> None:
    """An answer without a length is complete when the upstream closes the connection."""
    upstream.answer = say(b"old", b"HTTP/1.0 200 OK")
    web.tell(leading(upstream.url))
    assert web.get("/").text == "old"


def test_an_early_answer_is_passed_back(web: Web, upstream: Upstream) -> None:
    """If the upstream answers before it has read the body, the answer is passed back."""

    def answer(client: socket.socket, _rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    upstream.answer = answer
    web.tell(leading(upstream.url))
    answered = web.get("/", method="POST", data=b"x" * 1_000_000)
    assert (answered.status_code, answered.text) == (413, "no")


# --- when the upstream or the client fails -------------------------------------------------------


@pytest.fixture
def impatient_web() -> Iterator[Web]:
    """Run a web process whose idle timeout is shorter than its connect timeout."""
    web = Web(idle_timeout_s=1.0)
    yield web
    web.stop()


def test_a_refused_connection_is_502(impatient_web: Web) -> None:
    """If the upstream refuses connections, the client gets a 502 that names its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    impatient_web.tell(leading(url))
    answer = impatient_web.get("/")
    assert answer.status_code == 502
    assert answer.json()["errorType"] == "unavailable"
    assert url in answer.json()["error"]


@pytest.fixture(scope="module")
def web_with_service() -> Iterator[Web]:
    """Run a web process with a service name in which no name resolves."""
    web = Web(service_name="invalid")
    yield web
    web.stop()


@pytest.mark.parametrize("holder", ["no-such-host", "a b", "x" * 80, "prometheus:1", "é", "[", "@"])
def test_an_unknown_holder_is_502(web_with_service: Web, holder: str) -> None:
    """A holder whose name does not resolve, or is not a host name, gives a 502."""
    web_with_service.tell(following(holder=holder))
    assert web_with_service.get("/").status_code == 502


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: five",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5",
        b"HTTP/1.1 200 OK\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000 + b"Z: z",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket",
    ],
    ids=[
        "nothing",
        "no HTTP",
        "two lengths",
        "negative",
        "no number",
        "coding",
        "CL and TE",
        "chunked 1.0",
        "space",
        "bare LF",
        "no chunk",
        "huge",
        "101",
    ],
)
def test_an_invalid_answer_header_is_502(web: Web, upstream: Upstream, head: bytes) -> None:
    """If the header of an answer is invalid or ambiguous, the client gets a 502."""
    upstream.answer = say(b"", head) if head else lambda _client, _rest: None
    web.tell(leading(upstream.url))
    assert web.get("/").status_code == 502


@pytest.mark.parametrize(
    "beginning",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n40\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n",
    ],
    ids=["length", "between chunks", "inside a chunk", "bad chunk"],
)
def test_an_incomplete_answer_is_incomplete_for_the_client(
    web: Web, upstream: Upstream, beginning: bytes
) -> None:
    """If the upstream fails within a body, the client does not get a complete answer."""
    may_go_on = threading.Event()

    def answer(client: socket.socket, _rest: bytes) -> None:
        head, end, body = beginning.partition(b"\r\n\r\n")
        client.sendall(b"HTTP/1.1 200 OK\r\n" + head + end)
        assert may_go_on.wait(10)
        client.sendall(body)

    upstream.answer = answer
    web.tell(leading(upstream.url))
    client = http.client.HTTPConnection(*web.address, timeout=10)
    client.request("GET", "/")
    answered = client.getresponse()
    may_go_on.set()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answered.read()
    client.close()


def test_a_silent_upstream_is_504(web: Web, upstream: Upstream) -> None:
    """If the upstream sends nothing for the idle timeout, the client gets a 504."""
    is_over = threading.Event()
    upstream.answer = lambda _client, _rest: _ignore(is_over.wait(20))
    web.tell(leading(upstream.url))
    assert web.get("/").status_code == 504
    is_over.set()


def _ignore(_value: object) -> None:
    pass


def test_a_slow_upstream_is_not_cut(web: Web, upstream: Upstream) -> None:
    """The idle timeout counts from the last byte; a slow answer may take longer in total."""

    def answer(client: socket.socket, _rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            threading.Event().wait(0.8)
            client.sendall(b"x")

    upstream.answer = answer
    web.tell(leading(upstream.url))
    assert web.get("/").text == "xxxxx"


def test_a_disconnected_client_ends_its_upstream_request(web: Web, upstream: Upstream) -> None:
    """If the client disconnects, the connection to the upstream is closed."""
    has_ended = threading.Event()

    def answer(client: socket.socket, rest: bytes) -> None:
        try:
            _stream(10_000, b"x" * 100_000)(client, rest)
        except OSError:
            has_ended.set()

    upstream.answer = answer
    web.tell(leading(upstream.url))
    with socket.create_connection(web.address, timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000)
    assert has_ended.wait(10)
    wait_until(lambda: web.metric(IN_FLIGHT) == 0, 15, "nothing in flight")


@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Content-Length: 100000\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["short", "long", "chunked"],
)
def test_an_incomplete_request_stays_incomplete(
    web: Web, upstream: Upstream, request_: bytes
) -> None:
    """If the client disconnects within a body, the upstream gets an incomplete request."""
    received: list[bytes] = []
    upstream.answer = lambda client, rest: received.append(rest + read_all(client))
    web.tell(leading(upstream.url))
    with socket.create_connection(web.address, timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + request_)
    wait_until(lambda: web.metric(IN_FLIGHT) == 0, 15, "nothing in flight")
    wait_until(lambda: len(received) == len(upstream.heads), 15, "the upstream is left")
    assert all(len(body) < 100 and not body.endswith(b"0\r\n\r\n") for body in received)


# --- refused requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/-/quit",
        "/-/reload",
        "/prefix/-/quit",
        "//-/quit",
        "/-/./quit",
        "/x/../-/reload?a",
        "/%2d/%71uit",
        "/-%2Fquit",
        "/-/quit/",
        "http://elsewhere/-/quit",
        "/api/v1/admin/tsdb/snapshot",
        "/api/v2/admin/tsdb/delete_series",
    ],
)
def test_admin_paths_are_forbidden(web: Web, upstream: Upstream, path: str) -> None:
    """Paths that end, reload or change Prometheus are a 403, in every notation."""
    web.tell(leading(upstream.url))
    request_ = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    head, _, body = web.raw(request_.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403")
    assert json.loads(body)["status"] == "error"
    assert upstream.heads == []


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO"])
@pytest.mark.parametrize(("path", "code"), [("/-/quit", b"403"), ("/other", b"200")])
def test_a_client_cannot_change_its_path_by_a_field(
    web: Web, upstream: Upstream, name: str, path: str, code: bytes
) -> None:
    """Fields with which gunicorn lets front ends change the path are ignored."""
    web.tell(leading(upstream.url))
    request_ = f"GET {path} HTTP/1.1\r\nHost: a\r\n{name}: /-\r\nConnection: close\r\n\r\n"
    assert web.raw(request_.encode()).split(b" ", 2)[1] == code
    assert bool(upstream.heads) is (code == b"200")


@pytest.mark.parametrize(
    "path", ["/-/healthy", "/-/ready", "/quit", "/api/v1/administer", "/x-/quit"]
)
def test_similar_paths_are_allowed(web: Web, upstream: Upstream, path: str) -> None:
    """Paths that only resemble the forbidden ones are forwarded."""
    web.tell(leading(upstream.url))
    assert web.get(path).status_code == 200


@pytest.mark.parametrize(
    ("snapshot", "hops", "code"),
    [
        (leading, None, 200),
        (leading, "1", 200),
        (leading, "2", 508),
        (leading, "x", 508),
        (following, None, 200),
        (following, "1", 503),
        (following, "2", 508),
    ],
)
def test_forwarding_loops_are_refused(
    web: Web,
    upstream: Upstream,
    snapshot: Callable[[str], Snapshot],
    hops: str | None,
    code: int,
) -> None:
    """A request is forwarded at most from one replica to the leader and its Prometheus."""
    web.tell(snapshot(upstream.url))
    answer = web.get("/", headers={"Prometheus-Elector-Hop": hops} if hops else {})
    assert answer.status_code == code
    assert bool(upstream.heads) is (code == 200)
    if upstream.heads:
        assert dict(upstream.fields)["prometheus-elector-hop"] == str(int(hops or 0) + 1)


def test_a_proxy_that_is_its_own_upstream_is_508(web: Web) -> None:
    """If the upstream is the proxy itself, the client gets a 508."""
    web.tell(leading(web.url))
    assert web.get("/").status_code == 508


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ],
    ids=["CL and TE", "two CL", "folded", "bare LF", "gzip in chunks", "CONNECT"],
)
def test_ambiguous_requests_are_refused(web: Web, upstream: Upstream, request_: bytes) -> None:
    """Requests that two servers could read differently are refused."""
    web.tell(leading(upstream.url))
    assert web.raw(request_).split(b" ", 2)[1] in (b"400", b"501")
    assert upstream.heads == []


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ],
)
def test_a_refusal_has_a_date(web: Web, request_: bytes) -> None:
    """Refusals have a Date field, as all answers of a server with a clock."""
    dates = re.findall(rb"\r\nDate: ([^\r]+)\r\n", web.raw(request_))
    assert [parsedate_to_datetime(each.decode()).tzinfo for each in dates] == [UTC]


# --- metrics -------------------------------------------------------------------------------------

IN_FLIGHT = "prometheus_elector_proxy_requests_in_flight"
REQUESTS = "prometheus_elector_proxy_requests_total"


@pytest.mark.parametrize(
    ("method", "snapshot", "labels"),
    [
        ("GET", leading, 'code="200",method="GET",target="local"'),
        ("HEAD", leading, 'code="200",method="HEAD",target="local"'),
        ("POST", following, 'code="200",method="POST",target="remote"'),
        ("GET", lambda _url: FOLLOWER, 'code="503",method="GET",target="none"'),
        (
            "GET",
            lambda _url: leading("http://127.0.0.1:1"),
            'code="502",method="GET",target="local"',
        ),
    ],
)
def test_requests_are_counted(
    web: Web, upstream: Upstream, method: str, snapshot: Callable[[str], Snapshot], labels: str
) -> None:
    """Each answered request is counted once, by code, method and target."""
    web.tell(snapshot(upstream.url))
    line = f"{REQUESTS}{{{labels}}}"
    before = web.metric(line) or 0
    web.get("/", method=method)
    wait_until(lambda: web.metric(line) == before + 1, 5, line)
    assert web.metric(IN_FLIGHT) == 0


def test_incomplete_answers_are_in_flight(web: Web, upstream: Upstream) -> None:
    """While an answer is incomplete, its request counts as in flight."""
    may_end = threading.Event()

    def answer(client: socket.socket, rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        may_end.wait(10)
        client.sendall(b"b")

    upstream.answer = answer
    web.tell(leading(upstream.url))
    pieces = web.get("/", stream=True).iter_content(1)
    assert next(pieces) == b"a"
    assert web.metric(IN_FLIGHT) == 1
    may_end.set()
    assert next(pieces) == b"b"
    wait_until(lambda: web.metric(IN_FLIGHT) == 0, 15, "nothing in flight")


def test_concurrent_requests_get_their_own_answers(upstream: Upstream) -> None:
    """Each of 50 concurrent requests gets back the body that it sent.

    The web process has no short time limits, because all clients and the upstream are threads of
    this process, which a busy machine may delay for seconds.
    """

    def answer(client: socket.socket, rest: bytes) -> None:
        body = rest or client.recv(100)
        threading.Event().wait(0.05)
        say(body)(client, b"")

    upstream.answer = answer
    web = Web()
    try:
        web.tell(leading(upstream.url))
        with ThreadPoolExecutor(50) as pool:
            sent = [str(number) for number in range(50)]
            answers = pool.map(lambda x: web.get("/", method="POST", data=x, timeout=60), sent)
            received = [each.text for each in answers]
    finally:
        web.stop()
    assert received == sent


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("/a//b/../c?d", "/a/c"), ("*", "/*"), ("//x", "/x"), ("/..", "/"), ("http://h", "/")],
)
def test_paths_are_normalised_for_the_check(raw: str, plain: str) -> None:
    """The path that is checked is the one that Prometheus would understand."""
    path = origin_form(raw.encode()).partition(b"?")[0]
    assert plain_path(path) == plain
