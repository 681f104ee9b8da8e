"""Requests to an API server that misbehaves: a stand-in on loopback that plays the faults.

What a real API server does is tested against one in tests/real.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from urllib3.response import HTTPResponse

from tests.memory import stays
from tests.process.stand_in import (
    LEASE,
    LIMIT_S,
    RECORD,
    Play,
    Request,
    StandIn,
    endless,
    problem_of,
    raw,
    running,
    with_tls,
)
from tests.support import free_port, wait_until
from wrapper.election import cluster, lease_object
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.model.lease import LeaseRecord, LeaseUnavailable, ObservedLease


def test_a_request_is_sent_once_and_says_who_asks(server: StandIn, lease: KubernetesLease) -> None:
    """The path names namespace and lease, the headers the token, without the file's line end."""
    assert lease.read().version == "7"
    (request,) = server.seen
    path = "/apis/coordination.k8s.io/v1/namespaces/monitoring/leases/prometheus"
    assert (request.command, request.path) == ("GET", path)
    assert request.headers["Authorization"] == "Bearer first"
    assert request.headers["User-Agent"].startswith("prometheus-elector/")


def test_throttling_is_told_with_the_wait_asked_for(
    server: StandIn, lease: KubernetesLease
) -> None:
    """429 comes back at once with the server's wait, which is not slept through here."""
    server.play = lambda request: request.answer(429, Retry_After="30")
    problem, _ = problem_of(lambda: lease.write(RECORD, "7"))
    assert (problem.reason, problem.retry_after_s) == ("throttled", 30.0)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_server_is_asked_once(
    server: StandIn, lease: KubernetesLease, status: int
) -> None:
    """The client's own retries are off: a failure is one request and one error."""
    server.play = lambda request: request.answer(status, Retry_After="1")
    problem, _ = problem_of(lease.read)
    assert f"({status}): played" in str(problem)
    assert server.url in str(problem)
    assert (problem.reason, problem.retry_after_s) == ("server", 1.0)
    assert len(server.seen) == 1


def drip_head(request: Request) -> None:
    """Send a head that never ends."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not request.server.is_over.wait(0.05):
        request.wfile.write(b"X-Drip: x\r\n")


def drip_body(request: Request) -> None:
    """Send a body one byte at a time."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    while not request.server.is_over.wait(0.05):
        request.wfile.write(b" ")


def say_nothing(request: Request) -> None:
    """Take the request and answer nothing."""
    request.wait()


@pytest.mark.parametrize("play", [drip_head, drip_body, say_nothing])
def test_no_request_outlives_its_limit(server: StandIn, lease: KubernetesLease, play: Play) -> None:
    """Silent or dripping, the server is left at the limit, and its connection is closed."""
    server.play = play
    problem, _ = problem_of(lease.read)
    assert problem.reason == "timeout"
    assert f"no answer from {server.url} within 0.5 s" in str(problem)
    wait_until(
        lambda: not any(thread.name == "bounded" for thread in threading.enumerate()),
        15,
        "the request's thread has ended with its connection",
    )
    server.play = lambda request: request.answer(200, LEASE)
    assert lease.read().version == "7"


def test_a_connection_that_breaks_is_told(server: StandIn, lease: KubernetesLease) -> None:
    """A server that hangs up gives an error, and the next request a new connection."""

    def hang_up(request: Request) -> None:
        request.close_connection = True

    server.play = hang_up
    problem, _ = problem_of(lease.read)
    assert problem.reason == "connection"
    server.play = lambda request: request.answer(200, LEASE)
    assert lease.read().version == "7"


def test_a_refused_connection_is_told(lease_at: Callable[..., KubernetesLease]) -> None:
    """Where nobody listens, the error says that, and the same each time."""
    url = f"http://127.0.0.1:{free_port()}"
    refused = lease_at(url)
    problems = {str(problem_of(refused.read)[0]) for _ in range(3)}
    assert problems == {
        f"{url} refuses connections: start the API server there, or correct the address"
    }


