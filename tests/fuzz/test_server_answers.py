"""Answers of an API server, a Prometheus, a server of targets, or another program in its place.

A server on loopback sends bytes and closes; only the documented errors may be raised.
"""

from __future__ import annotations

import gc
import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.pod_patch import Pod
from wrapper.model.fetched_file import Feed
from wrapper.model.lease import LeaseConflict, LeaseRecord, LeaseUnavailable, ObservedLease
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.targets.fetch import NO_VALIDATORS, Fetcher, FetchFailed

# urllib3 leaves the socket of an answer with two lengths to the garbage collector (2.8).
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning"),
]
LIMIT_S = 5.0
LEASE = {
    "kind": "Lease",
    "metadata": {"name": "l", "resourceVersion": "7", "annotations": {"x": "y"}},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 1},
}
STATUS = {"kind": "Status", "reason": "NotFound", "details": {"kind": "leases"}, "message": "no"}
EVENTS = [
    {"type": kind, "object": LEASE} for kind in ("ADDED", "MODIFIED", "DELETED", "ERROR", "X")
]
GROUPS = [{"targets": ["h:1"], "labels": {"a": "b"}}]
LINES = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 201 Created", b"HTTP/1.0 200", b"HTTP/1.1 404 Not Found"),
    *(b"HTTP/1.1 409 Conflict", b"HTTP/1.1 429 \xff", b"HTTP/1.1 503 x", b"HTTP/1.1 302 Found"),
    *(
        b"HTTP/1.1 401 Unauthorized",
        b"HTTP/1.1 403 Forbidden",
        b"HTTP/1.1 410 Gone",
        b"HTTP/1.1 204",
    ),
    *(b"HTTP/9.9 200 OK", b"HTTP/1.1 99999", b"HTTP/1.1 -1 x", b"ICY 200 OK", b"", b"\x16\x03\x01"),
    *(b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 101 Switching", b"HTTP/1.1 422 x"),
)
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
)
FIELDS = (
    *(b"Content-Type: application/json", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip"),
    *(b"Content-Encoding: deflate", b"Content-Encoding: gzip, gzip", b"Content-Encoding: br"),
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: x", b"Content-Length: 1e3"),
    *(b"Content-Length: 99999999999999999999999", b"Retry-After: 7", b"Retry-After: \xb2"),
    *(
        b"Location: http://[",
        b"Location: //h/\xff",
        b"no colon",
        b" folded: x",
        b"X: " + b"x" * 70000,
    ),
    *(
        b"Content-Length: 3\r\nContent-Length: 4",
        b"ETag: \xff",
        b"Connection: close",
        b":",
        b"\x00: x",
    ),
    *(b"Trailer: X", b"Last-Modified: x", b"Set-Cookie: " + b"a" * 300),
)


def answer(seed: int) -> bytes:
    """Return an answer that is nearly valid."""
    chance = Random(seed)
    body = chance.choice(
        [
            *(json.dumps(each).encode() for each in (LEASE, STATUS, GROUPS, {}, [], "x", 1e308)),
            b"\n".join(json.dumps(each).encode() for each in chance.choices(EVENTS, k=3)) + b"\n",
            *(b"<html>login</html>", b"", b"[" * 5000, b'{"a":' * 3000, b"\xff\xfe", b'"\\ud800"'),
            *(b"1" * 5000, b"NaN", chance.randbytes(20)),
        ]
    )
    if chance.random() < 0.3 and body:
        at = chance.randrange(len(body))
        body = body[:at] + chance.randbytes(chance.choice([0, 1, 4])) + body[at + 1 :]
    fields = chance.sample(FIELDS, chance.choice([0, 0, 1, 1, 2, 4]))
    encoding = b"".join(fields)
    if b"gzip" in encoding and chance.random() < 0.8:
        body = gzip.compress(body, 1)
    elif b"deflate" in encoding:
        body = zlib.compress(body)
    if b"chunked" in encoding:
        size = chance.choice([b"%x" % len(body), b"%x" % len(body), b"-1", b"", b"f" * 20, b"5"])
        body = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    elif b"Length" not in encoding and chance.random() < 0.7:
        fields.append(b"Content-Length: %d" % (len(body) + chance.choice([0, 0, 0, 5, -1])))
    first = chance.choice(LINES) if chance.random() < 0.6 else LINES[0]
    before = chance.choice(INTERIM) * chance.choice([0, 0, 0, 0, 3])
    sent = before + b"\r\n".join([first, *fields]) + b"\r\n\r\n" + body
    return sent[: chance.randrange(len(sent) + 1)] if chance.random() < 0.1 else sent


class Server:
    """Sends these bytes on each connection, after a request's header."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.sent = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.settimeout(LIMIT_S)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        seen = b""
        with connection, suppress(OSError):
            while b"\r\n\r\n" not in seen and (piece := connection.recv(65536)):
                seen += piece
            connection.sendall(self.sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass  # otherwise the kernel would discard the answer

    def end(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server.

    The garbage collector is off until the end: if it found a socket while JSON of 5,000 levels is
    parsed, pytest would have no stack left to report that.
    """
    gc.disable()
    running = Server()
    yield running
    running.end()
    gc.enable()
    gc.collect()  # here, not in the tests of another file


@pytest.fixture(scope="module")
def kubeconfig(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a kubeconfig for this server."""
    path: Path = tmp_path_factory.mktemp("answers") / "kubeconfig"
    content: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def check(error: Exception) -> None:
    """Check that an error is one short, printable line."""
    assert str(error).isprintable(), str(error)
    assert 5 < len(str(error)) < 1000


seeds = st.integers(0, 1 << 60)


@fuzzed(60, seed=seeds)
def test_answers_of_an_api_server(server: Server, kubeconfig: str, seed: int) -> None:
    """Requests for a lease and a pod give a result, or one of the documented errors."""
    server.sent = answer(seed)
    lease = KubernetesLease("l", "n", kubeconfig, "i", LIMIT_S)
    pod = Pod("p", "n", "u", label=("a", "b"), kubeconfig=kubeconfig, request_timeout_s=LIMIT_S)
    seen: ObservedLease | None = None
    for call in (lease.read, lambda: lease.write(LeaseRecord("a"), None)):
        try:
            seen = call()
        except (LeaseUnavailable, LeaseConflict) as error:
            check(error)
        else:
            assert seen.record is None or seen.version
    try:
        pod.set_label(is_on=True)
    except (LeaseUnavailable, LeaseConflict) as error:
        check(error)
    for asked in (lease, pod):
        asked._cluster._discard()  # connections that are kept for the next request


@fuzzed(60, seed=seeds)
def test_answers_to_a_watch(server: Server, kubeconfig: str, seed: int) -> None:
    """A watch reports changes, or ends with one of the documented errors."""
    server.sent = answer(seed)
    lease = KubernetesLease("l", "n", kubeconfig, "i", LIMIT_S)
    reported: list[ObservedLease | None] = []
    try:
        lease.watch(ObservedLease(None), reported.append)
    except (LeaseUnavailable, LeaseConflict) as error:
        check(error)
    assert all(each is None or isinstance(each, ObservedLease) for each in reported)


@fuzzed(60, seed=seeds)
def test_answers_of_prometheus(server: Server, seed: int) -> None:
    """No answer of Prometheus raises an error."""
    server.sent = answer(seed)
    url = f"http://127.0.0.1:{server.port}"
    api = PrometheusApi(url)
    try:
        said = api.reload("POST", url, LIMIT_S)
        assert len(said.summary) <= 1400
        api.evidence(LIMIT_S)
        api.flags(LIMIT_S)
        api.replay(LIMIT_S)
    finally:
        api.close()


@fuzzed(60, seed=seeds, ending=st.sampled_from(["json", "yml"]))
def test_answers_of_a_server_of_targets(server: Server, seed: int, ending: str) -> None:
    """A fetch gives a body within the limit, or FetchFailed."""
    server.sent = answer(seed)
    client = Fetcher(PrometheusAccess(), LIMIT_S, 1 << 20)
    try:
        fetched = client.fetch(
            Feed(f"http://127.0.0.1:{server.port}/x", f"/x.{ending}"), NO_VALIDATORS
        )
    except FetchFailed as error:
        check(error)
    else:
        assert fetched.body is None or len(fetched.body) <= 1 << 20