def test_a_name_that_does_not_resolve_is_told(lease_at: Callable[..., KubernetesLease]) -> None:
    """A server's name that DNS does not know is its own kind of error, or a timeout of DNS."""
    problem, _ = problem_of(lease_at("http://nowhere.invalid:6443").read)
    assert problem.reason in {"dns", "timeout"}


def test_a_certificate_that_is_not_trusted_is_told(
    make_certificate: Callable[[str], tuple[Path, Path]], lease_at: Callable[..., KubernetesLease]
) -> None:
    """An unknown CA, or a certificate for another name, is refused in OpenSSL's words."""
    stand_in, certificate = StandIn(), make_certificate("DNS:other")
    with_tls(stand_in, certificate)
    with running(stand_in):
        unknown, _ = problem_of(lease_at(stand_in.url).read)
        trusted = lease_at(stand_in.url, **{"certificate-authority": str(certificate[1])})
        mismatch, _ = problem_of(trusted.read)
    assert (unknown.reason, mismatch.reason) == ("tls", "tls")
    assert "is not trusted (self-signed certificate)" in str(unknown)
    assert "is not trusted (IP address mismatch" in str(mismatch)


def test_a_server_without_tls_is_told(
    server: StandIn, lease_at: Callable[..., KubernetesLease]
) -> None:
    """HTTPS to a port that speaks HTTP is a TLS error with a hint at the port."""
    problem, _ = problem_of(lease_at(server.url.replace("http:", "https:")).read)
    assert problem.reason == "tls"
    assert "check the address and the port" in str(problem)


def only_second(request: Request) -> None:
    """Accept the token `second` only."""
    is_accepted = request.headers["Authorization"] == "Bearer second"
    request.answer(200 if is_accepted else 401, LEASE if is_accepted else None)


def test_a_token_that_changed_is_read_again(
    server: StandIn, lease: KubernetesLease, tmp_path: Path
) -> None:
    """A rotated token is used from the next request on, without a 401 first."""
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").replace(tmp_path / "token")
    server.play = only_second
    assert lease.read().version == "7"
    assert len(server.seen) == 1


def test_an_unaccepted_token_is_read_again_and_tried_once_more(
    server: StandIn, lease: KubernetesLease, tmp_path: Path
) -> None:
    """A token that arrives while the old one is being refused is found by the second try."""

    def rotate(request: Request) -> None:
        (tmp_path / "token").write_text("second")
        only_second(request)

    server.play = rotate
    assert lease.read().version == "7"
    assert [request.headers["Authorization"] for request in server.seen] == [
        "Bearer first",
        "Bearer second",
    ]


def test_a_token_that_stays_unaccepted_is_told(server: StandIn, lease: KubernetesLease) -> None:
    """Two tries, then an error that names where the credentials come from."""
    server.play = lambda request: request.answer(401)
    problem, _ = problem_of(lease.read)
    assert problem.reason == "unauthorized"
    assert "kubeconfig" in str(problem)
    assert len(server.seen) == 2


def test_something_else_than_a_lease_is_told(server: StandIn, lease: KubernetesLease) -> None:
    """A login page or a proxy that answers 200 to everything is not taken for a free lease."""
    server.play = lambda request: request.answer(200, {"hello": "world"})
    assert "with a Lease: check whether a proxy" in str(problem_of(lease.read)[0])
    server.play = lambda request: request.answer(404, {"hello": "world"})
    assert problem_of(lease.read)[0].reason == "not-found"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"metadata":' * 100_000, b"\xff", b"7"])
def test_an_answer_that_is_no_object_is_told(
    server: StandIn, lease: KubernetesLease, body: bytes
) -> None:
    """However deep it is nested, it is an error like others."""
    server.play = raw(body)
    assert "with a Lease: check whether a proxy" in str(problem_of(lease.read)[0])


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_endless_answer_is_not_read(
    server: StandIn,
    lease: KubernetesLease,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_packed: bool,
) -> None:
    """As much as an API server can hold is read, also unpacked, and no more."""
    monkeypatch.setattr(cluster, "MOST_BYTES", 1 << 20)
    body = b" " * (1 << 20) + json.dumps(LEASE).encode()
    packed = {"Content_Encoding": "gzip"} if is_packed else {}
    server.play = raw(gzip.compress(body) if is_packed else body, **packed)
    assert "larger than 1 MiB" in str(problem_of(lease.read)[0])
    assert not stays(lease.read, LeaseUnavailable)
    server.play = endless
    assert "larger than 1 MiB" in str(problem_of(lease.read)[0])
    server.play = raw(gzip.compress(body[1000:]) if is_packed else body[1000:], **packed)
    assert lease.read().version == "7"


def test_an_endless_line_of_a_watch_is_not_read(
    server: StandIn, lease: KubernetesLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event without end ends the watch, not the memory."""
    monkeypatch.setattr(cluster, "MOST_BYTES", 1 << 20)

    server.play = endless
    reported, error = watch(lease)
    assert reported == []
    assert "larger than 1 MiB" in str(error)
    assert not stays(lambda: lease.watch(ObservedLease(RECORD, "6"), print), LeaseUnavailable)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"7", b"{}", b"nothing", b'{"type":"ADDED"}'])
def test_an_odd_event_of_a_watch_is_no_news(
    server: StandIn, lease: KubernetesLease, line: bytes
) -> None:
    """It is passed over, or ends the watch with an error: what it means is found by reading."""

    def play(request: Request) -> None:
        request.begin_watch()
        request.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
        request.end_watch()

    server.play = play
    reported, _ = watch(lease)
    assert reported == []


@pytest.mark.parametrize("duration_s", [2**31 - 1, 4_294_968])
def test_a_lease_for_weeks_can_be_watched(
    server: StandIn, lease: KubernetesLease, duration_s: int
) -> None:
    """Such a duration is no time that a socket can be told to wait: the second would be 0.7 s."""
    spec = {**LEASE["spec"], "leaseDurationSeconds": duration_s}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", {**LEASE, "spec": spec})
        request.server.is_over.wait(1)
        request.event("DELETED")
        request.end_watch()

    server.play = play
    reported, error = watch(lease)
    assert error is None
    assert reported[-1] == ObservedLease(None)
    assert len(reported) == 2


def test_a_plugin_that_is_slower_than_a_request_is_waited_for(
    server: StandIn, lease: KubernetesLease, tmp_path: Path
) -> None:
    """Requests fail meanwhile, and a later one has its credentials."""
    plugin = tmp_path / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "slow"},
    }
    plugin.write_text(
        f"#!/bin/sh\necho run >>{tmp_path}/runs\nsleep 1\necho '{json.dumps(credential)}'\n"
    )
    plugin.chmod(0o755)
    path = tmp_path / "kubeconfig"
    found = yaml.safe_load(path.read_text())
    found["users"] = [
        {
            "name": each["name"],
            "user": {"exec": {"command": str(plugin), "apiVersion": credential["apiVersion"]}},
        }
        for each in found["users"]
    ]
    path.write_text(yaml.safe_dump(found))

    def version() -> str | None:
        try:
            return lease.read().version
        except LeaseUnavailable:
            return ""

    assert version() == ""
    wait_until(lambda: version() == "7", 15, "a later request has the plugin's token")
    runs = (tmp_path / "runs").read_text().splitlines()
    assert len(runs) <= 2, "once, and once more as the kubeconfig has just been written"
    assert server.seen[-1].headers["Authorization"] == "Bearer slow"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("broken: [", "kubeconfig:1:10: not YAML: "),
        ("a: !!int x", "kubeconfig: current-context is missing"),  # values are not converted
        ("a: !!bool x", "kubeconfig: current-context is missing"),
        ("a: !!timestamp x", "kubeconfig: current-context is missing"),
        ("current-context: c\ncontexts: [{name: c}]\nclusters: [{}]", "cluster None has no server"),
    ],
)
def test_a_kubeconfig_that_goes_bad_is_told(
    server: StandIn, lease: KubernetesLease, tmp_path: Path, bad: str, told: str
) -> None:
    """A file that is broken while running gives its own error, and no request; mended, it works."""
    whole = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(bad)
    problem, _ = problem_of(lease.read)
    assert problem.reason == "kubeconfig"
    assert told in str(problem)
    assert server.seen == []
    (tmp_path / "kubeconfig").write_text(whole)
    assert lease.read().version == "7"


def test_a_pods_service_account_is_used(
    make_certificate: Callable[[str], tuple[Path, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pod, server, CA, token and namespace come from environment and mounted files."""
    stand_in, certificate = StandIn(), make_certificate("IP:127.0.0.1")
    with_tls(stand_in, certificate)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(stand_in.server_port))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / "ca.crt").write_bytes(certificate[1].read_bytes())
    (tmp_path / "namespace").write_text("own")
    lease = KubernetesLease("prometheus", "", "", "pod-1", LIMIT_S, service_account=tmp_path)
    missing, _ = problem_of(lease.read)
    assert f"the pod's {tmp_path}/token: No such file or directory; mount" in str(missing)
    (tmp_path / "token").write_text("first\n")
    with running(stand_in):
        assert lease.read().version == "7"
    assert stand_in.seen[0].headers["Authorization"] == "Bearer first"
    assert "/namespaces/own/leases/" in stand_in.seen[0].path


IN_A_POD = """
import sys
from pathlib import Path
from typing import cast
from wrapper.election.kubernetes_lease import KubernetesLease

folder = Path(sys.argv[1])
lease = KubernetesLease("prometheus", "n", "", "pod-1", 20.0, service_account=folder)
print(lease.read().version, "kubernetes" in sys.modules)
"""


def test_a_pod_has_no_need_of_the_kubernetes_package(
    make_certificate: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    """Nor of its 20 MiB: requests are made without it."""
    stand_in, certificate = StandIn(), make_certificate("IP:127.0.0.1")
    with_tls(stand_in, certificate)
    (tmp_path / "ca.crt").write_bytes(certificate[1].read_bytes())
    (tmp_path / "token").write_text("first\n")
    environ = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(stand_in.server_port),
        "HOME": str(tmp_path),
    }
    with running(stand_in):
        done = subprocess.run(
            [sys.executable, "-c", IN_A_POD, tmp_path],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "7 False\n", done.stderr


def watch(lease: KubernetesLease) -> tuple[list[ObservedLease | None], Exception | None]:
    """Watch from version 6 on; return what was reported, and how it ended."""
    reported: list[ObservedLease | None] = []
    try:
        lease.watch(ObservedLease(RECORD, "6"), reported.append)
    except LeaseUnavailable as error:
        return reported, error
    return reported, None


def test_a_server_may_be_below_a_path(
    server: StandIn, lease_at: Callable[..., KubernetesLease]
) -> None:
    """As where one address leads to many clusters."""
    assert lease_at(f"{server.url}/k8s/clusters/c-1/").read().version == "7"
    assert server.seen[0].path.startswith("/k8s/clusters/c-1/apis/coordination.k8s.io/")


def test_a_watch_reports_what_changes(server: StandIn, lease: KubernetesLease) -> None:
    """Changes come with their version, a deletion as no lease, bookmarks not at all."""

    def play(request: Request) -> None:
        request.begin_watch()
        for kind in ("ADDED", "BOOKMARK", "MODIFIED", "DELETED"):
            request.event(kind)
        request.end_watch()

    server.play = play
    seen = ObservedLease(lease_object.record_of(LEASE), "7")
    assert watch(lease) == ([seen, seen, ObservedLease(None)], None)
    (request,) = server.seen
    assert "fieldSelector=metadata.name%3Dprometheus" in request.path
    assert "resourceVersion=6" in request.path
    assert re.search(r"timeoutSeconds=(2[4-9][0-9]|300)(&|$)", request.path)


@pytest.mark.parametrize("is_in_stream", [True, False])
def test_a_watch_from_a_version_too_old_asks_to_read(
    server: StandIn, lease: KubernetesLease, *, is_in_stream: bool
) -> None:
    """410, as an answer or as an event, means that changes are lost: read, and watch again."""

    def play(request: Request) -> None:
        if not is_in_stream:
            request.answer(410)
            return
        request.begin_watch()
        request.event("ERROR", {"kind": "Status", "code": 410})
        request.wait()

    server.play = play
    assert watch(lease) == ([None], None)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_watch_that_is_refused_is_told(
    server: StandIn, lease: KubernetesLease, status: int
) -> None:
    """A watch that may not begin ends with the same errors as other requests."""
    server.play = lambda request: request.answer(status)
    reported, error = watch(lease)
    assert reported == []
    assert f"({status})" in str(error)


def test_a_watch_that_falls_silent_is_given_up(server: StandIn, lease: KubernetesLease) -> None:
    """While someone holds the lease, silence for its duration means a dead watch."""
    short = {**LEASE, "spec": {**LEASE["spec"], "leaseDurationSeconds": 1}}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", short)
        request.wait()

    server.play = play
    started_at = time.monotonic()
    reported, error = watch(lease)
    took_s = time.monotonic() - started_at
    assert len(reported) == 1
    assert "within 1 s" in str(error)
    assert took_s >= 1.0


def test_a_free_lease_may_be_silent_for_long(server: StandIn, lease: KubernetesLease) -> None:
    """Nobody writes to a lease that nobody holds: its watch stays, until it is closed."""
    free = lease_object.lease_of(LeaseRecord(), LEASE, "pod-1")

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", free)
        request.wait()

    server.play = play
    reported: list[ObservedLease | None] = []
    thread = threading.Thread(
        target=lease.watch, args=(ObservedLease(RECORD, "6"), reported.append), daemon=True
    )
    thread.start()
    wait_until(lambda: reported, 15, "the first event")
    thread.join(1.5)  # longer than its record's duration
    assert thread.is_alive()
    lease.close()
    thread.join(15)
    assert not thread.is_alive()
    lease.close()


def test_closing_a_watch_leaves_requests_alone(server: StandIn, lease: KubernetesLease) -> None:
    """The watch has a connection of its own."""
    lease.close()
    assert lease.read().version == "7"


def test_a_write_keeps_the_object_that_a_watch_has_shown(
    server: StandIn, lease: KubernetesLease
) -> None:
    """The version and the labels that are written back are those of the watch's event."""
    metadata = {**LEASE["metadata"], "resourceVersion": "8", "labels": {"l": "1"}}

    def play(request: Request) -> None:
        request.begin_watch()
        request.event("MODIFIED", {**LEASE, "metadata": metadata})
        request.end_watch()

    server.play = play
    watch(lease)
    server.play = lambda request: request.answer(200, request.body)
    lease.write(RECORD, "8")
    written = server.seen[-1].body["metadata"]
    assert (written["resourceVersion"], written["labels"]) == ("8", {"l": "1"})


def test_a_watch_in_pieces_of_one_byte_takes_no_longer_for_a_longer_line() -> None:
    """400,000 pieces of one line; copied for each, they would take half a minute."""

    class Drip:
        def stream(self) -> Iterator[bytes]:
            yield from itertools.repeat(b"a", 400_000)
            yield b"\n\nb\nc"

    began = time.thread_time()
    assert list(map(len, cluster.lines(cast("HTTPResponse", Drip())))) == [400_000, 1, 1]
    assert time.thread_time() - began < 10
